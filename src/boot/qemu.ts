// Runs a machine in QEMU for the time of some work: it ends with the work, and with this process whatever ends that.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { dieWithParent, run } from '../host/exec.ts';
import { PiimgError } from '../lib/errors.ts';
import { commandLine, kernelArguments, type BootFiles, type MachineOptions } from './command-line.ts';
import { consoleText } from './console.ts';
import type { Guest } from './guest.ts';
import type { Accelerator, Machine } from './machine.ts';
import { freePorts } from './ports.ts';
import { busySeconds, processorThreads } from './processors.ts';
import { openQmp } from './qmp.ts';
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
  /** Ends the machine. */
  signal?: AbortSignal;
}

/**
 * Switches the machine on for the time of `work`; afterwards it is off, however `work` ended. That a boot fails is no error here:
 * `guest.ended` says so. Throws what `work` throws, and PiimgError when a program is missing.
 */
export async function withGuest<T>(options: BootOptions, work: (guest: Guest) => Promise<T>): Promise<T> {
  await mkdir(options.folder, { recursive: true });
  // A Unix socket's path is short (108 bytes, unix(7)), which that of `folder` need not be.
  const sockets = await mkdtemp(path.join(tmpdir(), 'piimg-'));
  const stop = new AbortController();
  const signal = AbortSignal.any([stop.signal, ...(options.signal ? [options.signal] : [])]);
  try {
    const { guest, off } = await switchOn({ ...options, signal }, sockets);
    try {
      return await work(guest);
    } finally {
      stop.abort();
      await off();
    }
  } finally {
    await rm(sockets, { recursive: true });
  }
}

/** The running machine, and what waits for its end. */
async function switchOn(
  options: BootOptions & { signal: AbortSignal },
  sockets: string,
): Promise<{ guest: Guest; off: () => Promise<void> }> {
  const { machine, accelerator, boot, card, folder, signal } = options;
  const consoleLog = path.join(folder, 'console.log');
  await writeFile(consoleLog, '');
  const { network } = machine;
  const ports = network ? await freePorts(options.forward) : {};
  const segment =
    options.segment && network ? { file: path.join(sockets, 'segment'), mac: network.macs[1] } : undefined;
  const wired = { ports, ...(segment && { segment }) };
  const command = commandLine(machine, { accelerator, boot, card, consoleLog, control: 'process', ...wired });

  const input = new PassThrough();
  const qemu = run(dieWithParent(command), { input, stdout: 'stream', signal });
  const poweredOn = Date.now();
  const exit: Promise<PiimgError | undefined> = qemu.then(
    () => undefined,
    (error: PiimgError) => error,
  );
  const qmp = openQmp(input, qemu.stdout);
  const threads = processorThreads(qmp).catch(() => []);
  const watch = watchMachine(consoleLog, async () => busySeconds(qemu.pid ?? 0, await threads));
  let asked = false;
  const ended = watch.until(exit).then(async ({ reason }) => {
    if (reason !== undefined || signal.aborted) return reason;
    const error = await exit;
    return asked && error === undefined ? undefined : reasonOfEnd(error);
  });

  const guest: Guest = {
    card,
    cmdline: kernelArguments(machine, boot),
    ...wired,
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
      const over = await Promise.race([exit.then(() => true), sleep(seconds * 1000, false, { ref: false })]);
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
