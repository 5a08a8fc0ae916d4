// The image in a lock: chosen, taken apart, and what is installed in it.
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import type { BaseDefinition } from '../base/definition.ts';
import type { Lock, LockedImage } from '../base/lock.ts';
import type { AptArchive } from '../host/apt.ts';
import { storedPath } from '../host/store.ts';
import { EXIT, PiimgError } from '../lib/errors.ts';
import type { Step } from '../lib/progress.ts';
import type { LockRequest } from './apt-world.ts';
import { chooseImage, lockedBaseImage, publicAddress, recordOf, type BaseImage } from './base-image.ts';
import { readNote } from './image-notes.ts';
import type { ImageRecord } from './image-record.ts';

/** The image of a base, and what was found in it. */
export interface ReadImage {
  locked: LockedImage;
  record: ImageRecord;
}

/** The image of the base, if it is one: that of `kept`, or the one that is to be taken now. Throws as choosing and taking it apart do. */
export async function readImageOf(
  base: BaseDefinition,
  request: LockRequest,
  step: Step,
  kept: LockedImage | undefined,
): Promise<ReadImage | undefined> {
  if (base.kind !== 'image') return undefined;
  const image = kept ? await lockedBaseImage(kept, base, request) : await chooseImage(base, request);
  const record = await recordOf(image, request, { step, signal: request.signal });
  return { locked: kept ?? (await lockedFrom(image, record, request.cacheDir)), record };
}

async function lockedFrom(image: BaseImage, record: ImageRecord, cacheDir: string): Promise<LockedImage> {
  const { name, sha256, size, address, released } = image;
  const packed = image.packed.sha256 ?? (await readNote(cacheDir, sha256));
  const stored = packed === undefined ? undefined : storedPath({ dir: path.join(cacheDir, 'store'), tmp: '' }, packed);
  const packedSize = stored === undefined ? undefined : (await stat(stored).catch(() => undefined))?.size;
  const url = publicAddress(address);
  return {
    name,
    sha256,
    size,
    ...(packed !== undefined && packedSize !== undefined && { packed: { sha256: packed, size: packedSize } }),
    ...(url !== undefined && { url }),
    ...(released !== undefined && { released }),
    suite: record.suite,
    packages: record.packages,
    ...(record.firstBoot && { firstBoot: record.firstBoot }),
  };
}

/** Whether a lock has the image that the user names, if any is named. */
export function hasThatImage({ image }: Pick<Lock, 'image'>, { choice }: LockRequest): boolean {
  const { pin, file } = choice ?? {};
  const pinned = pin === undefined || image?.sha256 === pin || image?.packed?.sha256 === pin;
  return file ? image?.sha256 === file.sha256 : pinned;
}

/** Of this machine, from the package debian-archive-keyring, as images/bases/debian-trixie.yaml has it. */
const DEBIAN_KEYS = '/usr/share/keyrings/debian-archive-keyring.gpg';

/**
 * Those of its archives that are Debian's own, where native tools come from. The tools run on this machine: neither keys that come with the image,
 * nor what it calls them, vouch for them. Throws PiimgError (usage) when there are none.
 */
export function debianArchives(archives: AptArchive[], { locked, record }: ReadImage): AptArchive[] {
  const names = record.archives.filter(({ debians }) => debians).map(({ name }) => name);
  const own = archives.filter(({ name }) => names.includes(name));
  const found = own.map((archive) => ({ ...archive, keyring: DEBIAN_KEYS }));
  if (found.length > 0) return found;
  throw new PiimgError(`${locked.name} cannot be a base: none of its apt sources is Debian's own archive`, {
    exitCode: EXIT.usage,
    hint: 'The tools that make an image come from there. Customize the image first, or choose another one.',
  });
}

/** What dpkg says is installed in the image, but for packages that others replace. */
export async function statusWithout({ record }: ReadImage, replaced: string[]): Promise<string> {
  const status = await readFile(record.statusFile, 'utf8');
  const stanzas = status.split(/\n\n+/).filter((stanza) => {
    const name = /^Package: (.*)$/m.exec(stanza)?.[1];
    return name !== undefined && !replaced.includes(name);
  });
  return `${stanzas.map((stanza) => stanza.trim()).join('\n\n')}\n\n`;
}
