// Makes the native tools: host-architecture packages of the image's own suite, unpacked, never installed.
import { cp, link, lstat, mkdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { dieWithParent, run } from '../host/exec.ts';
import { removeAbandonedParts } from '../lib/alive.ts';
import type { Step } from '../lib/progress.ts';
import { runTool, type NativeTools } from './root.ts';
import {
  HOST_ARCHITECTURE,
  INTERPRETERS,
  TELL_ARCHITECTURE,
  SHADOW,
  SHADOW_AS,
  SHADOW_DATA,
  TRIPLET,
} from './shadow.ts';
import { toolsDamage, writeRecord } from './tools-record.ts';

/** Where the tools root lies inside a sandbox, and its programs look for their libraries. */
const INSIDE = '/run/piimg-tools';
const LIBRARIES = `${INSIDE}/usr/lib/${TRIPLET}:${INSIDE}/usr/lib/${TRIPLET}/systemd`;
const INTERPRETER = `${INSIDE}/usr/${process.arch === 'arm64' ? 'lib/ld-linux-aarch64.so.1' : 'lib64/ld-linux-x86-64.so.2'}`;

/** A folder of the shadow that no package has. */
const NATIVE_PATH = 'usr/lib/piimg-native';

/** Raised when what is made from the same packages changes. */
export const TOOLS_FORMAT = 9;

/** The tools in a folder that `makeNativeTools` has filled. */
export function nativeToolsAt(dir: string): NativeTools {
  const root = join(dir, 'root');
  return {
    root,
    shadow: join(dir, 'shadow'),
    interpreters: join(dir, 'interpreters'),
    stubs: join(dir, 'stubs'),
    first: join(dir, 'first'),
    emulator: join(root, 'usr/bin/qemu-aarch64'),
    mount: join(dir, 'mount'),
  };
}

/**
 * Unpacks `debs` (package name → .deb file) and prepares the programs that may stand over an image's own. `same` says of a
 * package whether the image has the same version. The folder `dir` appears complete or not at all.
 */
export async function makeNativeTools(
  dir: string,
  debs: Map<string, string>,
  same: (packageName: string) => boolean,
  { jobs, step }: { jobs: number; step: Step },
): Promise<NativeTools> {
  const part = `${dir}.${process.pid}.part`;
  await mkdir(dirname(dir), { recursive: true });
  await removeAbandonedParts(dirname(dir));
  await rm(part, { recursive: true, force: true });
  const tools = nativeToolsAt(part);
  const { root, shadow, interpreters, stubs, first, mount } = tools;
  for (const folder of [root, shadow, interpreters, stubs, first, mount]) await mkdir(folder, { recursive: true });
  await unpackAll(debs, tools.root, jobs, step);
  await makeShadow(tools, same);
  await writeScripts(tools.shadow, CHROOT);
  await writeScripts(tools.stubs, { ...CHROOT, ...STUBS });
  await writeScripts(tools.first, FIRST);
  // What lies over the image's passes modes and times on to a layer that is written there: not the caller's umask, and no time of today.
  const over = [shadow, interpreters, stubs, first];
  await run(['chmod', '-R', 'u=rwX,go=rX', ...over]);
  const reference = `--reference=${join(root, 'usr/bin/dpkg')}`;
  await run(['find', ...over, '-exec', 'touch', '--no-dereference', reference, '{}', '+']);
  await writeRecord(part);
  await putInPlace(part, dir);
  return nativeToolsAt(dir);
}

/** Whoever was faster may be working with theirs: they stay, when they are whole. */
async function putInPlace(part: string, dir: string): Promise<void> {
  if ((await toolsDamage(dir)) !== undefined) await rm(dir, { recursive: true, force: true });
  await rename(part, dir).catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    await rm(part, { recursive: true, force: true });
  });
}

/** When this process dies, so does the shell, and with it both ends of its pipe. */
const FIRST_OF_QEMU = `
setpriv --pdeathsig KILL dpkg-deb --fsys-tarfile "$1" |
  setpriv --pdeathsig KILL tar -x --occurrence=1 -C "$2" ./usr/bin/qemu-aarch64
`;

async function unpackAll(debs: Map<string, string>, root: string, jobs: number, step: Step): Promise<void> {
  const waiting = [...debs];
  let done = 0;
  // Several at a time: dpkg-deb decompresses on one core.
  const worker = async (): Promise<void> => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const [name, file] = next;
      // qemu-user emulates thirty machines, 460 MB of them; we need the first, and tar then reads no further.
      if (name === 'qemu-user') await run(dieWithParent(['sh', '-euc', FIRST_OF_QEMU, 'sh', file, root]));
      else await run(dieWithParent(['dpkg-deb', '-x', file, root]));
      step.update({ message: name, done: ++done, total: debs.size, unit: 'packages' });
    }
  };
  await Promise.all(Array.from({ length: jobs }, worker));
}

