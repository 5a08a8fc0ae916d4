// What piimg needs of this machine, checked with Node's builtins alone: set-up (before `npm ci`) and doctor share it.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readFileSync, statSync } from 'node:fs';
import { release, userInfo } from 'node:os';
import path from 'node:path';

/** The table of every outside program: src/host/tools.json. Shapes are in requirements.d.mts. */
export const tools = JSON.parse(readFileSync(new URL('../../src/host/tools.json', import.meta.url), 'utf8'));

/** The oldest Node.js piimg runs on (package.json's `engines`). */
export const minimumNode = '20.19';

/** PATH with the folders of system programs added: an ordinary user's PATH on Debian lacks them. */
export function searchPath(env = process.env) {
  const folders = (env.PATH ?? '').split(':').filter(Boolean);
  return [...new Set([...folders, '/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/bin', '/bin'])].join(':');
}

/** Where a program (looked up in PATH) or a file (absolute path) is; undefined when it is not there. */
export function findProgram(name, folders = searchPath()) {
  if (name.startsWith('/')) return existsSync(name) ? name : undefined;
  return folders
    .split(':')
    .map((folder) => path.join(folder, name))
    .find(isExecutable);
}

function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

/** What this user needs a row of the table for. */
export function neededFor(row, isRoot = process.getuid?.() === 0) {
  return row.for.filter((purpose) => !(isRoot && row.unlessRoot?.includes(purpose)));
}

/** The rows of the table needed for any of `purposes` by this user. */
export function toolsFor(purposes, isRoot = process.getuid?.() === 0, table = tools) {
  return table.filter((row) => neededFor(row, isRoot).some((purpose) => purposes.includes(purpose)));
}

/** The rows whose program or file is not on this machine: no program is started for it, so it is quick. */
function missingTools(purposes) {
  const folders = searchPath();
  return toolsFor(purposes).filter((row) => findProgram(row.name, folders) === undefined);
}

/** Their Debian packages, sorted, each once. */
export function packagesOf(rows) {
  return [...new Set(rows.flatMap((row) => row.package ?? []))].sort();
}

/** Compares dotted versions by their numbers: negative when `a` is older than `b`. */
export function compareVersions(a, b) {
  const [left, right] = [a, b].map((text) => text.split('.').map(Number));
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Looks a tool up and asks its version: `ok` is false when it is absent, or older than the row's minimum. */
export function checkTool(row, folders = searchPath()) {
  const found = findProgram(row.name, folders);
  if (found === undefined) return { ok: false };
  if (!row.version) return { ok: true, path: found };
  const result = spawnSync(found, row.version, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 20_000,
    env: { ...process.env, PATH: folders, LC_ALL: 'C' },
  });
  const version = /\d+(?:\.\d+)+/.exec(`${result.stdout ?? ''}\n${result.stderr ?? ''}`)?.[0];
  // A program that does not tell its version is there, and that is all one can say of it.
  return { ok: version === undefined || compareVersions(version, row.minimum) >= 0, path: found, version };
}

/** Whether `user` has a range of at least 65,536 ids (what a Debian system numbers) in the text of /etc/subuid or /etc/subgid. */
export function hasSubIds(text, user, uid) {
  return ownRanges(text, user, uid).some(({ count }) => count >= 65_536);
}

const ownRanges = (text, user, uid) => subIdRanges(text).filter(({ owner }) => owner === user || owner === String(uid));

/**
 * The highest id that files in an image may have, built by this user: root's are not limited; of others `unshare --map-auto` takes the first range
 * alone (unshare(1)), the last id of which has no place, as 0 is the user's own.
 */
export function highestId(ask = userInfo) {
  const uid = process.getuid?.();
  if (uid === 0 || uid === undefined) return Infinity;
  const tables = ['/etc/subuid', '/etc/subgid'].map(readIfThere);
  return Math.min(...tables.map((text) => ownRanges(text, userName(ask) ?? '', uid)[0]?.count ?? 0)) - 1;
}

/** The first free range of 65,536 ids, above 100,000 (useradd's SUB_UID_MIN) and above every range given away. */
export function freeSubIdRange(text) {
  const first = Math.max(100_000, ...subIdRanges(text).map(({ start, count }) => start + count));
  return `${first}-${first + 65_535}`;
}

function subIdRanges(text) {
  return text
    .split('\n')
    .map((line) => line.trim().split(':'))
    .filter((fields) => fields.length === 3)
    .map(([owner, start, count]) => ({ owner, start: Number(start), count: Number(count) }));
}

const readIfThere = (file) => (existsSync(file) ? readFileSync(file, 'utf8') : '');

/**
 * What a user lacks who is a number without a name, as in many containers: newuidmap gives subordinate ids to names only. In the shape of
 * a row of the table; undefined for everybody else. `ask` is for tests.
 */
