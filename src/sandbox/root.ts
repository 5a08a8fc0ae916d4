// Runs commands inside an image that does not exist yet: its layers stacked by overlayfs, native tools on top of them.
import { run, type RunOptions, type Running } from '../host/exec.ts';
import { explainFailure, inNamespace, sh } from './namespace.ts';

/** The native tools layer (native-tools.ts makes it); absent on an arm64 host. */
export interface NativeTools {
  /** A whole root of the host's architecture; in the sandbox it lies at /run/piimg-tools. */
  root: string;
  /** Programs that stand over the image's own of the same path. */
  shadow: string;
  /** The same for perl and python, which load modules of the image. */
  interpreters: string;
  /** Stands in for programs that must not work while packages are configured: starting services, making initramfs. */
  stubs: string;
  /** What the scripts of the very first packages call before the package that brings it is unpacked. */
  first: string;
  /** qemu-user's program for arm64. */
  emulator: string;
  /** An empty folder, where each sandbox mounts what it needs. */
  mount: string;
}

export interface SandboxRoot {
  /** Trees of the layers, lowest first. */
  lowers: string[];
  /** Where what is written goes; absent: to a tmpfs, and away. Both on one file system. */
  upper?: { tree: string; work: string };
  tools: NativeTools;
  /**
   * Which of the tools lie over the layers: `first` (all and more), `all` (with the stubs), `native`, `interpreted` (all but the
   * interpreters: those are the image's own), or `stubs` alone: emulation.
   */
  overlay: 'first' | 'all' | 'native' | 'interpreted' | 'stubs';
  /** Host files or folders to be seen inside, read-only. `to` must be below /run or /tmp. */
  binds?: { from: string; to: string }[];
  /** Gives the host's network and its resolv.conf; without, there is none. */
  network?: boolean;
}

export interface SandboxCommand {
  argv: string[];
  env?: Record<string, string>;
  input?: RunOptions['input'];
  onLine?: RunOptions['onLine'];
  stdout?: RunOptions['stdout'];
  /** Exit statuses that are no failure; [0] by default. */
  okCodes?: number[];
  signal?: AbortSignal | undefined;
}

export interface ToolOptions {
  /** Host files and folders the program sees, at the same path. */
  writable?: string[];
  readable?: string[];
  env?: Record<string, string>;
  input?: RunOptions['input'];
  stdout?: RunOptions['stdout'];
  onLine?: RunOptions['onLine'];
  signal?: AbortSignal | undefined;
}

/** What later stages need of the sandbox, made by `openSandbox`. */
export interface Sandbox {
  /** Runs a command as root in an image made of layers. */
  inRoot(root: Omit<SandboxRoot, 'tools'>, command: SandboxCommand): Running;
  /** Runs a native program on files of the host. */
  tool(argv: string[], options?: ToolOptions): Running;
  /** sha256 of every native program: none may be in a layer. */
  nativeDigests: ReadonlySet<string>;
}

/** ELF header of an arm64 program and its mask, as qemu's binfmt script registers it (Documentation/admin-guide/binfmt-misc.rst). */
const ARM64_MAGIC = String.raw`\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00`;
const ARM64_MASK = String.raw`\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff`;

/** What every program in the sandbox sees. */
const ENVIRONMENT = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  HOME: '/root',
  LC_ALL: 'C.UTF-8',
  TZ: 'UTC',
  DEBIAN_FRONTEND: 'noninteractive',
  DEBCONF_NONINTERACTIVE_SEEN: 'true',
  // One seed for every run: python's byte code contains sets in hash order.
  PYTHONHASHSEED: '0',
  PERL_HASH_SEED: '0',
};

/** Binds the sandbox to its tools. */
export function openSandbox(tools: NativeTools, nativeDigests: ReadonlySet<string>): Sandbox {
  return {
    inRoot: (root, command) => runInRoot({ ...root, tools }, command),
    tool: (argv, options) => runTool(tools, argv, options),
    nativeDigests,
  };
}

