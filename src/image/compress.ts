// Compresses a finished image for downloading, to the same bytes every time.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, rename, rm, stat } from 'node:fs/promises';
import type { Step } from '../lib/progress.ts';
import type { RunTool } from './run-tool.ts';

export const COMPRESSIONS = ['xz', 'zst', 'gz'] as const;
export type Compression = (typeof COMPRESSIONS)[number];

/**
 * How each format is made reproducible: xz splits into blocks of a stated size, so that the number of threads does not
 * show (24 MiB is what -6 takes by itself), and `+` keeps one thread to the same format; zstd's jobs do not depend on it either; gzip -n keeps name and time out.
 */
const TOOLS: Record<Compression, (jobs: number) => string[]> = {
  xz: (jobs) => ['xz', '-6', `-T+${jobs}`, '--block-size=24MiB', '-c'],
  zst: (jobs) => ['zstd', '-q', '-10', `-T${jobs}`, '-c'],
  gz: () => ['gzip', '-n', '-6', '-c'],
};

/** Writes `image`.xz, .zst or .gz beside the image, in place only when complete. Throws what the tool throws. */
export async function compressImage(
  image: string,
  format: Compression,
  { jobs, runTool, step }: { jobs: number; runTool: RunTool; step: Pick<Step, 'update'> },
): Promise<{ file: string; format: Compression; size: number; sha256: string }> {
  const file = `${image}.${format}`;
  const part = `${file}.${process.pid}.part`;
  try {
    await (await open(part, 'w')).close();
    const { size: total } = await stat(image);
    const input = counted(createReadStream(image, { highWaterMark: 1 << 20 }), total, step);
    await runTool([part, ...TOOLS[format](jobs)], { input, script: 'exec "$@" > "$0"', writable: [part] });
    const digest = createHash('sha256');
    const finished = await open(part, 'r+');
    try {
      for await (const chunk of finished.createReadStream({ autoClose: false, highWaterMark: 1 << 20 })) {
        digest.update(chunk as Buffer);
      }
      await finished.sync();
    } finally {
      await finished.close();
    }
    await rename(part, file);
    return { file, format, size: (await stat(file)).size, sha256: digest.digest('hex') };
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
}

async function* counted(stream: AsyncIterable<Buffer>, total: number, step: Pick<Step, 'update'>) {
  let done = 0;
  for await (const chunk of stream) {
    yield chunk;
    done += chunk.length;
    step.update({ done, total, unit: 'bytes' });
  }
}
