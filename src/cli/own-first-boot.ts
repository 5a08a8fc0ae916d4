// The card of a boot test whose base's own first boot is told who it is: the files that say so, and the restarts until it has been told.
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readCard } from '../boot/card.ts';
import type { BootFiles } from '../boot/command-line.ts';
import { readBootFile } from '../boot/firmware/partition.ts';
import { startFiles } from '../boot/firmware/start.ts';
import { wouldNotBoot } from '../boot/firmware/would-not-boot.ts';
import type { Accelerator, Machine } from '../boot/machine.ts';
import { withGuest } from '../boot/qemu.ts';
import type { Patch } from '../flash/write/types.ts';
import { SECTOR } from '../image/mbr.ts';
import { PiimgError } from '../lib/errors.ts';
import { completeNode, type Given } from '../seed/given.ts';
import { recognise } from '../vendor/recognise.ts';
import { withBootPartition } from './boot-partition.ts';
import type { BootImage } from './boot-image.ts';
import { isAgents, prepare } from './customizing.ts';
import { patchesFor } from './flashing/foreign.ts';
import { withImageView } from './image-view.ts';

/**
 * Bytes of a card of `image` by which its first boot is told of this user; what the agent is told stays as in the image. Throws the finding
 * (`reasonOf`) that it cannot be told.
 */
export async function loginPatches(
  image: string,
  { node, user, key }: { node: string; user: string; key: string },
  signal: AbortSignal,
): Promise<Required<Patch>[]> {
  const given: Given = { node, user, keys: [key], addresses: [], dns: [], variables: {}, secrets: {} };
  try {
    return await withImageView(image, async (view, { read }) => {
      const found = await recognise(view);
      const { edits, offset } = await prepare(completeNode(undefined, given), view, found, { signal });
      const told = edits.filter(({ path: name }) => !isAgents(name));
      return await patchesFor(read, { offset, what: image }, told, signal);
    });
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof PiimgError)) throw error;
    throw wouldNotBoot(`its first boot cannot be told of a login: ${error.message}`, error.hint ?? LOOK);
  }
}

export interface OwnCard {
  image: BootImage;
  machine: Machine;
  accelerator: Accelerator;
  /** As makeCard has made it. */
  card: string;
  folder: string;
  /** Gets what the console has said, boot by boot. */
  consoles: string[];
}

/** A firstrun.sh restarts the machine once, and what it has set up may once more. */
const MOST_BOOTS = 3;
/** Seconds for each, on an emulated Pi. */
const PATIENCE = 900;

/**
 * Switches the machine on until cmdline.txt names no script of the first boot any more; what the firmware starts then. Throws the finding
 * (`reasonOf`) that the first boot does not come to its end, or that a step of it failed.
 */
export async function throughFirstBoot(
  own: OwnCard,
  { signal, tell }: { signal: AbortSignal; tell: (message: string) => void },
): Promise<{ boot: BootFiles; warnings: string[] }> {
  const { machine, accelerator, card, folder, consoles } = own;
  for (let count = 1; ; count++) {
    const started = await filesOn(own);
    if (!/(^| )systemd\.run=/.test(started.boot.cmdline)) return started;
    if (count > MOST_BOOTS) throw wouldNotBoot(`its first boot has begun ${MOST_BOOTS} times`, LOOK);
    tell("its base's own first boot, which restarts it");
    const place = path.join(folder, `first-boot-${count}`);
    const options = { machine, accelerator, boot: started.boot, card, folder: place, forward: [], signal };
    const reason = await withGuest(options, async (guest) => {
      const end = await Promise.race([guest.ended, sleep(PATIENCE * 1000, TOO_LONG, { ref: false })]);
      consoles.push(await guest.console());
      return end;
    });
    signal.throwIfAborted();
    // Off by itself: QEMU ends where a Pi would restart.
    if (reason !== undefined && reason.code !== 'power-off')
      throw wouldNotBoot(`its first boot did not come to an end: ${reason.message}`, LOOK);
  }
}

const TOO_LONG = { code: 'timeout', message: `it took longer than ${PATIENCE} s` } as const;
const LOOK = 'piimg inspect says what the first boot is told; its console is in the report.';
/** Where a firstrun.sh of piimg's notes its failures. */
const FAILED = 'firstrun-failed.txt';

/** As the card is now. */
async function filesOn({ image, machine, card, folder }: OwnCard): Promise<Awaited<ReturnType<typeof startFiles>>> {
  const [boot] = image.partitions;
  const copy = path.join(folder, 'beginning.img');
  await readCard(card, copy, ((boot?.start ?? 0) + (boot?.sectors ?? 0)) * SECTOR);
  try {
    return await withBootPartition(copy, async (partition) => {
      const failed = await partition.find(FAILED);
      if (failed !== undefined)
        throw wouldNotBoot(`a step of its first boot failed: ${(await readBootFile(failed)).toString().trim()}`, LOOK);
      return startFiles(partition, machine, folder);
    });
  } finally {
    await rm(copy, { force: true });
  }
}