/** Runs `command` as root inside `root`. Rejects with PiimgError as `run` does. */
function runInRoot(root: SandboxRoot, command: SandboxCommand): Running {
  const environment = Object.entries({ ...ENVIRONMENT, ...command.env }).map(([name, value]) => sh(`${name}=${value}`));
  const script = [
    ...mountScript(root),
    // env of the host, chroot of the host: the image may not have its own yet.
    `exec env -i ${environment.join(' ')} chroot "$root" ${command.argv.map(sh).join(' ')}`,
  ].join('\n');
  return start(script, command, root.network ?? false);
}

/** Runs a native program of the tools root with the host's files in `binds` (same path inside): for mke2fs, mcopy, tar. */
export function runTool(tools: NativeTools, argv: string[], options: ToolOptions = {}): Running {
  const environment = Object.entries({ ...ENVIRONMENT, ...options.env }).map(([name, value]) => sh(`${name}=${value}`));
  const script = [
    // A tmpfs root with the tools' /usr in it: mount points can be made in it without writing to the tools.
    ...scratch(tools),
    'mkdir "$root/usr" "$root/etc" "$root/proc" "$root/dev" "$root/tmp" "$root/run"',
    `mount --bind -o ro ${sh(`${tools.root}/usr`)} "$root/usr"`,
    'for link in bin sbin lib lib64; do ln -s "usr/$link" "$root/$link"; done',
    'echo \'root:x:0:0:root:/root:/bin/sh\' >"$root/etc/passwd"; echo \'root:x:0:\' >"$root/etc/group"',
    ...devices,
    ...(options.readable ?? []).flatMap((path) => bind(path, path, '-o ro')),
    ...(options.writable ?? []).flatMap((path) => bind(path, path, '')),
    `exec env -i ${environment.join(' ')} chroot "$root" ${argv.map(sh).join(' ')}`,
  ].join('\n');
  return start(script, { ...options, argv }, false);
}

function start(script: string, command: SandboxCommand, network: boolean): Running {
  const { argv, input, onLine, stdout, okCodes, signal } = command;
  const running = run(inNamespace(script, { network }), {
    ...(input !== undefined && { input }),
    ...(onLine && { onLine }),
    ...(stdout && { stdout }),
    ...(okCodes && { okCodes }),
    ...(signal && { signal }),
  });
  const explained = running.catch((error: unknown) => {
    throw explainFailure(error, argv);
  });
  return Object.assign(explained, {
    pid: running.pid,
    stdout: running.stdout,
    kill: (ending?: NodeJS.Signals) => running.kill(ending),
  });
}

/** A tmpfs that only this namespace sees, and in it the folder that becomes the root. */
const scratch = (tools: NativeTools): string[] => [
  `scratch=${sh(tools.mount)}; mount -t tmpfs -o mode=755 tmpfs "$scratch"; root=$scratch/root; mkdir "$root"`,
];

/** Makes a mount point like `from`, a file or a folder of the host, and mounts it there. */
const bind = (from: string, to: string, flags: string): string[] => [
  `if [ -d ${sh(from)} ]; then mkdir -p "$root"${sh(to)}; else mkdir -p "$(dirname "$root"${sh(to)})"; : >"$root"${sh(to)}; fi`,
  `mount --bind ${flags} ${sh(from)} "$root"${sh(to)}`,
];

/** /proc and the devices that a program may expect, on tmpfs: nothing of it reaches a layer. */
const devices = [
  'mount -t proc proc "$root/proc"',
  'mount -t tmpfs -o mode=755 tmpfs "$root/dev"',
  'for node in null zero full random urandom tty; do : >"$root/dev/$node"; mount --bind "/dev/$node" "$root/dev/$node"; done',
  'ln -s /proc/self/fd "$root/dev/fd"; ln -s fd/0 "$root/dev/stdin"; ln -s fd/1 "$root/dev/stdout"; ln -s fd/2 "$root/dev/stderr"',
  'mkdir -m 1777 "$root/dev/shm"',
];

