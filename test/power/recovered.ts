// What a cut card comes to once its file systems are mended: cards of which that is the same live the same life.
import { createHash, type Hash } from 'node:crypto';
import { open, rm, truncate } from 'node:fs/promises';
import path from 'node:path';
import { run } from '../../src/host/exec.ts';
import { ext4UsedRanges } from '../../src/image/ext4.ts';
import { readerOf, type ByteRange, type ReadAt } from '../../src/image/ranges.ts';
import { partitionOf } from '../helpers/image-files.ts';

const CHUNK = 1 << 20;
/** Of an ext4, at its byte 1024: times and counts of mounting are in it. */
const SUPERBLOCK: ByteRange = { offset: 1024, length: 1024 };

/**
 * A digest of everything before the root file system, and of all that the root has in use after e2fsck has played back its journal, with what it had to mend:
 * tables, files and their times, without the journal itself. undefined when e2fsck cannot mend it by itself. Works on a copy in `folder`.
 */
export async function recoveredDigest(card: string, folder: string): Promise<string | undefined> {
  const { offset, length } = await partitionOf(card, 2);
  const root = path.join(folder, 'mended');
  try {
    const part = [`if=${card}`, `of=${root}`, 'bs=1M', `skip=${offset}`, `count=${length}`];
    await run(['dd', ...part, 'iflag=skip_bytes,count_bytes', 'conv=sparse', 'status=none'], deadline());
    // A card that has grown by halves ends before its file system.
    await truncate(root, length);
    // e2fsck(8): 0 to 2 is mended. The same time for all, as it is written down.
    const { exitCode, stdout: mended } = await run(['e2fsck', '-fp', root], {
      okCodes: CODES,
      env: { E2FSCK_TIME: EPOCH },
      ...deadline(),
    });
    if (exitCode > 2) return undefined;
    const { stdout } = await run(['debugfs', '-R', 'blocks <8>', root], deadline());
    const journal = new Set(stdout.split(/\s+/).filter(Boolean).map(Number));
    // What had to be mended beyond what a journal leaves: a boot does not look that closely.
    const repairs = mended.split('\n').filter((line) => line !== '' && !USUAL.test(line));
    const hash = createHash('sha256').update(JSON.stringify(repairs));
    await addRanges(hash, card, [{ offset: 0, length: offset }], () => {});
    await withFile(root, async (read) => {
      const block = 1024 << (await read(1024 + 0x18, 4)).readUInt32LE(0);
      await addRanges(hash, root, await ext4UsedRanges(read, 0), (bytes, at) => {
        for (let place = 0; place < bytes.length; place += block)
          if (journal.has((at + place) / block)) bytes.fill(0, place, place + block);
        if (at === 0) bytes.fill(0, SUPERBLOCK.offset, SUPERBLOCK.offset + SUPERBLOCK.length);
      });
    });
    return hash.digest('hex');
  } finally {
    await rm(root, { force: true });
  }
}

/** After a journal was played back: that it was, counts that are written at unmounting only, and what there is. */
const USUAL =
  /recovering journal|Setting free (inodes|blocks) count|[Ff]ree (inodes|blocks) count wrong|\d+\/\d+ files|^rootfs: clearing orphaned inode/i;
const CODES = [0, 1, 2, 4, 8, 12];
const EPOCH = '1700000000';
const deadline = () => ({ signal: AbortSignal.timeout(5 * 60_000) });

async function withFile<T>(file: string, work: (read: ReadAt) => Promise<T>): Promise<T> {
  const handle = await open(file);
  return work(readerOf(handle)).finally(() => handle.close());
}

/** `without` takes out of bytes that lie at `at` what does not count. */
function addRanges(
  hash: Hash,
  file: string,
  ranges: ByteRange[],
  without: (bytes: Buffer, at: number) => void,
): Promise<void> {
  return withFile(file, async (read) => {
    for (const { offset, length } of ranges) {
      for (let at = offset; at < offset + length; at += CHUNK) {
        const bytes = await read(at, Math.min(CHUNK, offset + length - at));
        without(bytes, at);
        hash.update(`${at} `).update(bytes);
      }
    }
  });
}
