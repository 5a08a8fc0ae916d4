// Checks this machine against everything piimg needs, and says what to do about what is missing.
import { existsSync, readFileSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import path from 'node:path';
import { run } from './exec.ts';
import { packageRoot } from './package-root.ts';
import {
  checkTool,
  compareVersions,
  kernelVersion,
  minimumNode,
  missingEmulation,
  missingSubIds,
  namelessUser,
  neededFor,
  packagesOf,
  type Purpose,
  repair,
  toolsFor,
} from './requirements.mjs';

/** One thing looked at. */
export interface Check {
  name: string;
  kind: 'tool' | 'environment';
  /** Completes "needed to …". */
  reason: string;
  needed: Purpose[];
  ok: boolean;
  /** What was found: a version, a number, `missing`. */
  found: string;
  /** The oldest version that will do. */
  minimum?: string;
  path?: string;
  package?: string;
  /** What to do, when it is not ok. */
  remedy?: string;
}

/** What an installed piimg does; its own tests and benches are in the repository alone. */
const PURPOSES: Purpose[] = [
  'build',
  'boot',
  'seed',
  'flash',
  ...(existsSync(`${packageRoot}/test`) ? (['test', 'bench'] as const) : []),
];

/** Free bytes a cold build wants in the cache: packages, layers, tools and the image with its scratch space. */
const WANTED_SPACE = 8 * 1024 ** 3;

const readNumber = (file: string) => (existsSync(file) ? Number(readFileSync(file, 'utf8')) : undefined);

/** Every check, tools first. `cacheDir` need not exist yet. Nothing is changed; about a second. */
export async function examine(cacheDir: string): Promise<Check[]> {
  return [
    ...checkTools(),
    checkNode(),
    await checkNamespaces(),
    checkSubIds(),
    checkEmulation(),
    await checkSpace(cacheDir),
  ];
}

/**
 * Installs what is missing, as root or through sudo: what building needs first, so that a package for anything else which
 * this system does not have cannot stand in its way. Returns the commands somebody has to run by hand, with why.
 */
export function fix(checks: Check[], log: (line: string) => void): { command: string; output?: string }[] {
  const absent = checks.filter((check) => check.kind === 'tool' && !check.ok).map(({ name }) => name);
  const packages = (purposes: Purpose[]) => packagesOf(toolsFor(purposes).filter(({ name }) => absent.includes(name)));
  const forBuild = [...packages(['build']), ...missingEmulation()];
  const others = packages(PURPOSES).filter((name) => !forBuild.includes(name));
  const rest = [repair(forBuild, missingSubIds(), log), repair(others, [], log)];
  return rest.filter((item) => item !== undefined);
}

function checkTools(): Check[] {
  return toolsFor(PURPOSES).map((row) => {
    const { ok, version, path: where } = checkTool(row);
    const install = row.package === null ? row.hint : `sudo apt-get install ${row.package}`;
    return {
      name: row.name,
      kind: 'tool',
      reason: row.reason,
      needed: neededFor(row).filter((purpose) => PURPOSES.includes(purpose)),
      ok,
      found: where === undefined ? 'missing' : (version ?? 'there'),
      ...(row.minimum !== undefined && { minimum: row.minimum }),
      ...(where !== undefined && { path: where }),
      ...(row.package !== null && { package: row.package }),
      ...(!ok && install !== undefined && { remedy: install }),
    };
  });
}

function environment(name: string, reason: string, found: string, remedy: string | undefined): Check {
  const ok = remedy === undefined;
  return { name, kind: 'environment', reason, needed: ['build'], ok, found, ...(!ok && { remedy }) };
}

function checkNode(): Check {
  const version = process.versions.node;
  const remedy =
    compareVersions(version, minimumNode) < 0 ? 'Install a current Node.js: https://nodejs.org' : undefined;
  return { ...environment('Node.js', 'run piimg', version, remedy), minimum: minimumNode };
}

async function checkNamespaces(): Promise<Check> {
  const user = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
  const works = await run(['unshare', ...user, '--mount', '--pid', '--fork', 'true']).then(
    () => true,
    () => false,
  );
  const reason = 'build without touching the host';
  return environment(
    'namespaces',
    reason,
    works ? 'usable' : 'refused',
    works ? undefined : namespaceRemedy(user.length > 0),
  );
}

/** Names the setting that forbids namespaces, where one can be told. */
function namespaceRemedy(unprivileged: boolean): string {
  if (!unprivileged)
    return 'This root may not mount: give the container it runs in the SYS_ADMIN capability (--privileged).';
  const restricted = [
    // Ubuntu 24.04 and later: only programs with an AppArmor profile that allows it.
    { file: 'kernel/apparmor_restrict_unprivileged_userns', forbids: 1, allows: 0 },
    { file: 'kernel/unprivileged_userns_clone', forbids: 0, allows: 1 },
    { file: 'user/max_user_namespaces', forbids: 0, allows: 15_000 },
  ].find(({ file, forbids }) => readNumber(`/proc/sys/${file}`) === forbids);
  if (restricted === undefined)
    return 'Run piimg with sudo; inside a container or chroot the kernel may refuse namespaces.';
  return `Run piimg with sudo, or allow them: sudo sysctl -w ${restricted.file.replace('/', '.')}=${restricted.allows}`;
}

function checkSubIds(): Check {
  const missing = missingSubIds();
  const reason = 'own the files of an image without root';
  const nameless = namelessUser();
  if (nameless) return environment('subordinate ids', reason, `${nameless.name} is missing`, nameless.hint);
  const found = process.getuid?.() === 0 ? 'root needs none' : missing.length > 0 ? 'missing' : 'there';
  return environment('subordinate ids', reason, found, missing.length > 0 ? `sudo ${missing.join(' ')}` : undefined);
}

function checkEmulation(): Check {
  const missing = missingEmulation();
  const found = process.arch === 'arm64' ? 'native' : `Linux ${kernelVersion()}`;
  const remedy = `Linux before 6.7 needs it registered for the whole machine: sudo apt-get install ${missing.join(' ')}`;
  return environment('arm64 programs', 'configure arm64 packages', found, missing.length > 0 ? remedy : undefined);
}

async function checkSpace(cacheDir: string): Promise<Check> {
  let folder = path.resolve(cacheDir);
  while (!existsSync(folder)) folder = path.dirname(folder);
  const { bavail, bsize } = await statfs(folder);
  const gibibytes = (bytes: number) => `${(bytes / 1024 ** 3).toFixed(1)} GiB`;
  const remedy =
    bavail * bsize < WANTED_SPACE
      ? `A first build wants ${gibibytes(WANTED_SPACE)} in ${folder}: make room (piimg cache prune --days 1) or set PIIMG_CACHE.`
      : undefined;
  return environment('free space', 'keep packages and layers', gibibytes(bavail * bsize), remedy);
}
