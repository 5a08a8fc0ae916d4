// apt with a configuration of our own: it resolves and downloads for another architecture and suite without touching the
// host's packages, and brings the host's proxies, certificates and credentials along.
import { link, mkdir, mkdtemp, open, readFile, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PiimgError } from '../lib/errors.ts';
import { hintForCertificate } from './certificates.ts';
import { dieWithParent, run, type RunResult } from './exec.ts';

/** One archive apt may read; `keyring` is a file on this machine. */
export interface AptArchive {
  name: string;
  uri: string;
  suites: string[];
  components: string[];
  keyring: string;
}

export interface AptWorld {
  /** Debian's name of the architecture, e.g. `arm64`. */
  architecture: string;
  archives: AptArchive[];
  /** What counts as installed: dpkg status stanzas. */
  status: string;
}

/** Runs apt programs in a world: `apt(['apt-get', '-s', 'install', …])`. */
export type Apt = (command: string[], options?: Parameters<typeof run>[1]) => Promise<RunResult>;

/**
 * Calls `work` with an apt for `world`. The package lists are those of the folder `lists`, which `updateLists` fills;
 * everything else lies in a throw-away folder below `tmp`, so that two of them never wait for each other.
 */
export async function withApt<T>(
  world: AptWorld,
  folders: { tmp: string; lists: string },
  work: (apt: Apt) => Promise<T>,
): Promise<T> {
  await mkdir(folders.tmp, { recursive: true });
  const dir = await mkdtemp(join(folders.tmp, `${process.pid}-apt-`));
  const handle = await open(dir);
  try {
    // What apt calls it: its files cannot quote every character that a path may have.
    const plain = `/proc/${process.pid}/fd/${handle.fd}`;
    await mkdir(join(dir, 'archives/partial'), { recursive: true });
    await mkdir(join(dir, 'lists/partial'), { recursive: true });
    await linkLists(folders.lists, join(dir, 'lists'));
    await writeFile(join(dir, 'first.conf'), `${await ownConfiguration()}Dir::Etc::main "${plain}/apt.conf";\n`);
    await writeFile(join(dir, 'apt.conf'), configuration(plain, world.architecture));
    const keyrings = [...new Set(world.archives.map(({ keyring }) => keyring))];
    for (const [i, keyring] of keyrings.entries()) await symlink(keyring, join(dir, `${i}.gpg`));
    const sources = world.archives.flatMap((archive) =>
      sourceLines(archive, `${plain}/${keyrings.indexOf(archive.keyring)}.gpg`),
    );
    await writeFile(join(dir, 'sources.list'), sources.join('\n') + '\n');
    await writeFile(join(dir, 'status'), world.status);
    return await work((command, options) =>
      run(dieWithParent(command), {
        ...options,
        env: { ...options?.env, APT_CONFIG: join(dir, 'first.conf'), LC_ALL: 'C.UTF-8' },
      }),
    );
  } finally {
    await handle.close();
    await rm(dir, { recursive: true, force: true });
  }
}

/** What the file says that the user's APT_CONFIG names: ours takes its place. apt, too, goes on where there is none. */
async function ownConfiguration(): Promise<string> {
  const text = await readFile(process.env['APT_CONFIG'] ?? '', 'utf8').catch(() => '');
  return `${text}\n`;
}

/**
 * Fetches the package lists of `world`, with their signatures checked by apt, into the folder `lists`. Throws PiimgError with
 * apt's words when an archive cannot be reached, is not signed by its keyring or does not serve the suite.
 */
export async function updateLists(
  world: AptWorld,
  folders: { tmp: string; lists: string },
  signal?: AbortSignal,
): Promise<void> {
  await withApt(world, folders, async (apt) => {
    try {
      await apt(['apt-get', '-q', '-o', 'APT::Update::Error-Mode=any', 'update'], signal ? { signal } : {});
    } catch (error) {
      if (!(error instanceof PiimgError) || error.detail === undefined) throw error;
      throw new PiimgError('The package lists could not be fetched', {
        detail: error.detail
          .split('\n')
          .filter((line) => /^[EW]: |^Err:|NO_PUBKEY|404/.test(line))
          .join('\n'),
        hint:
          hintForCertificate(error.detail) ??
          'Check the network and the mirror (--mirror URL or PIIMG_MIRROR); with --offline, piimg builds from what it has.',
        cause: error,
      });
    }
    const { stdout } = await apt(['apt-config', 'shell', 'LISTS', 'Dir::State::lists/d']);
    const fresh = /LISTS='(.*)'/.exec(stdout)?.[1] ?? '';
    await mkdir(join(folders.lists, '..'), { recursive: true });
    await rename(folders.lists, join(fresh, '../old')).catch(() => {});
    // Where another build was faster, its lists are as fresh as ours.
    await rename(fresh, folders.lists).catch(async (error: NodeJS.ErrnoException) => {
      if (!['ENOTEMPTY', 'EEXIST'].includes(error.code ?? '')) throw error;
    });
  });
}

