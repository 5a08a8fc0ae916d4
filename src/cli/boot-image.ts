// What an image to boot says of itself: its role, where things lie on it, and what a healthy machine of it is.
import { open, stat } from 'node:fs/promises';
import { filesOfImage, type ImageFile } from '../image/files.ts';
import { HEADER_MAX, parseHeader, type ImageHeader } from '../image/header.ts';
import { HEADER_LBA } from '../image/layout.ts';
import { SECTOR } from '../image/mbr.ts';
import { readerOf } from '../image/ranges.ts';
import { EXIT, PiimgError } from '../lib/errors.ts';
import type { HealthCheck } from '../role/schema/health.ts';

export interface BootImage extends ImageHeader, Contents {
  file: string;
  size: number;
  /** Bytes of it on the disk: holes take none. */
  allocated: number;
}

/** What the root file system tells. */
interface Contents {
  health: HealthCheck[];
  /** Files that are an identity, which all machines made of the image would have in common. */
  identity: string[];
  /** For the report: why less is known than should be. */
  warnings: string[];
  /** Why it could not be read: nobody knows what the role asks for. */
  unread?: string;
}

/** What the build has written into every image (plan.ts). */
const ROLE_FILE = '/usr/lib/piimg/role.json';
/** systemd makes the first of the second where that is there (machine-id(5)). */
const MACHINE_IDS = ['/etc/machine-id', '/var/lib/dbus/machine-id'];
const HOST_KEY = /^\/etc\/ssh\/ssh_host_[^/]*_key$/;

/** Throws PiimgError (usage) for what is no image that piimg has built. */
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
    const contents = await contentsOf(read);
    return { ...header, ...contents, file, size: found.size, allocated: found.blocks * 512 };
  } finally {
    await handle.close();
  }
}

/** A damaged file system is the boot's to find: that it could not be read is said, not thrown. */
async function contentsOf(read: ReturnType<typeof readerOf>): Promise<Contents> {
  const warnings: string[] = [];
  try {
    const files = await filesOfImage(read, ({ message }) => warnings.push(`${message} They were not read.`));
    const role = files.get(ROLE_FILE);
    if (role === undefined) warnings.push(`The image has no ${ROLE_FILE}: no health checks of a role were made.`);
    const { health = [] } = JSON.parse(role ? await textOf(role) : '{}') as { health?: HealthCheck[] };
    return { health, identity: await identityIn(files), warnings };
  } catch (error) {
    // Numbers that cannot be, and what is no JSON, are of a damaged one too; errors of this computer's disk are not.
    if (!(error instanceof PiimgError || error instanceof RangeError || error instanceof SyntaxError)) throw error;
    const unread = `The health checks of the role could not be read from the image: ${error.message}`;
    return { health: [], identity: [], warnings: [...warnings, unread], unread };
  }
}

async function identityIn(files: Map<string, ImageFile>): Promise<string[]> {
  const found = [...files.keys()].filter((name) => HOST_KEY.test(name));
  for (const name of MACHINE_IDS) {
    const file = files.get(name);
    if (file?.type === 'file' && !['', 'uninitialized'].includes((await textOf(file)).trim())) found.push(name);
  }
  return found;
}

async function textOf(file: ImageFile): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of file.content()) pieces.push(piece);
  return Buffer.concat(pieces).toString();
}
