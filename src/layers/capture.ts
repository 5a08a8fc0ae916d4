// Turns the upper directory that a sandbox has written into a canonical layer tar.
import type { Running } from '../host/exec.ts';
import { BLOCK, padding, parseHeader, parsePax, paxSize, type TarHeader } from '../lib/tar.ts';
import type { Sandbox } from '../sandbox/root.ts';
import { byteReader, type ByteReader } from './bytes.ts';
import type { Guard } from './guard.ts';
import { LEFTOVERS } from './leftovers.ts';
import { writeLayerTar, type LayerTar } from './tar-writer.ts';

/** overlayfs's notes to itself, with userxattr (Documentation/filesystems/overlayfs.rst). */
const OVERLAY_NOTE = 'user.overlay.';
const OPAQUE = 'user.overlay.opaque';

/**
 * Writes what lies in `tree` to `tarFile`: sorted, numeric owners, no time later than `epoch` (seconds), whiteouts and opaque
 * folders as the index knows them. Leftovers of a build are removed from the tree first. Runs inside the namespace: only
 * there capabilities read as the image will have them, and foreign owners' files can be read at all.
 */
export async function captureTree(
  sandbox: Sandbox,
  tree: string,
  tarFile: string,
  epoch: number,
  guard: Guard,
  signal?: AbortSignal,
): Promise<LayerTar> {
  const script = [
    `cd "$1"; rm -rf ${LEFTOVERS.join(' ')}`,
    'exec tar --create --format=posix --pax-option=delete=atime,delete=ctime --sort=name --numeric-owner ' +
      `--mtime=@${epoch} --clamp-mtime --xattrs --xattrs-include="*" .`,
  ].join('\n');
  const tar = sandbox.tool(['sh', '-euc', script, 'sh', tree], { writable: [tree], stdout: 'stream', signal });
  const [result] = await Promise.all([
    writeLayerTar(tarFile, guard, (writer) => copyEntries(byteReader(tar.stdout), writer, epoch)),
    settle(tar),
  ]);
  return result;
}

/** A program whose output we read to its end; its failure is the one to report. */
async function settle(program: Running): Promise<void> {
  await program;
}

async function copyEntries(
  input: ByteReader,
  writer: Parameters<Parameters<typeof writeLayerTar>[2]>[0],
  epoch: number,
): Promise<void> {
  for (;;) {
    const header = await nextHeader(input);
    if (!header) break;
    const opaque = header.xattrs?.[OPAQUE] !== undefined;
    const clean = withoutOverlayNotes({ ...header, mtime: Math.min(header.mtime, epoch) });
    if (header.type === 'character' && header.device?.[0] === 0 && header.device[1] === 0) {
      writer.whiteout(header.path);
    } else if (header.type === 'file') {
      await writer.add(clean);
      await input.pass(header.size, (chunk) => writer.write(chunk));
    } else if (header.type !== 'other' && header.type !== 'character') {
      await writer.add(clean, { opaque });
    } else {
      await input.pass(header.size, () => {});
    }
    if (header.size > 0) await input.read(padding(header.size));
  }
  // tar fills its last record with zeros: read them, or it meets a closed pipe.
  while ((await input.read(1 << 16)).length > 0) continue;
}

async function nextHeader(input: ByteReader): Promise<TarHeader | undefined> {
  let block = await input.read(BLOCK);
  const size = paxSize(block);
  if (size === undefined)
    return block.length < BLOCK || block.every((byte) => byte === 0) ? undefined : parseHeader(block);
  const pax = Buffer.from(await input.read(size + padding(size))).subarray(0, size);
  block = await input.read(BLOCK);
  return parseHeader(block, parsePax(pax));
}

function withoutOverlayNotes(header: TarHeader): TarHeader {
  if (!header.xattrs) return header;
  const kept = Object.entries(header.xattrs).filter(([name]) => !name.startsWith(OVERLAY_NOTE));
  const { xattrs: _, ...rest } = header;
  return kept.length === 0 ? rest : { ...rest, xattrs: Object.fromEntries(kept) };
}
