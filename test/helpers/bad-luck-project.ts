// A project with a base so small that building it takes seconds: real essential packages and a stand-in for kernel and firmware.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import path from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import * as assert from 'uvu/assert';
import { cacheFolder } from '../../src/cli/context.ts';
import { run } from '../../src/host/exec.ts';
import { builtWeb } from './built.ts';
import { makeArchive, withServer, type Archive, type Server } from './bad-luck-archive.ts';

const main = path.resolve('src/cli/main.ts');

/** Kept from one test file to the next, as making the native tools takes longer than most tests. */
const SHARED = `/var/tmp/piimg-test-${userInfo().uid}`;

/** A build of the tiny base takes seconds; on a busy machine, minutes. */
const LIMIT = 8 * 60_000;

export interface Project {
  /** The user's folder: images/, out/. */
  dir: string;
  cache: string;
  archive: Archive;
  server: Server;
}

export interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** What stands for kernel, initramfs-tools and raspi-firmware: the programs that the last layers call. */
const BOOT_FILES: Record<string, string> = {
  'usr/lib/modules/1.0/kernel/none': '',
  'boot/vmlinuz-1.0': 'kernel\n',
  'usr/bin/unmkinitramfs': '#!/bin/sh\nmkdir -p "$2"; cp "$1" "$2/init"\n',
  'usr/share/zoneinfo/Etc/UTC': 'UTC\n',
  'usr/sbin/depmod': '#!/bin/sh\n',
  'usr/sbin/mkinitramfs': '#!/bin/sh\necho "initramfs $3" >"$2"\n',
  'etc/kernel/postinst.d/z50-raspi-firmware':
    '#!/bin/sh\nmkdir -p /boot/firmware; echo kernel=vmlinuz >/boot/firmware/config.txt; echo root=x >/boot/firmware/cmdline.txt\n',
};

/** Builds `NAME_VERSION.deb` in `dir` from files (those with #! are programs) and maintainer scripts. */
export async function makeDeb(
  dir: string,
  control: { name: string; version: string; depends?: string },
  content: { files?: Record<string, string>; scripts?: Record<string, string> },
): Promise<string> {
  const tree = await mkdtemp('/var/tmp/piimg-deb-');
  try {
    const { name, version, depends } = control;
    const fields = `Package: ${name}\nVersion: ${version}\nArchitecture: arm64\nMaintainer: Test <test@example.org>\n`;
    const scripts = Object.entries(content.scripts ?? {}).map(([script, text]) => [`DEBIAN/${script}`, text] as const);
    const files = [...Object.entries(content.files ?? {}), ...scripts];
    for (const [file, text] of files) {
      await mkdir(path.dirname(path.join(tree, file)), { recursive: true });
      await writeFile(path.join(tree, file), text, { mode: text.startsWith('#!') ? 0o755 : 0o644 });
    }
    await mkdir(path.join(tree, 'DEBIAN'), { recursive: true, mode: 0o755 });
    const needs = depends === undefined ? '' : `Depends: ${depends}\n`;
    await writeFile(path.join(tree, 'DEBIAN/control'), `${fields}${needs}Description: for tests\n`);
    await run(['sh', '-c', 'chmod 755 "$1" "$1/DEBIAN"', 'sh', tree]);
    const deb = path.join(dir, `${name}_${version}.deb`);
    await run(['dpkg-deb', '--root-owner-group', '--build', tree, deb]);
    return deb;
  } finally {
    await rm(tree, { recursive: true, force: true });
  }
}

/** A folder of its own, an archive served on loopback, and a cache in which the tiny base is built. */
export async function withProject(work: (project: Project) => Promise<void>): Promise<void> {
  const archive = await sharedArchive();
  const dir = await mkdtemp('/var/tmp/piimg-bad-luck-');
  try {
    await withServer(archive, async (server) => {
      const project = { dir, cache: path.join(SHARED, 'cache'), archive, server };
      await writeProject(project);
      await work(project);
    });
  } finally {
    await removeTree(dir);
  }
}

