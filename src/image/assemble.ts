// The whole way from layers to an image and its block map: read this first.
import { mkdir, open, readdir, rename, rm, writeFile, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { abandoned } from '../lib/alive.ts';
import { PiimgError } from '../lib/errors.ts';
import type { Step } from '../lib/progress.ts';
import { settled } from '../lib/settled.ts';
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

export interface AssembleInput {
  /** Lowest first. */
  layers: Layer[];
  /** Those of them that no file of the role's own changes. */
  stable: Layer[];
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
    // 2. The root file system, first but for what the role's own files change; all that lies before it, which is hashed meanwhile.
    step.update({ message: 'file systems' });
    const image = (file = await open(part, 'w+'));
    await image.truncate(layout.size);
    const stable = input.layers.map((layer) => {
      return input.stable.includes(layer) ? layer.index : { ...layer.index, entries: [] };
    });
    const before = divideAtBoot(mergeLayers(stable)).root;
    // The image has the size of what is in it in the end: what the role removes may have no room in it.
    const delta = smallestSize(contentOf(before)) <= layout.size ? deltaOf(before, root) : undefined;
    const { rootUuid, hashSeed } = ids;
    const target = { image: part, ids, sourceDateEpoch };
    const rootTarget = { ...target, partition: layout.root };
    const make = (entries: MergedEntry[]) => (to: string) => {
      const tar = counted(endedTar(mergedTar(input.layers, entries)), content.bytes, step);
      return makeExt4(runTool, { ...rootTarget, image: to }, tar);
    };
    const makeRoot = (): Promise<void> => {
      if (!delta || !input.stages) return make(delta ? before : root)(part);
      const stage = {
        layers: input.stable,
        size: layout.size,
        partition: layout.root,
        rootUuid,
        hashSeed,
        sourceDateEpoch,
      };
      return copyStage(input.stages, stage, part, step, make(before));
    };
    const changeRoot = async (): Promise<void> => {
      input.signal?.throwIfAborted();
      if (delta) await changeExt4(runTool, rootTarget, deltaTar(input, delta));
    };
    const reading = (digester = digestImage(part, layout.size));
    const rootMade = makeRoot();
    const bootMade = settled([makeBoot(input, image, { boot, target, partitions }), rootMade]);
    const bootRead = bootMade.then(async ([made]) => {
      return { ...made, checked: await reading.readTo(layout.root.start * SECTOR, made.used) };
    });
    const [{ slots, checked: checkedBoot }] = await settled([bootRead, rootMade.then(changeRoot)]);

    input.signal?.throwIfAborted();
    // 3. The block map: the gap before p1 and all that the file systems use. Syncing takes the disk's time meanwhile.
    step.update({ message: 'checksums' });
    const used = wholeBlocks(await ext4UsedRanges(readerOf(image), layout.root.start * SECTOR), BMAP_BLOCK);
    const [checkedRoot] = await settled([reading.readTo(layout.size, used, step), image.sync()]);
    await writeFile(bmapPart, bmapXml(layout.size, [...checkedBoot, ...checkedRoot]), { flush: true });

    // 4. Both are whole: put them in their places.
    input.signal?.throwIfAborted();
    const { blocks } = await image.stat();
    await rename(bmapPart, bmapFile);
    await rename(part, out);
    const diskId = ids.diskId.toString(16).padStart(8, '0');
    return {
      size: layout.size,
      allocated: blocks * 512,
      sha256: reading.sha256(),
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

/**
 * All that lies before the root partition: boot file system, partition table, and the header by which the image describes itself.
 * Returns where the seed slots ended up, and the ranges in use, in whole blocks.
 */
async function makeBoot(
  input: AssembleInput,
  file: FileHandle,
  {
    boot,
    target,
    partitions,
  }: { boot: MergedEntry[]; target: Omit<FileSystemInput, 'partition'>; partitions: [Partition, Partition] },
): Promise<{ slots: SeedSlot[]; used: ByteRange[] }> {
  const { buildId, role, base, sourceDateEpoch } = input;
  const [partition] = partitions;
  const added = [...input.seed.map(({ name, content }) => ({ path: name, content })), ...input.bootFiles];
  const replaced = new Set(added.map(({ path }) => path.toLowerCase()));
  const kept = boot.filter(({ entry }) => !replaced.has(entry.path.toLowerCase()));
  const tar = endedTar(mergedTar(input.layers, kept), tarOf(added, sourceDateEpoch));
  const slotNames = input.seed.map(({ name }) => name);
  await makeFat(input.runTool, { ...target, partition }, tar, slotNames);
  const fat = await openFat(readerOf(file), partition.start * SECTOR);
  const slots = await findSlots(fat, slotNames);

  await file.write(encodeMbr(target.ids.diskId, partitions), 0, SECTOR, 0);
  const header = encodeHeader({ buildId, role, base, slots, partitions, created: sourceDateEpoch });
  await file.write(header, 0, header.length, HEADER_LBA * SECTOR);
  // The gap before the partition is part of the block map: a used card holds another table there.
  const used = [{ offset: 0, length: partition.start * SECTOR }, ...fatUsedRanges(fat)];
  return { slots, used: wholeBlocks(used, BMAP_BLOCK) };
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
