// An image, however packed, as a sparse file that goes away: its file systems are read at random.
import { createHash } from 'node:crypto';
import { mkdtemp, mkdir, open, rm } from 'node:fs/promises';
import path from 'node:path';
import { openSource } from '../flash/source/source.ts';
import { readSource } from '../flash/source/read.ts';
import { writeSparse } from '../image/copy.ts';
import { PiimgError } from '../lib/errors.ts';
import type { Step } from '../lib/progress.ts';

export interface Unpacked {
  file: string;
  /** Of the image, and its bytes. */
  sha256: string;
  size: number;
}

/**
 * Unpacks the file `packed` below `tmp` and lends it to `work`. Throws PiimgError as the sources of `piimg flash` do: not there, damaged,
 * another kind of archive, more than `most` bytes in it.
 */
export async function withUnpacked<T>(
  packed: string,
  tmp: string,
  { step, signal, most = Infinity }: { step: Pick<Step, 'update'>; signal: AbortSignal; most?: number | undefined },
  work: (unpacked: Unpacked) => Promise<T>,
): Promise<T> {
  await mkdir(tmp, { recursive: true });
  // Named after this process, so that the next build removes what a killed one left.
  const dir = await mkdtemp(path.join(tmp, `${process.pid}-image-`));
  try {
    const file = path.join(dir, 'image');
    const source = await openSource(packed, { signal });
    const hash = createHash('sha256');
    const handle = await open(file, 'w');
    let size = 0;
    try {
      for await (const piece of readSource(source, { signal })) {
        hash.update(piece);
        await writeSparse(handle, piece, size);
        size += piece.length;
        if (size > most) {
          throw new PiimgError(
            `${path.basename(packed)} is not the image it should be: more than ${most} bytes are in it`,
            {
              hint: 'Ask who keeps the list or the mirror, or name the image itself: --base FILE.',
            },
          );
        }
        step.update({
          message: 'unpacking',
          done: size,
          unit: 'bytes',
          ...(source.size !== undefined && { total: source.size }),
        });
      }
      await handle.truncate(size);
    } finally {
      await handle.close();
    }
    return await work({ file, sha256: hash.digest('hex'), size });
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}