async function makeShadow(tools: NativeTools, same: (packageName: string) => boolean): Promise<void> {
  const pairs = Object.entries(SHADOW).flatMap(([name, files]) => files.map((file) => [name, file, file] as const));
  const wanted = [...pairs, ...Object.values(SHADOW_AS).flat()].filter(([name]) => same(name));
  const shadowOf = (name: string): string => (INTERPRETERS.includes(name) ? tools.interpreters : tools.shadow);
  const shadows = wanted.map(([name, , to]) => join(shadowOf(name), to));
  for (const [name, from, to] of wanted) await copy(join(tools.root, from), join(shadowOf(name), to));
  for (const [name, folders] of Object.entries(SHADOW_DATA)) {
    if (!same(name)) continue;
    for (const folder of folders) await cp(join(tools.root, folder), join(shadowOf(name), folder), { recursive: true });
  }
  // A first shell, before the base has one; python's modules link to the interpreter's libraries.
  await symlink('dash', join(tools.shadow, 'usr/bin/sh'));
  const alone = join(tools.shadow, NATIVE_PATH);
  await mkdir(alone, { recursive: true });
  // The first packages are unpacked by them in any case.
  const first = same('dpkg') ? [] : TELL_ARCHITECTURE.map((name) => join(alone, name));
  for (const program of first) await copy(join(tools.root, 'usr/bin', basename(program)), program);
  const programs = [...shadows, ...first];
  for (const program of programs) if (TELL_ARCHITECTURE.includes(basename(program))) await tellArm64(program);
  // In this order: python3.13 with its interpreter changed first and its path second crashes (patchelf 0.18).
  const writable = [tools.shadow, tools.interpreters];
  await runTool(tools, ['patchelf', '--force-rpath', '--set-rpath', LIBRARIES, ...programs], { writable });
  await runTool(tools, ['patchelf', '--set-interpreter', INTERPRETER, ...programs], { writable });
  // All of them once more where nothing lies over them: for dpkg while it unpacks those very packages, and depmod under its stub.
  for (const program of shadows) await link(program, join(alone, basename(program)));
}

/** Puts the image's architecture for the host's in a program: libdpkg has it as a string, and in that of its version, nowhere else. */
async function tellArm64(program: string): Promise<void> {
  const code = (await readFile(program)).toString('latin1');
  const name = new RegExp(`(?<=\\0)${HOST_ARCHITECTURE}(?=\\0)|(?<= \\()${HOST_ARCHITECTURE}(?=\\))`, 'g');
  const found = code.match(name) ?? [];
  if (found.length !== code.split(HOST_ARCHITECTURE).length - 1 || found.length < 2)
    throw new TypeError(`${program} does not name its architecture as dpkg does: the table of shadows is wrong`);
  await writeFile(program, code.replaceAll(name, 'arm64'), 'latin1');
}

/** Copies a program, following no link: a link would be one into the image. */
async function copy(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true });
  if (!(await lstat(from)).isFile())
    throw new TypeError(`${from} is not a regular file: the table of shadows is wrong`);
  await cp(from, to);
}

/**
 * Programs that must not do their work while packages are configured: services do not start in an image, the initramfs is made once,
 * last, in a layer of its own, and the index of a kernel's modules beside the configuring.
 */
const STUBS = {
  // policy-rc.d(8): 101 is "action forbidden by policy".
  'usr/sbin/policy-rc.d': 'exit 101',
  'usr/sbin/update-initramfs': 'exit 0',
  'usr/sbin/depmod': 'exit 0',
};

/** A sandbox is a chroot, whatever ischroot can see of it. */
const CHROOT = { 'usr/bin/ischroot': 'exit 0' };

/** libc6's preinst asks for the kernel before coreutils is there. */
const FIRST = {
  'usr/bin/uname': 'case ${1-} in -m) echo aarch64 ;; -r) cat /proc/sys/kernel/osrelease ;; *) echo Linux ;; esac',
};

async function writeScripts(dir: string, scripts: Record<string, string>): Promise<void> {
  for (const [path, text] of Object.entries(scripts)) {
    await mkdir(dirname(join(dir, path)), { recursive: true });
    await writeFile(join(dir, path), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  }
}