/** The same project once more, in a folder below it. */
export async function inFolder(project: Project, name: string): Promise<Project> {
  const inner = { ...project, dir: path.join(project.dir, name) };
  await writeProject(inner);
  return inner;
}

/** The same project, nothing built, with a cache of its own that has only what was downloaded and the native tools. */
export async function freshCache(project: Project, name: string): Promise<Project> {
  const cache = path.join(project.dir, name);
  await rm(path.join(project.dir, 'out'), { recursive: true, force: true });
  await mkdir(cache);
  for (const part of ['store', 'tools', 'apt', 'bases']) {
    const from = path.join(project.cache, part);
    if (existsSync(from)) await run(['cp', '-al', from, path.join(cache, part)]);
  }
  return { ...project, cache };
}

/** Removes a folder with files of ids that an ordinary user has in a namespace only. */
export async function removeTree(dir: string): Promise<void> {
  const asRoot = process.getuid?.() === 0 ? [] : ['unshare', '--user', '--map-root-user', '--map-auto'];
  // What a killed build had running may write its last for a moment.
  const patiently =
    'for try in 1 2 3 4 5 6 7 8 9; do rm -rf -- "$1" 2>/dev/null && exit; sleep 0.5; done; exec rm -rf -- "$1"';
  await run([...asRoot, 'sh', '-c', patiently, 'sh', dir]);
}

/** Writes a role of the project's; `body` is YAML below version, summary and base. */
export async function writeRole(project: Project, name: string, body = '', base = 'tiny'): Promise<string> {
  const file = path.join(project.dir, `images/roles/${name}.yaml`);
  await writeFile(file, `version: 1\nsummary: For tests.\nbase: ${base}\n${body}`);
  return file;
}

export const imageOf = (project: Project, role: string): string => path.join(project.dir, `out/${role}.img`);

/** The digest that the manifest of a built role gives. */
export async function builtDigest(project: Project, role: string): Promise<string> {
  const text = await readFile(path.join(project.dir, `out/${role}.manifest.json`), 'utf8');
  return (JSON.parse(text) as { image: { sha256: string } }).image.sha256;
}

/** Files of `folder` that nobody should find after a failure; [] when the folder is not there. */
export async function leftParts(folder: string): Promise<string[]> {
  const names = await readdir(folder, { recursive: true }).catch(() => []);
  return names.filter((name) => /\.part$|\.old$/.test(name));
}

/** A program under way. */
export interface Started {
  pid: number;
  ended: Promise<Ended>;
  kill(signal: NodeJS.Signals): void;
  /** What it has said on stderr so far. */
  output(): string;
  /** Waits until that contains `word`. Throws Error when it has ended without. */
  said(word: string): Promise<void>;
}