function mountScript(root: SandboxRoot): string[] {
  const { tools } = root;
  const over = {
    stubs: [tools.stubs],
    interpreted: [tools.shadow, tools.stubs],
    native: [tools.shadow, tools.interpreters],
    all: [tools.shadow, tools.interpreters, tools.stubs],
    first: [tools.shadow, tools.interpreters, tools.stubs, tools.first],
  }[root.overlay];
  const lowers = [...root.lowers, ...over].toReversed();
  const { tree, work } = root.upper ?? {};
  return [
    ...scratch(tools),
    // The layers by short links, named from within their folder: all of mount's options must fit one page, and a path may
    // hold the characters that separate them.
    'mkdir "$scratch/links"; cd "$scratch/links"',
    ...lowers.map((path, i) => `ln -s ${sh(path)} ${i}`),
    tree === undefined || work === undefined
      ? 'mkdir "$scratch/upper" "$scratch/work"; ln -s ../upper ../work .'
      : // What a volatile mount leaves there keeps it from being mounted again.
        `ln -s ${sh(tree)} upper; ln -s ${sh(work)} work; rm -rf work/*`,
    // userxattr: overlayfs keeps its notes in user.*, for root too, so that both ways give the same layers. volatile: no
    // fsync reaches the disk, a layer counts only once it is captured. Renamed folders are copied, never redirected.
    `mount -t overlay -o userxattr,volatile,index=off,metacopy=off,lowerdir=${lowers.map((_path, i) => i).join(':')},upperdir=upper,workdir=work overlay "$root"`,
    'cd /',
    ...devices,
    // Programs find the terminal and their temporary files; /run and /tmp are never part of an image.
    'mkdir "$root/dev/pts"; mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$root/dev/pts"; ln -s pts/ptmx "$root/dev/ptmx"',
    'mount -t tmpfs -o mode=755 tmpfs "$root/run"; mkdir -m 1777 "$root/run/lock"; mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"',
    `mkdir "$root/run/piimg-tools"; mount --bind -o ro ${sh(tools.root)} "$root/run/piimg-tools"`,
    ...emulation(tools),
    ...(root.binds ?? []).flatMap(({ from, to }) => bind(from, to, '-o ro')),
    ...(root.network ? networkFiles : []),
  ];
}

/**
 * The host's name servers. Mostly the image's resolv.conf points at systemd-resolved's, below /run, or at another one there: that is where they
 * are put. Where it is a file, as with NetworkManager, they are mounted over it; where there is none, none is made, as it would stay.
 */
const networkFiles = [
  'mkdir -p "$root/run/systemd/resolve"',
  'for name in stub-resolv.conf resolv.conf; do cat /etc/resolv.conf >"$root/run/systemd/resolve/$name"; done',
  'cat /etc/resolv.conf >"$scratch/resolv.conf"',
  'if [ -L "$root/etc/resolv.conf" ]; then',
  '  link=$(readlink "$root/etc/resolv.conf"); place=${link#../run/}; place=${place#/run/}',
  // Only below the tmpfs that /run is.
  '  case $link in *run/*..*) ;; /run/*|../run/*) mkdir -p "$(dirname "$root/run/$place")"; cat /etc/resolv.conf >"$root/run/$place" ;; esac',
  'elif [ -f "$root/etc/resolv.conf" ]; then',
  '  mount --bind -o ro "$scratch/resolv.conf" "$root/etc/resolv.conf"',
  'fi',
];

/** Registers qemu-user for arm64 programs, in this namespace only; `$scratch` is a tmpfs. Nothing to do on an arm64 host. */
export function emulation(tools: NativeTools): string[] {
  if (process.arch === 'arm64') return [];
  const handler = `:piimg-arm64:M::${ARM64_MAGIC}:${ARM64_MASK}:emulator:F`;
  return [
    'binfmt=$scratch/binfmt; mkdir "$binfmt"',
    'if mount -t binfmt_misc binfmt_misc "$binfmt" 2>/dev/null; then',
    // The kernel opens it now (F), from this folder: its whole path may hold the colons that separate the fields.
    `  ln -s ${sh(tools.emulator)} "$scratch/emulator"; (cd "$scratch"; printf %s ${sh(handler)} >"$binfmt/register")`,
    'else',
    // Before Linux 6.7 there is one table for the whole machine, which only its root can fill.
    '  grep -qs enabled /proc/sys/fs/binfmt_misc/qemu-aarch64 || {',
    '    echo "piimg: this kernel has no binfmt_misc in user namespaces (Linux 6.7) and no arm64 handler: run sudo piimg doctor --fix" >&2; exit 4; }',
    'fi',
  ];
}
