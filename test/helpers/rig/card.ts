// Cards for tests: real block devices of this computer that behave as good cards do, or as bad ones.
import { randomFillSync } from 'node:crypto';
import { mkdtemp, open, rm, writeFile, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { asRoot } from '../as-root.ts';
import type { Behaviour, CardRequest } from './behaviour.ts';
import { startProcess } from './talk.ts';
import { loopIdentity, untilFree } from './users.ts';

export interface CardOptions extends Behaviour {
  /** What the card says it has, in bytes. */
  size: number;
  /** What it holds; zeros by default, also after the bytes given. */
  content?: Buffer | 'random';
  /** Only a loop over a file: as fast as the disk, but nothing about it can be changed, counted or made to fail. */
  plain?: boolean;
  readOnly?: boolean;
  sectorSize?: 512 | 4096;
  /** There are devices for partitions, which `partx --update` makes (the kernel itself, where it knows that kind of table). */
  partitions?: boolean;
  /** The card is pulled after so many, so that nothing waits for ever; 120 by default. */
  seconds?: number;
}

export interface Card {
  /** /dev/loopN */
  path: string;
  size: number;
  /** What the card really holds, read behind the device's back. */
  read(offset: number, length: number): Promise<Buffer>;
  /** Changes what it holds, behind the device's back. */
  write(offset: number, bytes: Uint8Array): Promise<void>;
  /** Changes what is named; the rest stays as it is. */
  behave(change: Behaviour): Promise<void>;
  /** What it was asked to do since it was made. Other programs than the test's may have read it too. */
  requests(): Promise<CardRequest[]>;
  /** The device has another size from now on. */
  resize(size: number): Promise<void>;
  /**
   * The command for where mounts are seen by nobody else and end with the card: whatever mounts it, and whatever must see that. Swap
   * is seen by all, and ends with the card too: only on a plain card, as what is on any other is lost with it.
   */
  inside(command: string[]): string[];
}

/** Whether it has a partition table: piimg writes that last. */
export const isBootable = async (card: Card): Promise<boolean> => (await card.read(510, 2)).readUInt16BE(0) === 0x55aa;

/** Bytes of its requests of one kind. */
export const moved = (requests: CardRequest[], kind: CardRequest['kind']): number =>
  requests.filter((request) => request.kind === kind).reduce((sum, { length }) => sum + length, 0);

/** A card for the time of `work`. Rejects when somebody uses it longer than that, and says who. */
export async function withCard<T>(options: CardOptions, work: (card: Card) => Promise<T>): Promise<T> {
  const { size, content, plain = false, readOnly, sectorSize, partitions, seconds = 120, ...behaviour } = options;
  if (plain && Object.keys(behaviour).length > 0) throw new TypeError('a plain card has no behaviour');
  const folder = await mkdtemp(path.join(tmpdir(), 'piimg-rig-'));
  const backing = path.join(folder, 'backing');
  try {
    await fill(backing, size, content);
    await writeFile(path.join(folder, 'card'), '');
    const loop = [
      ...(readOnly ? ['--read-only'] : []),
      ...(sectorSize === undefined ? [] : ['--sector-size', String(sectorSize)]),
      ...(partitions ? ['--partscan'] : []),
    ];
    const { device, pid, tell, end } = await startProcess({ folder, size, plain, behaviour, loop, seconds });
    const identity = await loopIdentity(device);
    const card: Card = {
      path: device,
      size,
      read: (offset, length) =>
        withFile(backing, async (file) => {
          const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, offset);
          return buffer.subarray(0, bytesRead);
        }),
      write: (offset, bytes) =>
        withFile(backing, async (file) => {
          await file.write(bytes, 0, bytes.length, offset);
        }),
      behave: async (change) => {
        if (plain) throw new TypeError('a plain card has no behaviour');
        if (change.discards === 'refused') throw new TypeError('a card that can discard can always');
        await tell({ behave: change });
      },
      requests: async () => {
        if (plain) throw new TypeError('a plain card does not count');
        return (await tell({ look: true })).requests;
      },
      resize: async (to) => {
        await tell({ resize: to });
      },
      inside: (command) => {
        const there = ['sh', '-c', 'cd "$0" && exec "$@"', process.cwd()];
        return asRoot(['nsenter', `--mount=/proc/${pid}/ns/mnt`, ...there, ...command]);
      },
    };
    const free = async (): Promise<void> => {
      await end();
      await untilFree(device, identity);
    };
    const result = await Promise.resolve(card)
      .then(work)
      .catch(async (error: unknown) => {
        await free().catch(() => {});
        throw error;
      });
    await free();
    return result;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Several at once. */
export function withCards<T>(all: CardOptions[], work: (cards: Card[]) => Promise<T>, made: Card[] = []): Promise<T> {
  const [first, ...others] = all;
  if (first === undefined) return work(made);
  return withCard(first, (card) => withCards(others, work, [...made, card]));
}

async function withFile<T>(name: string, work: (file: FileHandle) => Promise<T>): Promise<T> {
  const file = await open(name, 'r+');
  try {
    return await work(file);
  } finally {
    await file.close();
  }
}

async function fill(name: string, size: number, content: CardOptions['content']): Promise<void> {
  await writeFile(name, content instanceof Buffer ? content : '');
  await withFile(name, async (file) => {
    await file.truncate(size);
    if (content !== 'random') return;
    const noise = Buffer.alloc(1 << 20);
    for (let at = 0; at < size; at += noise.length) {
      await file.write(randomFillSync(noise), 0, Math.min(noise.length, size - at), at);
    }
  });
}
