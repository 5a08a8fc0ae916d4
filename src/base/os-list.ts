// The list of images that Raspberry Pi Imager reads (os_list_imagingutility_v4.json): which of them a base means.
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { EXIT, PiimgError } from '../lib/errors.ts';
import { nearest } from '../lib/suggest.ts';

/** An image of the list. Its digest and size are those of the image unpacked. */
export interface ListedImage {
  name: string;
  /** A URL, or a file of this machine. */
  address: string;
  sha256: string;
  size: number;
  /** Of the file that is downloaded, as far as the list says. */
  packed: { sha256?: string; size?: number };
  /** Date, as the list writes it: 2026-06-18. */
  released: string;
}

/** What is looked for: one of the names, or the image of a digest, packed or not. */
export interface Wanted {
  names: string[];
  pin?: string | undefined;
  /** The pin may be of a packed file whose digest the list does not say: the newest image then has it as `packed.sha256`, to be compared. */
  ofPacked?: boolean;
}

interface Entry {
  [key: string]: unknown;
}

/** How many lists one list may lead to. */
const MOST_LISTS = 100;

/**
 * The newest image of the list at `address`, a URL or a file, that has one of the names and is not for armhf; with `pin`, the one of that
 * digest. Lists that it names are read, by `read`, when it does not have the image itself. Throws PiimgError (usage) naming what the list lacks.
 */
export async function findListed(
  address: string,
  wanted: Wanted,
  read: (address: string) => Promise<string>,
): Promise<ListedImage> {
  const unread: string[] = [];
  const known: string[] = [];
  const seen = new Set([address]);
  for (let level = [address]; level.length > 0;) {
    const found: ListedImage[] = [];
    const next: string[] = [];
    for (const list of level) {
      const entries = await read(list).then(
        (text) => entriesOf(list, text),
        (error: unknown) => {
          // A list that others keep may be gone; the first one may not.
          if (list === address || !(error instanceof PiimgError)) throw error;
          unread.push(error.message);
          return [];
        },
      );
      const images = entries.filter(({ url }) => url !== undefined);
      known.push(...images.map(nameOf));
      found.push(...images.filter((entry) => isMeant(entry, wanted.names)).map((entry) => listed(list, entry)));
      next.push(...entries.flatMap(({ subitems_url: url }) => (typeof url === 'string' ? [resolved(list, url)] : [])));
    }
    const image = newest(wanted.pin === undefined ? found : found.filter((one) => hasDigest(one, wanted.pin ?? '')));
    if (image) return image;
    level = next.filter((list) => !seen.has(list) && seen.size < MOST_LISTS && seen.add(list));
    const last = newest(found);
    if (level.length > 0 || last === undefined) continue;
    // Only its bytes tell whether the pin is theirs.
    if (wanted.ofPacked && last.packed.sha256 === undefined)
      return { ...last, packed: { ...last.packed, sha256: wanted.pin ?? '' } };
    throw otherDigest(address, last, wanted.pin ?? '');
  }
  throw lacking(address, wanted.names, known, unread);
}

/** Whether a digest is that of the image, packed or not. */
function hasDigest({ sha256, packed }: Pick<ListedImage, 'sha256' | 'packed'>, digest: string): boolean {
  return sha256 === digest || packed.sha256 === digest;
}

