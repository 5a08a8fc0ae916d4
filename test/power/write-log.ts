// The log of a card's writes and flushes, as QEMU's blklogwrites keeps it, and the card as of any of its entries.
import { open, type FileHandle } from 'node:fs/promises';
import type { Patch } from '../../src/boot/card.ts';

export interface LogEntry {
  /** Bytes of the card. */
  offset: number;
  length: number;
  kind: 'write' | 'flush' | 'discard';
  /** Where in the log a write's data lies. */
  at: number;
}

/** Documentation/admin-guide/device-mapper/log-writes.rst, include/linux/dm-log-writes: all little endian. */
const MAGIC = 0x6a736677736872n;
const FLAG = { flush: 1n, discard: 4n };

/** Every entry, in order; the last ones may be missing while the log is still being written. */
export async function readWriteLog(file: string): Promise<LogEntry[]> {
  const log = await open(file);
  try {
    const { size } = await log.stat();
    const head = await bytesAt(log, 0, 28);
    if (head.readBigUInt64LE(0) !== MAGIC) throw new Error(`${file} is no log of writes`);
    const sector = head.readUInt32LE(24);
    const entries: LogEntry[] = [];
    for (let at = sector; at + sector <= size;) {
      const entry = await bytesAt(log, at, 32);
      const [start, sectors, flags] = [0, 8, 16].map((field) => entry.readBigUInt64LE(field));
      const length = Number(sectors) * sector;
      at += sector;
      // An entry of zeros is one that was not written yet.
      if (flags === 0n && length === 0) break;
      const kind = (flags ?? 0n) & FLAG.discard ? 'discard' : length === 0 ? 'flush' : 'write';
      if (kind === 'write' && at + length > size) break;
      entries.push({ offset: Number(start) * sector, length, kind, at });
      if (kind === 'write') at += length;
      else if ((flags ?? 0n) & FLAG.flush && length > 0) throw new Error('a flush with data');
    }
    return entries;
  } finally {
    await log.close();
  }
}

/** A card that goes through the log, entry by entry. */
export interface Replay {
  /** Makes the card what it was after that many entries, which may not be fewer than before. */
  forwardTo(entries: number): Promise<void>;
  close(): Promise<void>;
}

/** `card` is a raw file as it was before the first entry. */
export async function replay(card: string, logFile: string, entries: LogEntry[]): Promise<Replay> {
  const [disk, log] = [await open(card, 'r+'), await open(logFile)];
  let done = 0;
  return {
    async forwardTo(count) {
      if (count < done) throw new RangeError('a replay does not go back');
      for (; done < count; done++) {
        const entry = entries[done];
        if (!entry || entry.kind === 'flush') continue;
        const data = entry.kind === 'write' ? await bytesAt(log, entry.at, entry.length) : Buffer.alloc(entry.length);
        await disk.write(data, 0, entry.length, entry.offset);
      }
      await disk.datasync();
    },
    async close() {
      await disk.close();
      await log.close();
    },
  };
}

/** What entries would write, in their order, the last one `torn` bytes of it: for a card that has not got all before them. */
export async function writesOf(logFile: string, entries: LogEntry[], which: number[], torn?: number): Promise<Patch[]> {
  const log = await open(logFile);
  try {
    const patches: Patch[] = [];
    for (const index of which) {
      const entry = entries[index];
      const length = index === which.at(-1) ? (torn ?? entry?.length) : entry?.length;
      if (entry?.kind === 'write' && length !== undefined)
        patches.push({ offset: entry.offset, content: await bytesAt(log, entry.at, length) });
    }
    return patches;
  } finally {
    await log.close();
  }
}

/** How many of the first `count` entries had surely reached the card: those up to the last flush. */
export function flushedBy(entries: LogEntry[], count: number): number {
  for (let last = count; last > 0; last--) if (entries[last - 1]?.kind === 'flush') return last;
  return 0;
}

/** The first entry, from `from` on, whose data matches, as Latin-1; undefined when none does. */
export async function findText(
  logFile: string,
  entries: LogEntry[],
  text: RegExp,
  from = 0,
): Promise<number | undefined> {
  const log = await open(logFile);
  try {
    for (let index = from; index < entries.length; index++) {
      const entry = entries[index];
      if (entry?.kind === 'write' && text.test((await bytesAt(log, entry.at, entry.length)).toString('latin1')))
        return index;
    }
    return undefined;
  } finally {
    await log.close();
  }
}

async function bytesAt(file: FileHandle, at: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  const { bytesRead } = await file.read(buffer, 0, length, at);
  return buffer.subarray(0, bytesRead);
}
