// What a boot test has found: the contract between the test, its reports and the record of boot times.

/**
 * Why a boot failed, for scripts: what was recognised first.
 * `would-not-boot`: the card lacks what the Pi's firmware needs; `qemu`: QEMU could not start or broke off; `no-root`: the
 * initramfs did not find the root file system; `root-damaged`: it found it, but fsck or mount refused; `silent`: nothing on
 * the console and idle processors; `image-changed`: the image file is not what it was before.
 */
export type ReasonCode =
  | 'would-not-boot'
  | 'qemu'
  | 'panic'
  | 'no-root'
  | 'root-damaged'
  | 'emergency'
  | 'power-off'
  | 'silent'
  | 'timeout'
  | 'check'
  | 'image-changed';

export interface Reason {
  code: ReasonCode;
  /** One sentence for the person who must act. */
  message: string;
  hint?: string;
}

/** One line of the check table. */
export interface CheckResult {
  name: string;
  /** `unit`, `tcp`, …: the kinds of src/role/schema/health.ts; `always` for what every role must meet. */
  kind: string;
  status: 'passed' | 'failed' | 'not run';
  /** What was seen, also of a check that passed: `active (running)`, `HTTP 200`. */
  seen: string;
  /** What it was to be; absent where `name` says it. */
  expected?: string;
  /** Seconds after power-on at which it was settled. */
  at: number;
  attempts: number;
}

/** Seconds. `kernel`, `initrd` and `userspace` are the machine's own (systemd-analyze); the others count from power-on. */
export interface BootTimes {
  kernel?: number;
  initrd?: number;
  userspace?: number;
  /** cloud-init has finished. */
  cloudInit?: number;
  /** All health checks pass. */
  health?: number;
  /** From the request to power off to the end of QEMU. */
  powerOff?: number;
}

/** The first boot of an earlier test that passed. */
export interface EarlierTimes extends BootTimes {
  /** Seconds since 1970. */
  started: number;
  buildId: string;
}

/** One boot of the card: the first, and with --reboot the second. */
export interface BootRun {
  checks: CheckResult[];
  times: BootTimes;
  /** SVG of `systemd-analyze plot`. */
  plot?: string;
  /** All the console said, without colours. */
  console: string;
  /** Lines of the console by which the reason was recognised: from, to (0-based, exclusive). */
  marked?: [from: number, to: number];
}

export interface BootReport {
  version: 1;
  verdict: 'passed' | 'failed';
  /** Of a failure: what was recognised first. */
  reason?: Reason;
  image: { file: string; sha256: string; role: string; base: string; buildId: string };
  machine: {
    name: string;
    title: string;
    accelerator: 'kvm' | 'hvf' | 'tcg';
    qemu: string;
    /** How far a boot can be followed there: only to the login prompt, so that nothing is known of its health. */
    reaches?: 'login';
  };
  /** Newest last. */
  boots: BootRun[];
  /** What config.txt asks for and this machine could not do, and the like. */
  warnings: string[];
  /** What a Pi has and this machine has not: said, so that nobody takes silence for proof. */
  notExercised: string[];
  /** The times of the last passed run of the same role on the same machine. */
  earlier?: EarlierTimes;
  /** Seconds since 1970, and how long the whole test took. */
  started: number;
  seconds: number;
}
