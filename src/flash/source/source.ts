// An image somewhere, however packed: looked at, before anything is written.
import { EXIT, PiimgError } from '../../lib/errors.ts';
import { openFile } from './file.ts';
import { packingOf, type Packing } from './packing.ts';
import { unpackedSize } from './packed-size.ts';
import type { Spool } from './spool.ts';
import { takeStdin } from './stdin.ts';
import { shownUrl } from './http.ts';
import { openUrl, type Version } from './url.ts';
import { chooseMember, type Member, parseLocalHeader } from './zip.ts';
import { findMember } from './zip-directory.ts';

/** Plain data: it is handed to a worker thread by structured clone. */
export interface Source {
  /** As the user named it, but for a password in a URL. */
  name: string;
  kind: 'file' | 'url' | 'stdin';
  /** Told by the first bytes, never by the name. */
  packing: Packing;
  /** Bytes of the image unpacked; undefined where only its end tells. */
  size?: number;
  /** Bytes of what is read, for progress, where known. */
  packedSize?: number;
  /** Whether it can be read from its beginning as often as one likes: stdin only where it is kept. */
  rereadable: boolean;
  /** Of stdin: what was already taken from it to look at, and where the rest is kept, if it is. */
  prefix?: Uint8Array;
  spool?: Spool;
  /** Of a URL: all of it, and what tells whether it is still the same file. */
  url?: string;
  /** Of a URL: where it was found, in the end. */
  from?: string;
  version?: Version;
  /** In hex: what all that lies there, packed as it is, must come to. Then it is read from its beginning to its end each time. */
  sha256?: string;
  /** Of a file: what tells whether it is still the same one. */
  stamp?: string;
  /** Of a zip that is a file: where in it the image is. */
  member?: Member;
}

/** Enough for every magic number, and for the name in a zip's first header. */
const LOOK = 1024;

/**
 * Looks at a file, a block device, an `https://` or `http://` URL, or stdin (`-`). Throws PiimgError: usage for what is not there, cannot
 * be read, is empty or another kind of archive, or a zip without exactly one image; failed for a damaged file or what a server refuses.
 */
export async function openSource(name: string, { signal }: { signal: AbortSignal }): Promise<Source> {
  if (name === '-') return openStdin(signal);
  const scheme = /^([a-z][a-z\d+.-]*):\/\//i.exec(name)?.[1];
  if (scheme === undefined) return openLocal(name, signal);
  if (!/^https?$/i.test(scheme)) {
    throw new PiimgError(`${name}: ${scheme}:// is not known here`, {
      exitCode: EXIT.usage,
      hint: 'An image is a file, an https:// or http:// URL, or - for stdin.',
    });
  }
  return openRemote(name, signal);
}

async function openLocal(name: string, signal: AbortSignal): Promise<Source> {
  const { beginning, size, regular, stamp } = await openFile(name, LOOK);
  const packing = packingOf(beginning, name);
  const source: Source = { name, kind: 'file', packing, packedSize: size, rereadable: true, stamp };
  if (packing === 'none') return { ...source, size };
  if (packing === 'zip') {
    const member = await findMember(name, size);
    return { ...source, size: member.size, packedSize: member.packed, member };
  }
  const unpacked = regular ? await unpackedSize(name, packing, signal) : undefined;
  return { ...source, ...(unpacked !== undefined && { size: unpacked }) };
}

async function openRemote(url: string, signal: AbortSignal): Promise<Source> {
  const { beginning, version, from } = await openUrl(url, LOOK, signal);
  const name = shownUrl(url);
  const packing = packingOf(beginning, name);
  const { length } = version;
  const size = packing === 'none' ? length : sizeInBeginning(packing, beginning, name);
  return {
    name,
    kind: 'url',
    packing,
    ...(size !== undefined && { size }),
    ...(length !== undefined && { packedSize: length }),
    rereadable: true,
    url,
    from,
    version,
  };
}

async function openStdin(signal: AbortSignal): Promise<Source> {
  const prefix = await takeStdin(LOOK, signal);
  const packing = packingOf(prefix, 'stdin');
  const size = sizeInBeginning(packing, prefix, 'stdin');
  return { name: '-', kind: 'stdin', packing, ...(size !== undefined && { size }), rereadable: false, prefix };
}

/** What the first header of a zip says, when it is of the image. */
function sizeInBeginning(packing: Packing, beginning: Buffer, name: string): number | undefined {
  const first = packing === 'zip' ? parseLocalHeader(beginning) : undefined;
  if (first === undefined || !first.image || first.described) return undefined;
  return chooseMember([first], name).size;
}