/** Whether lists were ever fetched into the folder. */
export async function haveLists(lists: string): Promise<boolean> {
  return (await listNames(lists)).some((name) => name.includes('_Packages'));
}

/** The archives the host's own apt reads: where `release` is the suite as its sources spell it. */
export async function hostArchives(): Promise<{ uri: string; release: string }[]> {
  // The addresses an update would fetch: `indextargets` knows only what was fetched before.
  const { stdout } = await run(['apt-get', '--print-uris', 'update']);
  return [...stdout.matchAll(/^'(.+)\/dists\/(.+)\/InRelease'/gm)].map(([, uri = '', release = '']) => ({
    uri,
    release,
  }));
}

/** The mirror that the host's debootstrap takes by default, when it is installed and that is Debian's. */
export async function debootstrapMirror(): Promise<string | undefined> {
  const script = await readFile('/usr/sbin/debootstrap', 'utf8').catch(() => '');
  return /^DEF_MIRROR="(.*\/debian)\/?"$/m.exec(script)?.[1];
}

function sourceLines({ uri, suites, components }: AptArchive, keyring: string): string[] {
  return suites.map((suite) => `deb [signed-by=${keyring}] ${uri} ${suite} ${components.join(' ')}`);
}

/**
 * apt.conf(5). The host's own files in apt.conf.d (proxies, credentials, certificates) are read as well, and before this one: APT_CONFIG
 * would be read first of all and lose against them, so it only names this file as the main one, which is read last.
 */
function configuration(dir: string, architecture: string): string {
  return `Dir::State "${dir}";
Dir::State::lists "${dir}/lists";
Dir::State::status "${dir}/status";
Dir::State::extended_states "${dir}/extended_states";
Dir::Cache "${dir}";
Dir::Cache::archives "${dir}/archives";
Dir::Etc::sourcelist "${dir}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::Etc::trusted "/dev/null";
Dir::Etc::trustedparts "/dev/null";
Dir::Log "${dir}";
APT::Architecture "${architecture}";
#clear APT::Default-Release;
#clear APT::Architectures;
APT::Architectures { "${architecture}"; };
APT::Install-Recommends "false";
APT::Install-Suggests "false";
APT::Get::Assume-Yes "true";
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear APT::Update::Pre-Invoke;
#clear DPkg::Pre-Install-Pkgs;
#clear DPkg::Pre-Invoke;
#clear DPkg::Post-Invoke;
Acquire::Languages "none";
Acquire::AllowInsecureRepositories "false";
Acquire::AllowWeakRepositories "false";
Acquire::AllowDowngradeToInsecureRepositories "false";
APT::Get::AllowUnauthenticated "false";
Acquire::ForceHash "SHA256";
Acquire::Retries "3";
Acquire::http::Timeout "30";
Acquire::https::Timeout "30";
APT::Sandbox::User "root";
`;
}

/** Links instead of copies: apt replaces a list, it never writes into one. */
async function linkLists(from: string, to: string, tries = 3): Promise<void> {
  try {
    for (const name of await listNames(from)) await link(join(from, name), join(to, name));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // Another build is replacing them at this moment.
    if (tries === 0 || (code !== 'ENOENT' && code !== 'EEXIST')) throw error;
    for (const name of await listNames(to)) await rm(join(to, name));
    await linkLists(from, to, tries - 1);
  }
}

async function listNames(lists: string): Promise<string[]> {
  const entries = await readdir(lists, { withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isFile() && entry.name !== 'lock').map(({ name }) => name);
}
