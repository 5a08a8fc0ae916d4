// QEMU's command line for a machine with a card: a pure function, so that every machine's is a golden file.
import type { Accelerator, Machine } from './machine.ts';
import type { Segment } from './guest.ts';

/** What the Raspberry Pi's firmware would start, as files on the host. */
export interface BootFiles {
  kernel: string;
  initramfs?: string;
  /** Used by machines that take the card's. */
  deviceTree: string;
  /** One line: cmdline.txt, as the firmware hands it on. */
  cmdline: string;
}

export interface MachineOptions {
  accelerator: Accelerator;
  boot: BootFiles;
  /** A qcow2. */
  card: string;
  /** File that keeps what the console says. */
  consoleLog: string;
  /**
   * `process`: QMP on stdin and stdout; `terminal`: the console on them, with QEMU's monitor behind Ctrl-A C, and Ctrl-A X that
   * leaves.
   */
  control: 'process' | 'terminal';
  /** Port on 127.0.0.1 by the guest's port. */
  ports: Record<number, number>;
  /** Gives the machine a second network card on that wire. */
  segment?: Segment;
  /** A file that is there, for every write and flush of the card in their order: dm-log-writes' format. */
  writeLog?: string;
}

/** The program and its arguments. */
export function commandLine(machine: Machine, options: MachineOptions): string[] {
  const { accelerator, boot } = options;
  const { cpu } = accelerator;
  return [
    ['qemu-system-aarch64', '-display', 'none', '-monitor', 'none', '-no-reboot'],
    ['-accel', accelerator.name, '-machine', accelerator.machine, ...(cpu === undefined ? [] : ['-cpu', cpu])],
    ['-smp', String(machine.processors), '-m', String(machine.memory), ...machine.options],
    consoles(machine, options),
    card(machine, options),
    network(machine, options),
    machine.devices.flatMap((device) => ['-device', device]),
    ['-kernel', boot.kernel, ...(boot.initramfs === undefined ? [] : ['-initrd', boot.initramfs])],
    machine.firmware.deviceTree === 'card' ? ['-dtb', boot.deviceTree] : [],
    ['-append', kernelArguments(machine, boot)],
  ].flat();
}

/** What the kernel gets: cmdline.txt and, so that they count, the machine's own after it. */
export function kernelArguments(machine: Machine, boot: BootFiles): string {
  return [boot.cmdline, ...machine.cmdline].join(' ');
}

function consoles({ serials, console }: Machine, { consoleLog, control }: MachineOptions): string[] {
  const log = `logfile=${escaped(consoleLog)}`;
  const backend = control === 'terminal' ? 'stdio,id=console,mux=on,signal=off' : 'null,id=console';
  return [
    '-chardev',
    `${backend},${log}`,
    ...(control === 'terminal' ? ['-mon', 'chardev=console'] : ['-qmp', 'stdio']),
    ...serials.flatMap((serial) => ['-serial', serial === console ? 'chardev:console' : 'null']),
  ];
}

/** Nothing of the card has to survive the host: unsafe leaves out what only makes it last, and so makes boots quicker. */
function card({ card: { device } }: Machine, { card: file, writeLog }: MachineOptions): string[] {
  if (device !== undefined && writeLog !== undefined) {
    // Flushes reach the log, which lies above the card, and go no further.
    const disk = `driver=qcow2,node-name=disk,cache.no-flush=on,file.driver=file,file.filename=${escaped(file)}`;
    const log = `log.driver=file,log.filename=${escaped(writeLog)},log-sector-size=512`;
    const logged = `driver=blklogwrites,node-name=card,file=disk,${log}`;
    return ['-blockdev', disk, '-blockdev', logged, '-device', `${device},drive=card`];
  }
  const image = `format=qcow2,cache=unsafe,file=${escaped(file)}`;
  if (device === undefined) return ['-drive', `if=sd,${image}`];
  return ['-drive', `if=none,id=card,${image}`, '-device', `${device},drive=card`];
}

function network({ network: cards }: Machine, { ports, segment }: MachineOptions): string[] {
  if (cards === undefined) return ['-nic', 'none'];
  const forwards = Object.entries(ports).map(([guest, host]) => `hostfwd=tcp:127.0.0.1:${host}-:${guest}`);
  const first = ['-netdev', ['user,id=net0', ...forwards].join(','), '-device', networkCard(cards, 0)];
  if (segment === undefined) return first;
  const wire = `stream,id=net1,server=on,addr.type=unix,addr.path=${escaped(segment.file)}`;
  return [...first, '-netdev', wire, '-device', networkCard(cards, 1)];
}

function networkCard({ device, macs }: NonNullable<Machine['network']>, number: 0 | 1): string {
  return `${device},netdev=net${number},mac=${macs[number]}`;
}

/** In an option's value QEMU reads two commas as one. */
const escaped = (value: string): string => value.replaceAll(',', ',,');
