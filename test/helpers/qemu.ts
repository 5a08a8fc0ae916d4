// Boots an image as `piimg test` does, for tests that look at the machine themselves.
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BootFiles } from '../../src/boot/command-line.ts';
import { makeCard, type Patch } from '../../src/boot/card.ts';
import { startFiles } from '../../src/boot/firmware/start.ts';
import type { Guest } from '../../src/boot/guest.ts';
import { chooseAccelerator, loadMachine, qemuFor, thisHost, type Machine } from '../../src/boot/machine.ts';
import { withGuest } from '../../src/boot/qemu.ts';
import { withBootPartition } from '../../src/cli/boot-partition.ts';
import { packageRoot } from '../../src/host/package-root.ts';

/** Lines of the console that a failure shows. */
const TAIL = 60;

export interface TestGuest extends Pick<
  Guest,
  'card' | 'cmdline' | 'ports' | 'segment' | 'poweredOn' | 'console' | 'ended' | 'powerOff'
> {
  /** Until the console has said it; fails when the boot ends before. */
  said(pattern: RegExp): Promise<RegExpExecArray>;
  /** Until `attempt` gives something; a rejection counts as nothing yet. Fails when the boot ends before. */
  until<T>(what: string, attempt: () => Promise<T | undefined>): Promise<T>;
}

export interface TestBoot {
  machine: string;
  image: string;
  folder: string;
  forward?: number[];
  minutes: number;
  /** Bytes to put on the card. */
  patches?: Patch[];
  /** Makes another machine of it. */
  change?: (machine: Machine) => Machine;
  /** With a second network card. */
  segment?: boolean;
  /** Instead of what the firmware would start. */
  boot?: BootFiles;
  /** For every write of the card. */
  writeLog?: string;
}

/** Boots `image` for the time of `work`, at most `minutes`. Whatever fails carries the end of the console. */
export async function withQemu<T>(options: TestBoot, work: (guest: TestGuest) => Promise<T>): Promise<T> {
  const { image, folder, forward = [], minutes, patches = [], segment = false, writeLog, change } = options;
  const loaded = await loadMachine(options.machine, [path.join(packageRoot, 'qemu/machines')]);
  const machine = change?.(loaded) ?? loaded;
  await qemuFor(machine);
  await mkdir(folder, { recursive: true });
  const boot = options.boot ?? (await bootFiles(machine, image, folder));
  const card = await makeCard(machine, image, folder, patches);
  const accelerator = chooseAccelerator(machine, await thisHost());
  const signal = AbortSignal.timeout(minutes * 60_000);

  const recorded = writeLog === undefined ? {} : { writeLog };
  return withGuest(
    { machine, accelerator, boot, card, folder, forward, segment, signal, ...recorded },
    async (guest) => {
      const over = guest.ended.then((reason) => {
        if (signal.aborted) return `not done within ${minutes} minutes`;
        return reason === undefined ? 'the machine is off' : `${reason.code}: ${reason.message}`;
      });
      const until: TestGuest['until'] = async (what, attempt) => {
        for (;;) {
          const end = await Promise.race([over, sleep(500)]);
          const found = await attempt().catch(() => undefined);
          if (found !== undefined) return found;
          if (end !== undefined) throw new Error(`${machine.name}: waiting for ${what}, ${end}`);
        }
      };
      const said: TestGuest['said'] = (pattern) =>
        until(`${pattern} on the console`, async () => pattern.exec(await guest.console()) ?? undefined);
      try {
        return await work({ ...guest, said, until });
      } catch (error) {
        const tail = (await guest.console()).trimEnd().split('\n').slice(-TAIL);
        (error as Error).message += `\nThe console's last lines:\n  ${tail.join('\n  ')}`;
        throw error;
      }
    },
  );
}

/** What the firmware of the machine's board would start. Throws its finding when that is nothing. */
export function bootFiles(machine: Machine, image: string, folder: string): Promise<BootFiles> {
  return withBootPartition(image, async (partition) => (await startFiles(partition, machine, folder)).boot);
}
