// What the file of an image tells of its seed beyond the header: whether the slots are where that says, schemas, what user-data holds.
import { openFat } from '../image/fat.ts';
import { hasPlaces, type ImageHeader } from '../image/header.ts';
import { parseMbr, SECTOR } from '../image/mbr.ts';
import { readerOf, type Positioned } from '../image/ranges.ts';
import { EXIT, PiimgError } from '../lib/errors.ts';
import type { CloudInitSchemas } from '../seed/check.ts';
import { describeSeed } from '../seed/describe.ts';
import { promisedLogins } from '../vendor/identity.ts';
import { asObject, parseObject } from '../vendor/system.ts';
import { withImageView } from './image-view.ts';
import {
  findSlots,
  isOfHeader,
  readBootFile,
  readSchemas,
  withCard,
  type FoundSlot,
  type SeedCard,
} from './seed-card.ts';

export interface ImageSeed {
  /** Users that it lets in where its base's own first boot is told of them; else `userData` says it. */
  logins?: string[];
  /** Those that it carries. */
  schemas: CloudInitSchemas;
  /** As it is in the image: what a card has that gets no seed of its own. */
  userData: string | undefined;
  /** The host name, where the seed has one, and the first fixed address. */
  carried: { node?: string; address?: string };
}

/**
 * Reads the boot partition of an image that is not packed. Throws PiimgError (usage) when piimg has not made it, or when a seed file does not
 * lie any more where the header says: whoever mounts an image may move it, and other files' bytes would be written over. With `any` place it
 * may: for cards that get the image as it is, edited by hand or not.
 */
export async function readImageSeed(file: string, places: 'built' | 'any' = 'built'): Promise<ImageSeed> {
  return withCard(file, {}, async (card) => {
    if (places === 'built') for (const slot of await findSlots(card)) requirePlace(card, slot);
    return { ...(await seedOf(card)), schemas: await readSchemas(card) };
  });
}

/** No more is unpacked, and kept, to look at a seed: the build places slots before all other files. */
const MOST = 64 << 20;

/** To where an image that is packed, or comes by a pipe, has to be read for `seedInBeginning`; undefined where that is too far, or nowhere. */
export function endOfSlots(header: ImageHeader): number | undefined {
  if (!hasPlaces(header)) return undefined;
  const end = Math.max(...header.slots.map(({ offset, length }) => offset + length));
  return Number.isSafeInteger(end) && end <= MOST ? end : undefined;
}

/**
 * The same, without schemas, of the first bytes of an image: undefined where its files lie elsewhere, for whoever mounts an image may move
 * them; `stale` where the header is of another system than lies behind it.
 */
export async function seedInBeginning(
  file: string,
  header: ImageHeader,
  bytes: Buffer,
): Promise<Omit<ImageSeed, 'schemas'> | 'stale' | undefined> {
  const handle: Positioned = {
    async read(buffer, offset, length, position) {
      return { bytesRead: bytes.copy(buffer, offset, Math.min(position, bytes.length), position + length) };
    },
  };
  try {
    const start = (parseMbr(bytes.subarray(0, SECTOR)).entries[0]?.start ?? 0) * SECTOR;
    if (!(await isOfHeader(await openFat(readerOf(handle), start)))) return 'stale';
    return await seedOf({ file, block: false, handle, header, start });
  } catch (error) {
    if (error instanceof RangeError || error instanceof PiimgError) return undefined;
    throw error;
  }
}

async function seedOf(card: SeedCard): Promise<Omit<ImageSeed, 'schemas'>> {
  const [userData, metaData, networkConfig] = [
    await readBootFile(card, 'user-data'),
    await readBootFile(card, 'meta-data'),
    await readBootFile(card, 'network-config'),
  ];
  const texts = { 'user-data': userData, 'meta-data': metaData, 'network-config': networkConfig };
  return { userData, carried: carriedBy(texts) };
}

/** The same of an image whose base's own first boot is told: who the agent takes the machine for, and which users files of the boot partition name. */
export function readOwnSeed(file: string): Promise<ImageSeed> {
  return withImageView(file, async (view) => {
    const document = asObject(parseObject((await view.boot.files.read('piimg.json'))?.toString() ?? ''));
    const node = typeof document?.['node'] === 'string' ? document['node'] : undefined;
    const addresses = asObject(document?.['network'])?.['addresses'];
    const [address] = Array.isArray(addresses) ? (addresses as unknown[]) : [];
    return {
      schemas: {},
      userData: undefined,
      carried: { ...(node !== undefined && { node }), ...(typeof address === 'string' && { address }) },
      logins: await promisedLogins(view),
    };
  });
}

function carriedBy(texts: Parameters<typeof describeSeed>[0]): ImageSeed['carried'] {
  const { node, network } = describeSeed(texts);
  const address = network.cards.flatMap(({ addresses }) => addresses)[0]?.split('/')[0];
  return { ...(node !== undefined && { node }), ...(address !== undefined && { address }) };
}

function requirePlace({ file, header }: SeedCard, { name, length, entry }: FoundSlot): void {
  const [range, ...others] = entry?.ranges ?? [];
  const offset = header.slots.find((slot) => slot.name === name)?.offset;
  if (entry?.size === length && range?.offset === offset && others.length === 0) return;
  throw new PiimgError(`${name} was changed in ${file}: it is not where, or as long as, the build has made it`, {
    exitCode: EXIT.usage,
    hint: 'Build the image again, or flash it without a seed and give the card its identity then: piimg seed /dev/sdX --in-place.',
  });
}