export function namelessUser(ask = userInfo) {
  const uid = process.getuid?.();
  if (uid === 0 || userName(ask) !== undefined) return undefined;
  return {
    name: `a name for user ${uid} in /etc/passwd`,
    reason: 'own the files of an image without root',
    hint: 'Run piimg as a user that has one, or as root.',
  };
}

function userName(ask) {
  try {
    return ask().username;
  } catch {
    return undefined;
  }
}

/** The `usermod` arguments that give this user the subordinate ids it lacks; empty when it has them, is root or has no name. */
export function missingSubIds(ask = userInfo) {
  const uid = process.getuid?.();
  const username = userName(ask);
  if (uid === 0 || username === undefined) return [];
  const [uids, gids] = ['/etc/subuid', '/etc/subgid'].map(readIfThere);
  const options = [
    ...(hasSubIds(uids, username, uid) ? [] : ['--add-subuids', freeSubIdRange(uids)]),
    ...(hasSubIds(gids, username, uid) ? [] : ['--add-subgids', freeSubIdRange(gids)]),
  ];
  return options.length === 0 ? [] : ['usermod', ...options, username];
}

/**
 * Packages that register arm64 emulation for the whole machine. Needed only before Linux 6.7: since then a build registers it
 * inside its own namespace. An arm64 machine needs none.
 */
export function missingEmulation() {
  if (process.arch === 'arm64' || compareVersions(kernelVersion(), '6.7') >= 0) return [];
  return readIfThere('/proc/sys/fs/binfmt_misc/qemu-aarch64').startsWith('enabled')
    ? []
    : ['binfmt-support', 'qemu-user-static'];
}

/** The kernel's version as two or three numbers: `6.1.0`. */
export function kernelVersion() {
  return /^\d+(\.\d+)+/.exec(release())?.[0] ?? '0';
}

/** Everything set-up has to install before `purposes` can be served: Debian packages, and a `usermod` command or []. */
export function missingFor(purposes) {
  const building = purposes.includes('build');
  const missing = missingTools(purposes);
  const nameless = building ? namelessUser() : undefined;
  return {
    packages: [...new Set([...packagesOf(missing), ...(building ? missingEmulation() : [])])].sort(),
    subIds: building ? missingSubIds() : [],
    byHand: [...missing.filter((row) => row.package === null), ...(nameless ? [nameless] : [])],
  };
}

/** The command that installs Debian packages, without questions and without what they only recommend. */
function installCommand(packages) {
  return ['apt-get', 'install', '--yes', '--no-install-recommends', ...packages];
}

/** How to become root without a question: nothing to add as root, `sudo -n`, or undefined when neither works. */
export function asRoot() {
  if (process.getuid?.() === 0) return [];
  if (findProgram('sudo') === undefined) return undefined;
  return spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0 ? ['sudo', '-n'] : undefined;
}

/**
 * Installs Debian packages and gives the user subordinate ids, as root or through sudo. Returns undefined when it is done,
 * else the one line a person must run, with the last lines of output when something was tried and failed.
 */
export function repair(packages, subIds, log) {
  if (packages.length === 0 && subIds.length === 0) return undefined;
  const commands = [
    ...(packages.length > 0 ? [['apt-get', 'update'], installCommand(packages)] : []),
    ...(subIds.length > 0 ? [subIds] : []),
  ];
  const byHand = commands.map((command) => `sudo ${command.join(' ')}`).join(' && ');
  const prefix = asRoot();
  if (prefix === undefined) return { command: byHand };
  if (packages.length > 0) log(`installing: ${packages.join(' ')}`);
  if (subIds.length > 0) log(`subordinate ids: ${subIds.join(' ')}`);
  const proxies = Object.entries(process.env).filter(([name]) => /^(https?|no)_proxy$/i.test(name));
  const settings = {
    DEBIAN_FRONTEND: 'noninteractive',
    LC_ALL: 'C',
    PATH: searchPath(),
    ...Object.fromEntries(proxies),
  };
  const environment = ['env', ...Object.entries(settings).map(([name, value]) => `${name}=${value}`)];
  for (const command of commands) {
    const quiet =
      command[0] === 'apt-get' ? ['apt-get', '-q', '-o', 'DPkg::Lock::Timeout=120', ...command.slice(1)] : command;
    const [program, ...args] = [...prefix, ...environment, ...quiet];
    const result = spawnSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
    // A list that cannot be refreshed may still hold the packages: `update` failing alone is no reason to stop.
    if (result.status !== 0 && command[1] !== 'update') {
      const output = `${result.stdout ?? ''}${result.stderr ?? ''}`.trim().split('\n').slice(-20).join('\n');
      return { command: byHand, output };
    }
  }
  return undefined;
}