/** An address that a list names: a URL, or a path from the list on. Throws PiimgError (usage) where a list on a server names a file. */
export function resolved(list: string, address: string): string {
  const isRemote = /^https?:/i.test(list);
  if (/^https?:/i.test(address)) return address;
  if (isRemote && !/^[a-z][a-z\d+.-]+:/i.test(address)) return new URL(address, list).href;
  if (!isRemote && /^file:/i.test(address)) return fileURLToPath(address);
  if (!isRemote && !/^[a-z][a-z\d+.-]+:\/\//i.test(address)) return path.resolve(path.dirname(list), address);
  throw usage(`${list} names ${address}, which is no address of a server`, REMEDY);
}

const REMEDY = 'Name another list with --os-list or PIIMG_OS_LIST, or give the image itself: --base FILE.';

/** All entries of a list, those within others too. */
function entriesOf(list: string, text: string): Entry[] {
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch {
    throw usage(`${list} is no list of images: it is not JSON`, REMEDY);
  }
  const entries = isMap(data) ? data['os_list'] : undefined;
  if (!Array.isArray(entries)) throw usage(`${list} is no list of images: it has no \`os_list\``, REMEDY);
  const all: Entry[] = [];
  for (const waiting: unknown[] = [...(entries as unknown[])]; waiting.length > 0;) {
    const entry = waiting.shift();
    if (!isMap(entry)) continue;
    all.push(entry);
    if (Array.isArray(entry['subitems'])) waiting.push(...(entry['subitems'] as unknown[]));
  }
  return all;
}

const isMap = (value: unknown): value is Entry => typeof value === 'object' && value !== null && !Array.isArray(value);

const nameOf = ({ name }: Entry): string => (typeof name === 'string' ? name : '');

/** What Imager calls 32-bit systems; others say `armv8`, or nothing. */
const isMeant = (entry: Entry, names: string[]): boolean =>
  names.includes(nameOf(entry)) && entry['architecture'] !== 'armhf';

/** An entry as an image. Throws PiimgError (usage) naming all that it lacks. */
function listed(list: string, entry: Entry): ListedImage {
  const { url, release_date: released, extract_size: size } = entry;
  const sha256 = digestIn(entry['extract_sha256']);
  const packedSha256 = digestIn(entry['image_download_sha256']);
  const packedSize = entry['image_download_size'];
  const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) > 0;
  const isDate = typeof released === 'string' && /^\d{4}-\d{2}-\d{2}/.test(released);
  if (typeof url !== 'string' || !isSize(size) || sha256 === undefined || !isDate) {
    const lacks = [
      ...(typeof url === 'string' ? [] : ['url']),
      ...(isSize(size) ? [] : ['extract_size']),
      ...(sha256 === undefined ? ['extract_sha256'] : []),
      ...(isDate ? [] : ['release_date']),
    ];
    throw usage(`${list}: the image “${nameOf(entry)}” has no right ${lacks.join(', ')}`, REMEDY);
  }
  const packed = {
    ...(packedSha256 !== undefined && { sha256: packedSha256 }),
    ...(isSize(packedSize) && { size: packedSize }),
  };
  return { name: nameOf(entry), address: resolved(list, url), sha256, size, packed, released };
}

const digestIn = (value: unknown): string | undefined =>
  typeof value === 'string' && /^[0-9a-f]{64}$/i.test(value) ? value.toLowerCase() : undefined;

const newest = (images: ListedImage[]): ListedImage | undefined =>
  images.toSorted((a, b) => (a.released < b.released ? 1 : -1))[0];

function otherDigest(list: string, image: ListedImage | undefined, pin: string): PiimgError {
  const { name = '', released = '', sha256 = '', packed } = image ?? {};
  const also = packed?.sha256 === undefined ? '' : `, packed ${packed.sha256}`;
  return usage(
    `${list} has no image of the sha256 ${pin}: its newest “${name}” is of ${released} and has ${sha256}${also}`,
    'An image that the list no longer has can be given as a file: --base FILE.',
  );
}

function lacking(list: string, names: string[], known: string[], unread: string[]): PiimgError {
  const suggestion = nearest(names[0] ?? '', known);
  return new PiimgError(`${list} has no image ${names.map((name) => `“${name}”`).join(' or ')}`, {
    exitCode: EXIT.usage,
    ...(unread.length > 0 && { detail: unread.join('\n') }),
    hint: `${suggestion === undefined ? '' : `It has “${suggestion}”. `}${REMEDY}`,
  });
}

const usage = (message: string, hint: string): PiimgError => new PiimgError(message, { exitCode: EXIT.usage, hint });
