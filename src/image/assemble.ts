// The whole way from layers to an image and its block map: read this first.
import { mkdir, open, readdir, rename, rm, writeFile, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { abandoned } from '../lib/alive.ts';
import { PiimgError } from '../lib/errors.ts';
import type { Step } from '../lib/progress.ts';
import type { Layer } from '../layers/layer.ts';
import { BMAP_BLOCK, bmapXml } from './bmap.ts';
import { divideAtBoot } from './boot-partition.ts';
import { digestImage, type ImageDigester } from './digest.ts';
import { ext4UsedRanges } from './ext4.ts';
import { fatUsedRanges, listFat, openFat, type FatVolume } from './fat.ts';
import { makeExt4, makeFat } from './filesystems.ts';
import { encodeHeader } from './header.ts';
import { imageIds } from './ids.ts';
import { contentOf, HEADER_LBA, layoutFor } from './layout.ts';
import type { ImageManifest, SeedSlot } from './manifest.ts';
import { encodeMbr, SECTOR } from './mbr.ts';
import { mergeLayers } from './merge.ts';
import { endedTar, mergedTar, tarOf } from './merged-tar.ts';
import { readerOf, wholeBlocks } from './ranges.ts';
import type { RunTool } from './run-tool.ts';

export interface AssembleInput {
  /** Lowest first. */
  layers: Layer[];
  buildId: string;
  /** MBR disk id: the layers' fstab and cmdline.txt name partitions by it. */
  diskId: number;
  role: string;
  base: string;
  /** The seed slots' first content, already of the slots' lengths. */
  seed: { name: SeedSlot['name']; content: Buffer }[];
  /** Further files of the boot partition; they replace the layers' files of the same name. */
  bootFiles: { path: string; content: Buffer }[];
  /** The image to make, an absolute path; the block map goes beside it. */
  out: string;
  /** Bytes of the whole image; by default as much as the content needs (layout.ts). */
  size?: number;
  /** Seconds since 1970. */
  sourceDateEpoch: number;
  runTool: RunTool;
  step: Pick<Step, 'update'>;
  /** Ends the work between two steps; programs under way are `runTool`'s to end. */
  signal?: AbortSignal;
}

export interface AssembledImage {
  size: number;
  allocated: number;
  sha256: string;
  slots: SeedSlot[];
  disk: ImageManifest['disk'];
  bmapFile: string;
}

/**
 * Makes `out` and its .bmap. Both are written beside their places and renamed when complete; after a failure nothing
 * is left. Throws PiimgError for a damaged layer, content that does not fit, names a FAT cannot hold, a failing tool.
 */
export async function assembleImage(input: AssembleInput): Promise<AssembledImage> {
  const { out, step, runTool, sourceDateEpoch } = input;
  const ids = imageIds(input.buildId, input.diskId);
  // Named after the process: two builds of one image do not write into the same file, and what a killed one left is known.
  const part = `${out}.${process.pid}.part`;
  const bmapFile = bmapFileOf(out);
  const bmapPart = `${bmapFile}.${process.pid}.part`;

  // 1. What goes where.
  const { root, boot } = divideAtBoot(mergeLayers(input.layers.map(({ index }) => index)));
  const content = contentOf(root);
  const layout = layoutFor(content, ids.diskId, input.size);
  const partitions = [layout.boot, layout.root];
  const [bootStart, rootStart] = [layout.boot.start * SECTOR, layout.root.start * SECTOR];

  await mkdir(dirname(out), { recursive: true });
  await removeAbandonedParts(out);
  let file: FileHandle | undefined;
  let digester: ImageDigester | undefined;
  try {
    // 2. An empty file of full size: all holes.
    file = await open(part, 'w+');
    await file.truncate(layout.size);
    const target = { image: part, ids, sourceDateEpoch };

    // 3. The boot file system, and where the seed slots ended up in it.
    step.update({ message: 'boot file system' });
    const added = [...input.seed.map(({ name, content: data }) => ({ path: name, content: data })), ...input.bootFiles];
    const replaced = new Set(added.map(({ path }) => path.toLowerCase()));
    const kept = boot.filter(({ entry }) => !replaced.has(entry.path.toLowerCase()));
    const bootTar = endedTar(mergedTar(input.layers, kept), tarOf(added, sourceDateEpoch));
    const slotNames = input.seed.map(({ name }) => name);
    await makeFat(runTool, { ...target, partition: layout.boot }, bootTar, slotNames);
    const read = readerOf(file);
    const fat = await openFat(read, bootStart);
    const slots = await findSlots(fat, slotNames);

    // 4. Partition table, and the header by which the image describes itself.
    await file.write(encodeMbr(ids.diskId, partitions), 0, SECTOR, 0);
    const { buildId, role, base } = input;
    const header = encodeHeader({ buildId, role, base, slots, partitions, created: sourceDateEpoch });
    await file.write(header, 0, header.length, HEADER_LBA * SECTOR);

    // 5. The root file system. All before it is finished: its checksums are made meanwhile.
    step.update({ message: 'root file system' });
    digester = await digestImage(part, layout.size);
    const rootTar = counted(endedTar(mergedTar(input.layers, root)), content.bytes, step);
    const beforeRoot = wholeBlocks([{ offset: 0, length: bootStart }, ...fatUsedRanges(fat)], BMAP_BLOCK);
    const [checkedBoot] = await settled([
      digester.readTo(rootStart, beforeRoot),
      makeExt4(runTool, { ...target, partition: layout.root }, rootTar),
    ]);

    input.signal?.throwIfAborted();
    // 6. The block map: the gap before p1 and all that the file systems use. Syncing takes the disk's time meanwhile.
    step.update({ message: 'checksums' });
    const used = wholeBlocks(await ext4UsedRanges(read, rootStart), BMAP_BLOCK);
    const [checkedRoot] = await settled([digester.readTo(layout.size, used, step), file.sync()]);
    await writeFile(bmapPart, bmapXml(layout.size, [...checkedBoot, ...checkedRoot]), { flush: true });

    // 7. Both are whole: put them in their places.
    input.signal?.throwIfAborted();
    const { blocks } = await file.stat();
    await rename(bmapPart, bmapFile);
    await rename(part, out);
    const diskId = ids.diskId.toString(16).padStart(8, '0');
    return {
      size: layout.size,
      allocated: blocks * 512,
      sha256: digester.sha256(),
      slots,
      disk: { id: diskId, sectorSize: SECTOR, partitions },
      bmapFile,
    };
  } catch (error) {
    await Promise.all([rm(part, { force: true }), rm(bmapPart, { force: true })]);
    throw error;
  } finally {
    await Promise.all([file?.close(), digester?.close()]);
  }
}

/** Removes what killed builds of the same image have left. */
async function removeAbandonedParts(out: string): Promise<void> {
  const name = basename(out).replace(/\.img$/, '');
  const own = (await readdir(dirname(out))).filter((file) => file.startsWith(`${name}.`));
  for (const file of abandoned(own, /\.(\d+)\.part$/)) await rm(join(dirname(out), file), { force: true });
}

/** `web.img` → `web.bmap`, where bmaptool looks for it, also for `web.img.xz`. */
function bmapFileOf(image: string): string {
  return `${image.replace(/\.img$/, '')}.bmap`;
}

/** Slots are overwritten by byte range later, so each must be one range of whole blocks. */
async function findSlots(fat: FatVolume, names: SeedSlot['name'][]): Promise<SeedSlot[]> {
  const files = await listFat(fat);
  return names.map((name) => {
    const found = files.find((candidate) => candidate.name === name);
    const [range, ...more] = found?.ranges ?? [];
    const { size = 0 } = found ?? {};
    if (range === undefined || more.length > 0 || size !== range.length || (range.offset | size) % BMAP_BLOCK !== 0) {
      throw new PiimgError(`The seed slot ${name} is not one range of whole blocks in the boot partition.`, {
        hint: `Slots must be multiples of ${BMAP_BLOCK} bytes; this one is ${size}.`,
      });
    }
    return { name, offset: range.offset, length: size };
  });
}

async function* counted(stream: AsyncIterable<Buffer>, total: number, step: Pick<Step, 'update'>) {
  let done = 0;
  for await (const chunk of stream) {
    yield chunk;
    done = Math.min(total, done + chunk.length);
    step.update({ done, total, unit: 'bytes' });
  }
}

/** Like Promise.all, but a failure waits for the others, so that nothing still works on a file that is removed. */
async function settled<A, B>(work: [Promise<A>, Promise<B>]): Promise<[A, B]> {
  await Promise.allSettled(work);
  return Promise.all(work);
}
