// The part of a flash that needs the devices: unmount, open, discard, write, look again. In this process, or alone in one of root's.
import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { open, rename, rm, stat, truncate, type FileHandle } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { discardDisk, fittedBlock, queueOf, rescanDisk, unmountDisk } from '../../host/card-upkeep.ts';
import { giveBack } from '../../host/give-back.ts';
import { openDisk, requireSameDisk, type DiskIdentity } from '../../host/open-disk.ts';
import { requireUnwritten } from '../../host/writers.ts';
import { BLOCK, wholeBlocks } from '../../flash/write/chunks.ts';
import { sharedMemory } from '../../flash/write/memory.ts';
import type { CardToWrite, FlashedCard, FlashJob, Patch, Tell } from '../../flash/write/types.ts';
import type { StartReader } from '../../flash/write/reader.ts';
import { writeCards } from '../../flash/write/write-cards.ts';

/** A card, or a file that is to be as one. */
export interface WriterCard {
  name: string;
  disk?: DiskIdentity;
  file?: string;
  patches: Patch[];
  resumeFrom: number;
}

/** What of the last block is the card's own: an image need not end on one. Files end as it does. */
function tailOf(size: number | undefined): Patch[] {
  const end = wholeBlocks(size ?? 0);
  return size === undefined || end === size ? [] : [{ offset: size, length: end - size }];
}

export interface WriterPlan extends Omit<FlashJob, 'cards'> {
  cards: WriterCard[];
  /** Have disks forget what was on them first, where they can. */
  discard: boolean;
}

interface Opened extends WriterCard {
  handle: FileHandle;
  size: number;
  /** Beside the file that is to be: only a whole one gets its name. */
  part?: string;
}

/** Throws PiimgError (refused) before a byte is written when one of the disks cannot be had. */
export async function runWriter(
  plan: WriterPlan,
  tell: Tell,
  options: { signal: AbortSignal; startReader?: StartReader },
): Promise<FlashedCard[]> {
  const { signal } = options;
  const changes = plan.mode !== 'verify';
  const cards = await openAll(plan, signal);
  let flashed: FlashedCard[] = [];
  try {
    const ready = cards.map(async (card): Promise<CardToWrite> => {
      const state = plan.discard && changes ? await discard(card, tell, signal) : {};
      const tail = changes || card.disk === undefined ? [] : tailOf(plan.size);
      const queue = card.disk && (await queueOf(card.disk.path));
      return {
        ...card,
        fd: card.handle.fd,
        patches: [...card.patches, ...tail],
        ...(queue && { block: fittedBlock(queue) }),
        ...state,
      };
    });
    const together = plan.source.rereadable ? await inTime(ready) : ready;
    const groups = [together, ...ready.filter((card) => !together.includes(card)).map((card) => [card])];
    const written = await Promise.all(
      groups.map(async (group) => writeCards({ ...plan, cards: await Promise.all(group) }, tell, options)),
    );
    const ended = new Map(written.flat().map((one) => [one.name, one]));
    flashed = plan.cards.flatMap(({ name }) => ended.get(name) ?? []);
    await Promise.all(cards.map((card, index) => settleFile(card, flashed[index])));
    return flashed;
  } finally {
    await closeAll(cards);
    // One that does not answer would be waited for.
    const whole = plan.cards.filter((_, index) => changes && flashed[index] && flashed[index].problem === undefined);
    await Promise.all(whole.map(async ({ disk }) => disk && rescanDisk(disk.path)));
  }
}

/** All of them before anything is lost on one; from then on nobody else has them. */
async function openAll({ cards, mode }: WriterPlan, signal: AbortSignal): Promise<Opened[]> {
  const changes = mode !== 'verify';
  for (const { disk } of cards) if (disk !== undefined) await requireSameDisk(disk);
  const opened: Opened[] = [];
  try {
    for (const card of cards) {
      const { disk, file = '' } = card;
      if (disk === undefined) {
        opened.push({ ...card, ...(changes ? await newFile(file) : await oldFile(file)) });
        continue;
      }
      if (changes) await unmountDisk(disk.path, signal);
      opened.push({ ...card, handle: await openDisk(disk, changes), size: disk.size });
      // O_EXCL keeps away mounts and other flashers, not dd. As root, all processes are seen.
      if (changes) await requireUnwritten(disk.path, { opened: true });
    }
    return opened;
  } catch (error) {
    await closeAll(opened);
    throw error;
  }
}

