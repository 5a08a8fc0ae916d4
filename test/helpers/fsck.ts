// Checks both file systems of an image with the stock programs.
import { rm } from 'node:fs/promises';
import { run } from '../../src/host/exec.ts';
import { partitionOf } from './image-files.ts';

/** Rejects with what e2fsck or fsck.vfat says when one of them is not clean. Only reads. */
export async function checkFileSystems(image: string): Promise<void> {
  const deadline = { signal: AbortSignal.timeout(3 * 60_000) };
  const [boot, root] = [await partitionOf(image, 1), await partitionOf(image, 2)];
  await run(['e2fsck', '-fn', `${image}?offset=${root.offset}`], deadline);
  // fsck.vfat knows no offset.
  const part = `${image}.fat`;
  try {
    const range = [`skip=${boot.offset}`, `count=${boot.length}`, 'iflag=skip_bytes,count_bytes'];
    await run(['dd', `if=${image}`, `of=${part}`, 'bs=1M', 'conv=sparse', 'status=none', ...range], deadline);
    await run(['fsck.vfat', '-n', part], deadline);
  } finally {
    await rm(part, { force: true });
  }
}
