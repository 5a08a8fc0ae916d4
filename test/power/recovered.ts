// What a cut card comes to once its file systems are mended: cards of which that is the same live the same life.
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { run } from '../../src/host/exec.ts';
import { ext4UsedRanges } from '../../src/image/ext4.ts';
import { readerOf, type ByteRange } from '../../src/image/ranges.ts';
import { partitionOf } from '../helpers/image-files.ts';

const CHUNK = 1 << 20;
/** Of an ext4, at its byte 1024: times and counts of mounting are in it. */
const SUPERBLOCK: ByteRange = { offset: 1024, length: 1024 };

/**
 * A digest of everything before the root file system, and of all that the root has in use after its journal was played back by e2fsck:
 * tables, files and their times, without the journal itself. `copy` is changed. undefined when e2fsck cannot mend it by itself.
 */
export async function recoveredDigest(copy: string): Promise<string | undefined> {
  const { offset } = await partitionOf(copy, 2);
  const device = `${copy}?offset=${offset}`;
  // e2fsck(8): 1 and 2 are mended. The same time for all, as it is written down.
  const options = {
    okCodes: [0, 1, 2, 4, 8],
    env: { E2FSCK_TIME: '1700000000' },
    signal: AbortSignal.timeout(300_000),
  };
  const { exitCode } = await run(['e2fsck', '-fp', device], options);
  if ((exitCode ?? 8) > 2) return undefined;
  const listed = await run(['debugfs', '-R', 'blocks <8>', device], { signal: AbortSignal.timeout(60_000) });
  const file = await open(copy);
  try {
    const read = readerOf(file);
    const block = 1024 << (await read(offset + 1024 + 0x18, 4)).readUInt32LE(0);
    const journal = listed.stdout
      .split(/\s+/)
      .filter(Boolean)
      .map((number) => Number(number) * block + offset);
    const left = new Set(journal);
    const hash = createHash('sha256');
    for (const range of [{ offset: 0, length: offset }, ...(await ext4UsedRanges(read, offset))]) {
      for (let at = range.offset; at < range.offset + range.length;) {
        const end = Math.min(at + CHUNK, range.offset + range.length);
        const bytes = await read(at, end - at);
        for (let place = at; at >= offset && place < end; place += block)
          if (left.has(place)) bytes.fill(0, place - at, place - at + block);
        if (at === offset) bytes.fill(0, SUPERBLOCK.offset, SUPERBLOCK.offset + SUPERBLOCK.length);
        hash.update(`${at} `).update(bytes);
        at = end;
      }
    }
    return hash.digest('hex');
  } finally {
    await file.close();
  }
}
