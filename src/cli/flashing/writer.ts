// The part of a flash that needs the devices: unmount, discard, open, write, look again. In this process, or alone in one of root's.
import { open, rename, rm, stat, truncate, type FileHandle } from 'node:fs/promises';
import { discardDisk, rescanDisk, unmountDisk } from '../../host/card-upkeep.ts';
import { openDisk, type DiskIdentity } from '../../host/open-disk.ts';
import type { FlashedCard, FlashJob, Patch, Tell } from '../../flash/write/types.ts';
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

export interface WriterPlan extends Omit<FlashJob, 'cards'> {
  cards: WriterCard[];
  /** Have disks forget what was on them first, where they can. */
  discard: boolean;
}

interface Opened extends WriterCard {
  handle: FileHandle;
  size: number;
}

/** Throws PiimgError (refused) before a byte is written when one of the disks cannot be had. */
export async function runWriter(
  plan: WriterPlan,
  tell: Tell,
  options: { signal: AbortSignal; startReader?: StartReader },
): Promise<FlashedCard[]> {
  const { signal } = options;
  const changes = plan.mode !== 'verify';
  for (const { disk } of plan.cards) if (disk !== undefined && changes) await unmountDisk(disk.path, signal);
  // All of them once before anything is lost on one of them; a disk that is open cannot be discarded.
  const tried = await openAll(plan);
  if (plan.discard && changes) {
    await closeAll(tried);
    for (const { name, disk, resumeFrom } of plan.cards) {
      if (disk === undefined || resumeFrom > 0) continue;
      if (await discardDisk(disk.path, signal)) tell(name, { type: 'note', message: 'discarded' });
    }
  }
  const cards = plan.discard && changes ? await openAll(plan) : tried;
  try {
    const job = { ...plan, cards: cards.map(({ handle, ...card }) => ({ ...card, fd: handle.fd })) };
    const flashed = await writeCards(job, tell, options);
    if (changes) await Promise.all(cards.map((card, index) => settleFile(card, flashed[index])));
    return flashed;
  } finally {
    await closeAll(cards);
    for (const { disk } of plan.cards) if (disk !== undefined && changes) await rescanDisk(disk.path);
  }
}

async function openAll({ cards, mode }: WriterPlan): Promise<Opened[]> {
  const opened: Opened[] = [];
  try {
    for (const card of cards) {
      const { disk, file = '' } = card;
      if (disk !== undefined)
        opened.push({ ...card, handle: await openDisk(disk, mode !== 'verify'), size: disk.size });
      else if (mode === 'verify') opened.push({ ...card, handle: await open(file), size: (await stat(file)).size });
      // A file has the size of what is written to it.
      else opened.push({ ...card, handle: await open(partOf(file), 'w+', 0o600), size: Infinity });
    }
    return opened;
  } catch (error) {
    await closeAll(opened);
    throw error;
  }
}

const partOf = (file: string): string => `${file}.part`;

async function closeAll(cards: Opened[]): Promise<void> {
  for (const { handle } of cards) await handle.close();
}

/** Only a whole one gets its name. */
async function settleFile({ file, patches }: Opened, flashed: FlashedCard | undefined): Promise<void> {
  if (file === undefined) return;
  const part = partOf(file);
  if (flashed?.imageSize === undefined || flashed.problem !== undefined) return rm(part, { force: true });
  await truncate(part, flashed.imageSize);
  const handle = await open(part, 'r+');
  try {
    // With an identity it may hold secrets.
    if (patches.length === 0) await handle.chmod(0o644);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(part, file);
}
