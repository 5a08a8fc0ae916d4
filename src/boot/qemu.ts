// Runs a machine in QEMU for the time of some work: it ends with the work, and with this process whatever ends that.
import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { dieWithParent, run } from '../host/exec.ts';
import { makeWorkFolder } from '../host/work-folder.ts';
import { PiimgError } from '../lib/errors.ts';
import { commandLine, kernelArguments, type BootFiles, type MachineOptions } from './command-line.ts';
import { consoleText } from './console.ts';
import type { Guest } from './guest.ts';
import type { Accelerator, Machine } from './machine.ts';
import { freePorts } from './ports.ts';
import { busySeconds, processorThreads } from './processors.ts';
import { openQmp, type Qmp, type QmpEvent } from './qmp.ts';
import type { Reason } from './report.ts';
import { watchMachine } from './watch.ts';

export interface BootOptions {
  machine: Machine;
  accelerator: Accelerator;
  boot: BootFiles;
  /** As makeCard has made it. */
  card: string;
  /** For what QEMU writes: `console.log`. */
  folder: string;
  /** TCP ports of the guest to reach it at. */
  forward: number[];
  /** Gives the machine a second network card on a wire of its own. */
  segment?: boolean;
  /** Records every write: of machines whose card is a device of their own (virt). */
  writeLog?: string;
  /** Ends the machine. */
  signal?: AbortSignal;
}

/**
 * Switches the machine on for the time of `work`; afterwards it is off, however `work` ended. That a boot fails is no error here:
 * `guest.ended` says so. Throws what `work` throws, and PiimgError for what is this computer's failure: a program is missing, or
 * QEMU cannot read or write the card, whatever `work` makes of that.
 */
export async function withGuest<T>(options: BootOptions, work: (guest: Guest) => Promise<T>): Promise<T> {
  await mkdir(options.folder, { recursive: true });
  // A Unix socket's path is short (108 bytes, unix(7)), which that of `folder` need not be.
  const sockets = await makeWorkFolder('wire');
  const stop = new AbortController();
  let fault: PiimgError | undefined;
  const onFault = (error: PiimgError): void => {
    fault ??= error;
    stop.abort(fault);
  };
  const signal = AbortSignal.any([stop.signal, ...(options.signal ? [options.signal] : [])]);
  try {
    const { guest, off } = await switchOn({ ...options, signal }, sockets, onFault);
    return await work(guest).finally(async () => {
      stop.abort();
      await off();
      if (fault !== undefined) throw fault;
    });
  } finally {
    await rm(sockets, { recursive: true });
  }
}

/** The running machine, and what waits for its end. */
async function switchOn(
  options: BootOptions & { signal: AbortSignal },
  sockets: string,
  onFault: (error: PiimgError) => void,
): Promise<{ guest: Guest; off: () => Promise<void> }> {
  const { machine, accelerator, boot, card, folder, writeLog, signal } = options;
  const consoleLog = path.join(folder, 'console.log');
  await writeFile(consoleLog, '');
  const { network } = machine;
  const segment =
    options.segment && network ? { file: path.join(sockets, 'segment'), mac: network.macs[1] } : undefined;
  const common = {
    accelerator,
    boot,
    card,
    consoleLog,
    control: 'process',
    ...(segment && { segment }),
    ...(writeLog !== undefined && { writeLog }),
  } as const;
  const { ports, exit, qmp, poweredOn, pid, threads } = await startQemu(
    (free) => commandLine(machine, { ...common, ports: free }),
    network ? options.forward : [],
    { signal, onFault },
  );
  const watch = watchMachine(consoleLog, () => busySeconds(pid, threads));
  let asked = false;
  const ended = watch.until(exit).then(async ({ reason }) => {
    if (reason !== undefined || signal.aborted) return reason;
    const error = await exit;
    return asked && error === undefined ? undefined : reasonOfEnd(error);
  });

  const guest: Guest = {
    card,
    cmdline: kernelArguments(machine, boot),
    ports,
    ...(segment && { segment }),
    poweredOn,
    console: async () => consoleText(await watch.seen()),
    marked: () => watch.last().marked,
    ended,
    powerButton: machine.powerButton,
    async powerOff(seconds, ask) {
      const since = performance.now();
      asked = true;
      watch.mayGoOff();
      if (machine.powerButton) await qmp('system_powerdown');
      else await ask?.();
      const over = await Promise.race([ended.then(() => true), sleep(seconds * 1000, false, { ref: false })]);
      signal.throwIfAborted();
      if (!over) throw new PiimgError(`The machine did not switch itself off within ${seconds} s`);
      const reason = await ended;
      if (reason !== undefined) throw new PiimgError(reason.message);
      return (performance.now() - since) / 1000;
    },
  };
  const off = async (): Promise<void> => {
    await Promise.all([exit, ended]);
    await watch.close();
  };
  return { guest, off };
}

