// The whole way from layers to an image and its block map: read this first.
import { mkdir, open, readdir, rename, rm, writeFile, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { abandoned } from '../lib/alive.ts';
import { PiimgError } from '../lib/errors.ts';
import type { Step } from '../lib/progress.ts';
import type { Layer } from '../layers/layer.ts';
import { BMAP_BLOCK, bmapXml } from './bmap.ts';
import { divideAtBoot } from './boot-partition.ts';
import { deltaOf, type Delta } from './delta.ts';
import { digestImage, type ImageDigester } from './digest.ts';
import { ext4UsedRanges } from './ext4.ts';
import { fatUsedRanges, listFat, openFat, type FatVolume } from './fat.ts';
import { changeExt4, makeExt4, makeFat, type FileSystemInput } from './filesystems.ts';
import { encodeHeader } from './header.ts';
import { imageIds } from './ids.ts';
import { contentOf, HEADER_LBA, layoutFor, smallestSize } from './layout.ts';
import type { ImageManifest, Partition, SeedSlot } from './manifest.ts';
import { encodeMbr, SECTOR } from './mbr.ts';
import { mergeLayers, type MergedEntry } from './merge.ts';
import { endedTar, mergedTar, tarOf } from './merged-tar.ts';
import { readerOf, wholeBlocks, type ByteRange } from './ranges.ts';
import type { RunTool } from './run-tool.ts';
import { copyStage, type StageCache } from './stage.ts';

/** Bytes. */
const COPIED_AT_ONCE = 1 << 20;

export interface AssembleInput {
  /** Lowest first. */
  layers: Layer[];
  /** How many of them, from the lowest, no file of the role's own changes. */
  stable: number;
  /** Where file systems of those are kept; without, they are made each time. */
  stages?: StageCache;
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
  step: Pick<Step, 'update' | 'note'>;
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
  const bootPart = `${out}.boot.${process.pid}.part`;

  // 1. What goes where.
  const { root, boot } = divideAtBoot(mergeLayers(input.layers.map(({ index }) => index)));
  const content = contentOf(root);
  const layout = layoutFor(content, ids.diskId, input.size);
  const partitions: [Partition, Partition] = [layout.boot, layout.root];

  await mkdir(dirname(out), { recursive: true });
  await removeAbandonedParts(out);
  let file: FileHandle | undefined;
  let digester: ImageDigester | undefined;
  try {
    // 2. The root file system but for what the role's own files change, and all that lies before it: each in a file of its own,
    // as the copy of a kept one begins by emptying its target.
    step.update({ message: 'file systems' });
    file = await open(part, 'w+');
    const stable = input.layers.slice(0, input.stable);
    const before = divideAtBoot(mergeLayers(stable.map(({ index }) => index))).root;
    // The image has the size of what is in it in the end: what the role removes may have no room in it.
    const delta = smallestSize(contentOf(before)) <= layout.size ? deltaOf(before, root) : undefined;
    const { rootUuid, hashSeed } = ids;
    const rootTarget = { image: part, ids, sourceDateEpoch, partition: layout.root };
    const make = (entries: MergedEntry[]) => (image: string) => {
      const tar = counted(endedTar(mergedTar(input.layers, entries)), content.bytes, step);
      return makeExt4(runTool, { ...rootTarget, image }, tar);
    };
    const makeRoot = async (empty: FileHandle): Promise<void> => {
      if (delta && input.stages) {
        const stage = { layers: stable, size: layout.size, partition: layout.root };
        await copyStage(input.stages, { ...stage, rootUuid, hashSeed, sourceDateEpoch }, part, input, make(before));
      } else {
        await empty.truncate(layout.size);
        await make(delta ? before : root)(part);
      }
    };
    const target = { image: bootPart, ids, sourceDateEpoch };
    const [{ slots, used: usedBefore }] = await settled([
      makeBoot(input, { boot, target, partitions }),
      makeRoot(file),
    ]);

    // 3. Put together; what lies before the root partition is hashed while that is being finished.
    input.signal?.throwIfAborted();
    await copyRanges(bootPart, file, usedBefore);
    digester = digestImage(part, layout.size);
    const [checkedBoot] = await settled([
      digester.readTo(layout.root.start * SECTOR, usedBefore),
      delta ? changeExt4(runTool, rootTarget, deltaTar(input, delta)) : Promise.resolve(),
    ]);

    input.signal?.throwIfAborted();
    // 4. The block map: the gap before p1 and all that the file systems use. Syncing takes the disk's time meanwhile.
    step.update({ message: 'checksums' });
    const used = wholeBlocks(await ext4UsedRanges(readerOf(file), layout.root.start * SECTOR), BMAP_BLOCK);
    const [checkedRoot] = await settled([digester.readTo(layout.size, used, step), file.sync()]);
    await writeFile(bmapPart, bmapXml(layout.size, [...checkedBoot, ...checkedRoot]), { flush: true });

    // 5. Both are whole: put them in their places.
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
    await Promise.all([file?.close(), digester?.close(), rm(bootPart, { force: true })]);
  }
}

/**
 * All that lies before the root partition, in a file of its own (`target.image`): boot file system, partition table, and the header
 * by which the image describes itself. Returns where the seed slots ended up, and the ranges in use, in whole blocks.
 */
async function makeBoot(
  input: AssembleInput,
  {
    boot,
    target,
    partitions,
  }: { boot: MergedEntry[]; target: Omit<FileSystemInput, 'partition'>; partitions: [Partition, Partition] },
): Promise<{ slots: SeedSlot[]; used: ByteRange[] }> {
  const { buildId, role, base, sourceDateEpoch } = input;
  const [partition, next] = partitions;
  const added = [...input.seed.map(({ name, content }) => ({ path: name, content })), ...input.bootFiles];
  const replaced = new Set(added.map(({ path }) => path.toLowerCase()));
  const kept = boot.filter(({ entry }) => !replaced.has(entry.path.toLowerCase()));
  const tar = endedTar(mergedTar(input.layers, kept), tarOf(added, sourceDateEpoch));
  const slotNames = input.seed.map(({ name }) => name);
  const file = await open(target.image, 'w+');
  try {
    await file.truncate(next.start * SECTOR);
    await makeFat(input.runTool, { ...target, partition }, tar, slotNames);
    const fat = await openFat(readerOf(file), partition.start * SECTOR);
    const slots = await findSlots(fat, slotNames);

    await file.write(encodeMbr(target.ids.diskId, partitions), 0, SECTOR, 0);
    const header = encodeHeader({ buildId, role, base, slots, partitions, created: sourceDateEpoch });
    await file.write(header, 0, header.length, HEADER_LBA * SECTOR);
    // The gap before the partition is part of the block map: a used card holds another table there.
    const used = [{ offset: 0, length: partition.start * SECTOR }, ...fatUsedRanges(fat)];
    return { slots, used: wholeBlocks(used, BMAP_BLOCK) };
  } finally {
    await file.close();
  }
}

/** Copies these ranges of the file `from` to the same places. */
async function copyRanges(from: string, to: FileHandle, ranges: ByteRange[]): Promise<void> {
  const source = await open(from);
  try {
    const read = readerOf(source);
    for (const { offset, length } of ranges) {
      for (let at = 0; at < length; at += COPIED_AT_ONCE) {
        const piece = await read(offset + at, Math.min(COPIED_AT_ONCE, length - at));
        await to.write(piece, 0, piece.length, offset + at);
      }
    }
  } finally {
    await source.close();
  }
}

/** The files that `delta` names by number, and its commands. */
function deltaTar({ layers, sourceDateEpoch }: AssembleInput, { files, commands }: Delta): AsyncGenerator<Buffer> {
  const numbered = files.map((merged, i) => ({ ...merged, entry: { ...merged.entry, path: String(i) } }));
  const script = { path: 'commands', content: Buffer.from(commands.map((line) => `${line}\n`).join('')) };
  return endedTar(mergedTar(layers, numbered), tarOf([script], sourceDateEpoch));
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