/** Starts `piimg ARGS`, behind the words of `around`, in the project as the leader of a session of its own, by which its descendants are known. */
export function startPiimg(
  project: Project,
  args: string[],
  env: Record<string, string> = {},
  around: string[] = [],
): Started {
  const command = [...around, process.execPath, '--import', import.meta.resolve('tsx'), main, ...args];
  const settings = {
    PIIMG_CACHE: project.cache,
    PIIMG_MIRROR: project.server.url,
    FORCE_COLOR: '0',
    no_proxy: '127.0.0.1',
  };
  const [program = '', ...argv] = command;
  const child = spawn(program, argv, {
    cwd: project.dir,
    env: { ...process.env, ...settings, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const output = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk: Buffer) => (output.stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output.stderr += stripVTControlCharacters(chunk.toString())));
  const timer = setTimeout(() => child.kill('SIGKILL'), LIMIT);
  const ended = new Promise<Ended>((resolve) => {
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({ code, ...output });
    });
  });
  const said = async (word: string): Promise<void> => {
    while (!output.stderr.includes(word)) {
      if (child.exitCode !== null || child.signalCode !== null)
        throw new Error(`never said ${word}:\n${output.stderr}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  return { pid: child.pid ?? 0, ended, kill: (signal) => child.kill(signal), output: () => output.stderr, said };
}

/** `piimg ARGS` in the project, to its end. */
export function piimg(
  project: Project,
  args: string[],
  env: Record<string, string> = {},
  around: string[] = [],
): Promise<Ended> {
  return startPiimg(project, args, env, around).ended;
}

/** Builds a role; throws with all of its output when that fails. */
export async function mustBuild(project: Project, role: string, args: string[] = []): Promise<string> {
  const { code, stderr } = await piimg(project, ['build', '--role', role, ...args]);
  if (code !== 0) throw new Error(`piimg build --role ${role} ended with ${code}\n${stderr}`);
  return builtDigest(project, role);
}

/** A build that must fail with `code` and say all of `said`. */
export async function mustFail(project: Project, args: string[], code: number, ...said: RegExp[]): Promise<Ended> {
  const ended = await piimg(project, ['build', ...args]);
  assert.is(ended.code, code, ended.stderr);
  for (const words of said) assert.match(ended.stderr, words);
  assert.not.match(ended.stderr, /^ {4}at /m, 'a stack is for bugs');
  return ended;
}

/** Processes of a session, or whose command line or environment has `word`: each as `pid command`. */
export async function processesOf(session: number, word: string): Promise<string[]> {
  const found: string[] = [];
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)) {
    const read = (name: string) => readFile(`/proc/${pid}/${name}`, 'utf8').catch(() => '');
    const [status, command, environment] = await Promise.all([read('stat'), read('cmdline'), read('environ')]);
    const [state, , , sessionId] = status.slice(status.lastIndexOf(')') + 2).split(' ');
    if (status === '' || state === 'Z') continue;
    if (Number(sessionId) === session || command.includes(word) || environment.includes(word)) {
      found.push(`${pid} ${command.replaceAll('\0', ' ').slice(0, 200)}`);
    }
  }
  return found;
}

/** What is still there of a session after at most ten seconds: its processes, and mounts that name `word`. */
export async function remains(session: number, word: string): Promise<string[]> {
  for (let tries = 0; ; tries++) {
    const mounts = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n').filter((line) => line.includes(word));
    const all = [...(await processesOf(session, word)), ...mounts];
    if (all.length === 0 || tries === 100) return all;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function writeProject({ dir, archive, server }: Project): Promise<void> {
  await mkdir(path.join(dir, 'images/roles'), { recursive: true });
  await mkdir(path.join(dir, 'images/bases'));
  const base = `version: 1
summary: Essential packages and a stand-in for the kernel
architecture: arm64
keyring: ${JSON.stringify(archive.keyring)}
mirror: ${server.url}
archives: [{ name: tiny, suites: [tiny], components: [main] }]
packages: [tiny-boot]
boards: []
`;
  await writeFile(path.join(dir, 'images/bases/tiny.yaml'), base);
}

/** The archive of the packages that a build of the role `base` has left in the user's cache; builds it where there is none. */
async function sharedArchive(): Promise<Archive> {
  const dir = path.join(SHARED, 'archive');
  const archive: Archive = { dir, keyring: path.join(dir, 'key.gpg'), gnupg: path.join(dir, 'gnupg') };
  if (await isWhole(archive)) return archive;
  const extra = path.join(SHARED, 'extra');
  await mkdir(extra, { recursive: true });
  await mkdir(path.join(SHARED, 'cache'), { recursive: true });
  await makeDeb(extra, { name: 'tiny-boot', version: '1.0' }, { files: BOOT_FILES });
  return makeArchive(dir, await seededStore(), extra);
}

/** Whether its packages are still where the links lead. */
async function isWhole({ dir }: Archive): Promise<boolean> {
  if (!existsSync(path.join(dir, 'dists/tiny/InRelease'))) return false;
  const names = await readdir(path.join(dir, 'pool'));
  const there = await Promise.all(names.map((name) => stat(path.join(dir, 'pool', name)).catch(() => undefined)));
  return names.length > 100 && there.every(Boolean);
}

/** The user's store, filled by a build of the role `web` where it is empty. */
async function seededStore(): Promise<string> {
  const store = path.join(cacheFolder(process.env), 'store');
  // Base and native tools are some 300 packages in folders of two hex digits.
  const folders = await readdir(store).catch(() => []);
  if (folders.length < 150) await builtWeb();
  return store;
}