interface Qemu {
  pid: number;
  /** Port on 127.0.0.1 by the guest's port. */
  ports: Record<number, number>;
  /** The error QEMU ended with, if any. */
  exit: Promise<PiimgError | undefined>;
  qmp: Qmp;
  poweredOn: number;
  /** Of its processors; none of a QEMU that could not start. */
  threads: number[];
}

/** How often QEMU may find that another program took one of its ports, between our look for free ones and its start. */
const TRIES = 5;
const PORT_TAKEN = 'Could not set up host forwarding rule';

async function startQemu(
  command: (ports: Record<number, number>) => string[],
  forward: number[],
  { signal, onFault }: { signal: AbortSignal; onFault: (error: PiimgError) => void },
): Promise<Qemu> {
  for (let tries = 1; ; tries++) {
    const ports = await freePorts(forward);
    const input = new PassThrough();
    const onLine = (line: string): void => void (HOST_SIDE.test(line) && onFault(cardFault(line)));
    const qemu = run(dieWithParent(command(ports)), { input, stdout: 'stream', signal, onLine });
    const poweredOn = Date.now();
    const exit = qemu.then(
      () => undefined,
      (error: PiimgError) => error,
    );
    const qmp = openQmp(input, qemu.stdout, (event) => {
      if (event.event === 'BLOCK_IO_ERROR') onFault(cardFault(reasonIn(event)));
    });
    // Its first answer comes when all is set up; a QEMU that gives none has ended.
    const threads = await processorThreads(qmp).catch(() => undefined);
    const taken = threads === undefined && (await exit)?.detail?.includes(PORT_TAKEN);
    if (!taken || tries === TRIES) return { pid: qemu.pid ?? 0, ports, exit, qmp, poweredOn, threads: threads ?? [] };
  }
}

/** What QEMU's SD card (hw/sd/sd.c) has instead of events; the machine is not told. */
const HOST_SIDE = /\b(read|write) error on host side/;

const reasonIn = ({ data }: QmpEvent): string => (data as { reason?: string } | undefined)?.reason ?? 'unknown reason';

/** The machine's card is a file here: that it cannot be read or written is never the image's fault. */
function cardFault(reason: string): PiimgError {
  return new PiimgError(`This computer could not read or write the card of the machine: ${reason}`, {
    hint: `Is the disk full that holds the temporary files? TMPDIR names another place for them.`,
  });
}

/** What it means that QEMU ended by itself. */
function reasonOfEnd(error: PiimgError | undefined): Reason {
  if (error === undefined) return { code: 'power-off', message: 'The machine switched itself off or restarted' };
  const [said] = (error.detail ?? error.message).trim().split('\n').slice(-1);
  return { code: 'qemu', message: `QEMU could not run the machine: ${said}` };
}

/** Runs the machine with its console in this terminal until it goes off, or the user leaves with Ctrl-A X. */
export async function bootInTerminal(
  machine: Machine,
  options: Omit<MachineOptions, 'control' | 'segment'>,
  signal: AbortSignal,
): Promise<void> {
  const command = commandLine(machine, { ...options, control: 'terminal' });
  await run(dieWithParent(command), { stdout: 'inherit', signal });
}
