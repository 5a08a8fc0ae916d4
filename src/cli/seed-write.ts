// Writes a seed onto an image or a card: over the files' own bytes where they are whole, by mtools where they are not.
import { rm, symlink, writeFile, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { run } from '../host/exec.ts';
import { mountPointsOf } from '../host/mounted.ts';
import { makeWorkFolder } from '../host/work-folder.ts';
import { writeAll } from '../image/copy.ts';
import { readerOf } from '../image/ranges.ts';
import { EXIT, PiimgError } from '../lib/errors.ts';
import type { NodeSlot } from '../seed/node-slots.ts';
import { checkWritten } from './boot-copy.ts';
import {
  findResult,
  findSlots,
  freeBytes,
  readTexts,
  withWritableCard,
  type FoundSlot,
  type SeedCard,
} from './seed-card.ts';

type WritableCard = SeedCard<FileHandle>;

export type Contents = Record<NodeSlot, Buffer>;

/**
 * Writes all contents, each as long as its slot, and reads them back. Throws PiimgError (refused) when it is a device in use or none of
 * piimg's. `signal` stops it before the first byte only: a seed by halves is nobody's. What is not `durable` need not outlive a cut.
 */
export async function writeSeed(
  file: string,
  contents: Contents,
  { durable, signal }: { durable: boolean; signal?: AbortSignal },
): Promise<void> {
  await withWritableCard(file, { exitCode: EXIT.refused }, async (card) => {
    if (card.block) await refuseMounted(file);
    signal?.throwIfAborted();
    const broken = (await findSlots(card)).filter((slot) => !isWhole(slot));
    if (broken.length > 0) {
      await requireRoom(card, broken);
      await rewrite(card, broken, contents);
    }
    const slots = await findSlots(card);
    // How it went with another document says nothing of this one; with the same, the machine does not begin once more.
    const same = (await readTexts(card))['piimg.json'] === contents['piimg.json'].toString();
    const result = same ? undefined : await findResult(card);
    if (result !== undefined) await put(card, result, Buffer.alloc(result.length, '\n'));
    // The instance id last, when all else is on the card: as long as it is the old one, cloud-init takes nothing of this for news.
    for (const slot of slots.sort((a, b) => Number(a.name === 'meta-data') - Number(b.name === 'meta-data'))) {
      if (durable && slot.name === 'meta-data') await card.handle.sync();
      await overwrite(card, slot, contents[slot.name]);
    }
    if (durable) await card.handle.sync();
    for (const slot of slots) await compare(card, slot, contents[slot.name]);
    // The files' own bytes are no business of the file system's.
    if (broken.length > 0) await checkWritten(readerOf(card.handle), { offset: card.start, what: file });
  });
}

/** Throws PiimgError (refused) for a device that is mounted, or a partition of it. Of other systems it is not known. */
export async function refuseMounted(device: string): Promise<void> {
  const [place] = (await mountPointsOf(device)) ?? [];
  if (place === undefined) return;
  throw new PiimgError(`${device} is mounted at ${place}`, {
    exitCode: EXIT.refused,
    hint: 'Unmount it, then run the command again.',
  });
}

/** Before a file is taken away that cannot be put back; for the clusters of a folder that grows, one more. */
async function requireRoom(card: SeedCard, slots: FoundSlot[]): Promise<void> {
  const [free, wanted] = [await freeBytes(card), slots.reduce((sum, { length }) => sum + length + 4096, 0)];
  if (free >= wanted) return;
  const names = slots.map(({ name }) => name).join(', ');
  throw new PiimgError(
    `The boot partition of ${card.file} has no room for ${names}: ${wanted} bytes, ${free} are free`,
    {
      hint: 'Remove files from it that you have put there.',
    },
  );
}

/** A computer that edits a file may write it elsewhere, shorter or longer than it was. */
const isWhole = ({ entry, length }: FoundSlot): boolean =>
  entry !== undefined && entry.size === length && entry.ranges.reduce((sum, range) => sum + range.length, 0) >= length;

async function overwrite(card: WritableCard, slot: FoundSlot, content: Buffer): Promise<void> {
  if (!isWhole(slot)) throw new PiimgError(`${slot.name} could not be made anew on the boot partition of ${card.file}`);
  await put(card, slot, content);
}

async function put({ handle }: WritableCard, slot: Pieces, content: Buffer): Promise<void> {
  for (const { offset, from, to } of pieces(slot)) {
    await writeAll(handle, content.subarray(from, to), offset);
  }
}

async function compare({ handle, file }: SeedCard, slot: FoundSlot, content: Buffer): Promise<void> {
  const read = readerOf(handle);
  for (const { offset, from, to } of pieces(slot)) {
    if ((await read(offset, to - from)).equals(content.subarray(from, to))) continue;
    throw new PiimgError(`${slot.name} reads differently from what was written to ${file}`, {
      hint: 'The card may be worn out or counterfeit: try another one.',
    });
  }
}

/** Which bytes of a slot lie in each range of its file. */
type Pieces = Pick<FoundSlot, 'entry' | 'length'>;

function pieces({ entry, length }: Pieces): { offset: number; from: number; to: number }[] {
  let from = 0;
  return (entry?.ranges ?? []).flatMap((range) => {
    const piece = { offset: range.offset, from, to: Math.min(length, from + range.length) };
    from = piece.to;
    return piece.to > piece.from ? [piece] : [];
  });
}

/** Makes files anew at their full length: clusters and table are mtools' to choose and to write. */
async function rewrite({ file, start }: SeedCard, slots: FoundSlot[], contents: Contents): Promise<void> {
  const folder = await makeWorkFolder('seed');
  try {
    // Under a name of our own: mtools takes quotes and the like in a path for its own.
    const disk = path.join(folder, 'card');
    await symlink(path.resolve(file), disk);
    for (const { name } of slots) {
      await writeFile(path.join(folder, name), contents[name], { mode: 0o600 });
      // A card of any size and geometry will do: mtools' checks of these are of floppy disks.
      const env = { MTOOLS_SKIP_CHECK: '1', LC_ALL: 'C.UTF-8' };
      await run(['mcopy', '-o', '-i', `${disk}@@${start}`, path.join(folder, name), `::${name}`], { env });
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
