// Turns the upper directory that a sandbox has written into a canonical layer tar.
import { isDevice, type TarHeader } from '../lib/tar.ts';
import type { StepContext } from './steps/context.ts';
import { CLEAR_LEFTOVERS } from './leftovers.ts';
import { readTarFrom, type PassData } from './tar-reader.ts';
import { writeLayerTar, type LayerTar, type LayerTarWriter } from './tar-writer.ts';

/** overlayfs's notes to itself, with userxattr (Documentation/filesystems/overlayfs.rst). */
const OVERLAY_NOTE = 'user.overlay.';
export const OPAQUE = 'user.overlay.opaque';

/** Archives a folder with all that a layer keeps of it. */
export const ARCHIVE = [
  'tar',
  '--create',
  '--format=posix',
  '--pax-option=delete=atime,delete=ctime',
  '--sort=name',
  '--numeric-owner',
  '--xattrs',
  '--xattrs-include=*',
];

/**
 * Writes what lies in `tree` to `tarFile`: sorted, numeric owners, no time later than `epoch` (seconds), whiteouts and
 * opaque folders as the index knows them. Leftovers of a build are removed from the tree first, then `cleared` is called: from
 * then on the tree stays as it is. Runs inside the namespace: only there capabilities read as the image will have them, and
 * foreign owners' files can be read at all.
 */
export async function captureTree(
  tarFile: string,
  { sandbox, tree, epoch, guard, signal }: Pick<StepContext, 'sandbox' | 'tree' | 'epoch' | 'guard' | 'signal'>,
  cleared: () => void = () => {},
): Promise<LayerTar> {
  const script = `cd "$1"; shift; ${CLEAR_LEFTOVERS}; exec "$@"`;
  const argv = [...ARCHIVE, `--mtime=@${epoch}`, '--clamp-mtime', '.'];
  return writeLayerTar(tarFile, guard, (writer) => {
    const command = ['sh', '-euc', script, 'sh', tree, ...argv];
    const tar = sandbox.tool(command, { writable: [tree], stdout: 'stream', signal });
    return readTarFrom(tar, (header, data) => {
      cleared();
      return copyEntry(header, data, writer, epoch);
    });
  });
}

/** Adds an entry as it was read from a tree: overlayfs's spelling of whiteouts and opaque folders becomes the index's. */
export async function copyEntry(
  header: TarHeader,
  data: PassData,
  writer: LayerTarWriter,
  epoch: number,
): Promise<void> {
  const opaque = header.xattrs?.[OPAQUE] !== undefined;
  const clean = withoutOverlayNotes(header.mtime < epoch ? header : atSecond(header, epoch));
  if (header.type === 'character' && header.device?.[0] === 0 && header.device[1] === 0) {
    writer.whiteout(header.path);
  } else if (!isDevice(header.type)) {
    await writer.add(clean, { opaque });
    if (header.type === 'file') await data((chunk) => writer.write(chunk));
  }
}

const atSecond = ({ nanoseconds: _, ...header }: TarHeader, mtime: number): TarHeader => ({ ...header, mtime });

function withoutOverlayNotes(header: TarHeader): TarHeader {
  if (!header.xattrs) return header;
  const kept = Object.entries(header.xattrs).filter(([name]) => !name.startsWith(OVERLAY_NOTE));
  const { xattrs: _, ...rest } = header;
  return kept.length === 0 ? rest : { ...rest, xattrs: Object.fromEntries(kept) };
}