async function oldFile(file: string): Promise<Pick<Opened, 'handle' | 'size'>> {
  const handle = await open(file);
  return { handle, size: (await stat(file)).size };
}

/**
 * It has the size of what is written to it. Nobody else may read it, or have put anything in its place. What is read back comes from the disk,
 * where its file system can do that (O_DIRECT of open(2), which macOS has not).
 */
async function newFile(file: string): Promise<Pick<Opened, 'handle' | 'size' | 'part'>> {
  const part = `${file}.${randomUUID().slice(0, 8)}.part`;
  const { O_RDWR, O_CREAT, O_EXCL } = constants;
  const create = (more: number): Promise<FileHandle> => open(part, O_RDWR | O_CREAT | O_EXCL | more, 0o600);
  const handle = await direct(() => create(constants.O_DIRECT ?? 0)).catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EINVAL') throw error;
    // It was made before it was refused.
    await rm(part, { force: true });
    return create(0);
  });
  return { handle, size: Infinity, part };
}

/** What `opened` opens, once it has taken a block: some file systems refuse that only. */
async function direct(opened: () => Promise<FileHandle>): Promise<FileHandle> {
  const handle = await opened();
  try {
    await handle.write(sharedMemory(BLOCK), 0, BLOCK, 0);
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

async function closeAll(cards: Opened[]): Promise<void> {
  for (const { handle, part } of cards) {
    await handle.close();
    if (part !== undefined) await rm(part, { force: true });
  }
}

/** Milliseconds: large cards take half a minute; the kernel itself waits no longer for an answer. */
const DISCARD_LIMIT = 180_000;

/** Milliseconds that the first card waits for others which are not emptied yet. */
const TOGETHER = 2000;

/** The cards that are ready nearly as soon as the first one: they share a reading. None waits long for one that takes its time. */
async function inTime(cards: Promise<CardToWrite>[]): Promise<Promise<CardToWrite>[]> {
  const ready = new Set<Promise<CardToWrite>>();
  const all = Promise.all(cards.map((card) => card.then(() => ready.add(card))));
  await Promise.race(cards);
  await Promise.race([all, sleep(TOGETHER, undefined, { ref: false })]);
  return cards.filter((card) => ready.has(card));
}

/** What it comes to for the card. One that hangs may not keep the others, nor Ctrl-C. */
async function discard(
  { name, disk, handle, resumeFrom }: Opened,
  tell: Tell,
  signal: AbortSignal,
): Promise<Pick<CardToWrite, 'emptied' | 'dead'>> {
  if (disk === undefined || resumeFrom > 0) return {};
  const limit = AbortSignal.any([signal, AbortSignal.timeout(DISCARD_LIMIT)]);
  const aborted = new Promise<undefined>((resolve) => limit.addEventListener('abort', () => resolve(undefined)));
  const discarding = discardDisk(disk.path, handle.fd, BLOCK, limit);
  const discarded = await Promise.race([discarding, aborted]).catch(() => undefined);
  if (discarded === 'discarded') tell(name, { type: 'note', message: 'discarded' });
  if (discarded !== undefined) return { emptied: discarded === 'untouched' ? 'no' : 'yes' };
  return signal.aborted ? { emptied: 'perhaps' } : { dead: true };
}

async function settleFile({ file, part, handle, patches }: Opened, flashed: FlashedCard | undefined): Promise<void> {
  if (file === undefined || part === undefined) return;
  if (flashed?.imageSize === undefined || flashed.problem !== undefined) return;
  await truncate(part, flashed.imageSize);
  // With an identity it may hold secrets.
  if (patches.length === 0) await handle.chmod(0o644);
  await handle.sync();
  await rename(part, file);
  await giveBack(file);
}
