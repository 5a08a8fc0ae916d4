// What an image to boot says of itself: its role, where things lie on it, and what a healthy machine of it is.
import { open, stat } from 'node:fs/promises';
import { filesOfImage } from '../image/files.ts';
import { HEADER_MAX, parseHeader, type ImageHeader } from '../image/header.ts';
import { HEADER_LBA } from '../image/layout.ts';
import { SECTOR } from '../image/mbr.ts';
import { readerOf } from '../image/ranges.ts';
import { EXIT, PiimgError } from '../lib/errors.ts';
import type { HealthCheck } from '../role/schema/health.ts';

export interface BootImage extends ImageHeader {
  file: string;
  size: number;
  health: HealthCheck[];
}

/** What the build has written into every image (plan.ts). */
const ROLE_FILE = '/usr/lib/piimg/role.json';

/** Throws PiimgError (usage) for what is no image that piimg has built. A damaged root file system is the boot's to find: no checks. */
export async function readBootImage(file: string): Promise<BootImage> {
  const found = await stat(file).catch(() => undefined);
  if (!found?.isFile()) {
    throw new PiimgError(`There is no image ${file}`, {
      exitCode: EXIT.usage,
      hint: 'Name the file of an image, or build one first with --role.',
    });
  }
  const handle = await open(file);
  try {
    const read = readerOf(handle);
    const length = Math.min(HEADER_MAX, Math.max(0, found.size - HEADER_LBA * SECTOR));
    const header = parseHeader(await read(HEADER_LBA * SECTOR, length));
    if (header === undefined) {
      throw new PiimgError(`${file} is no image that piimg has built`, {
        exitCode: EXIT.usage,
        hint: 'A packed image (.xz, .zst, .gz) has to be unpacked first.',
      });
    }
    const text = await textOf(file, read).catch(() => '{}');
    const { health = [] } = JSON.parse(text) as { health?: HealthCheck[] };
    return { ...header, file, size: found.size, health };
  } finally {
    await handle.close();
  }
}

async function textOf(file: string, read: ReturnType<typeof readerOf>): Promise<string> {
  const role = (await filesOfImage(read)).get(ROLE_FILE);
  if (role === undefined) throw new PiimgError(`${file} has no ${ROLE_FILE}`);
  const pieces: Buffer[] = [];
  for await (const piece of role.content()) pieces.push(piece);
  return Buffer.concat(pieces).toString();
}
