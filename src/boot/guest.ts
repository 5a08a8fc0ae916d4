// A machine under way: what checks, reports and tests may ask of it.
import type { Reason } from './report.ts';

export interface Guest {
  /** The throw-away card: a qcow2 over the image, whose changes stay in it for a second boot. */
  card: string;
  /** The kernel's arguments, as the machine got them. */
  cmdline: string;
  /** Port on 127.0.0.1 by the guest's port. QEMU accepts TCP even for a stopped guest: only bytes from the guest are an answer. */
  ports: Record<number, number>;
  /** With `segment` asked for, the wire of the machine's second network card. */
  segment?: Segment;
  /** Milliseconds since 1970 at which it was switched on. */
  poweredOn: number;
  /** All the console has said, without colours. */
  console(): Promise<string>;
  /** Lines of the console to look at first, once a reason is known: from, to (0-based, exclusive). */
  marked(): [from: number, to: number] | undefined;
  /**
   * Settles when the boot is over: with the first reason why it cannot go well, recognised from the console, from the processors or
   * from QEMU itself, even if the machine still runs; with `undefined` when it went off because `powerOff` asked it to.
   */
  ended: Promise<Reason | undefined>;
  /**
   * Asks the machine to switch itself off, by its power button or, where it has none (`powerButton`), by `ask` alone; returns the
   * seconds it took. Throws PiimgError when it still runs after `seconds`, or when something else ended it.
   */
  powerOff(seconds: number, ask?: () => Promise<unknown>): Promise<number>;
  /** Whether the machine has a power button that QEMU can press. */
  powerButton: boolean;
}

export interface Segment {
  /** Unix socket on which QEMU takes one connection at a time: each Ethernet frame after its length in four bytes. */
  file: string;
  /** Address of the machine's card. */
  mac: string;
}
