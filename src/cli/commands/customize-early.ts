// `piimg customize` with the copy for --out begun first: what finds out whether there will be one takes as long to load as half of a copy.
import { open, stat } from 'node:fs/promises';
import { beginCopy, requireOneTarget } from '../seed-target.ts';
import type { SeedFlags } from './seed.ts';

export async function customizeEarly(image: string, flags: SeedFlags, signal: AbortSignal): Promise<void> {
  requireOneTarget(flags);
  const { out } = flags;
  // Why none could be begun is told when it is to be: what else is wrong comes first.
  const begun =
    out !== undefined && (await looksLikeImage(image))
      ? await beginCopy(image, out, signal).catch(() => undefined)
      : undefined;
  try {
    const { customize } = await import('./customize.ts');
    await customize(image, flags, signal, begun);
  } finally {
    await begun?.end();
  }
}

/** A file with the signature of a partition table in its first sector. What is wrong with another one is told later. */
async function looksLikeImage(file: string): Promise<boolean> {
  if (!(await stat(file).catch(() => undefined))?.isFile()) return false;
  const handle = await open(file).catch(() => undefined);
  try {
    const sector = Buffer.alloc(512);
    await handle?.read(sector, 0, sector.length, 0);
    return sector.readUInt16BE(510) === 0x55aa;
  } finally {
    await handle?.close();
  }
}
