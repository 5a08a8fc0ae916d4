// The whole way from layers to an image and its block map: read this first.
import { mkdir, open, rename, rm, writeFile, type FileHandle } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { removeAbandonedParts } from '../lib/alive.ts';
import { PiimgError } from '../lib/errors.ts';
import type { Step } from '../lib/progress.ts';
import { settled } from '../lib/settled.ts';
import type { Layer } from '../layers/layer.ts';
import { filesBeyondTar } from './beyond-tar.ts';
import { BMAP_BLOCK, bmapFileOf, bmapXml, type MappedRange } from './bmap.ts';
import { divideAtBoot, requireRoomOnBoot } from './boot-partition.ts';
import { COMPRESSIONS } from './compress.ts';
import { deltaOf, type Delta } from './delta.ts';
import { digestImage, type CheckedRange, type ImageDigester } from './digest.ts';
import { ext4UsedRanges } from './ext4.ts';
import { fatUsedRanges, listFat, openFat, type FatVolume } from './fat.ts';
import { changeExt4, makeExt4, makeFat } from './filesystems.ts';
import { encodeHeader } from './header.ts';
import { hex32, imageIds } from './ids.ts';
import { contentOf, HEADER_LBA, layoutFor, smallestSize } from './layout.ts';
import type { ImageManifest, Partition, SeedSlot } from './manifest.ts';
import { encodeMbr, SECTOR } from './mbr.ts';
import { mergeLayers, type MergedEntry } from './merge.ts';
import { endedTar, mergedTar, tarOf } from './merged-tar.ts';
import { cutAt, readerOf, wholeBlocks, type ByteRange } from './ranges.ts';
import type { RunTool } from './run-tool.ts';
import { copyStage, type BootFiles, type StageCache } from './stage.ts';

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
  /** Users whom ssh lets in, for the header. */
  logins: string[];
  /** Whether the base is a Raspberry Pi OS, for the header. */
  raspberryPi?: boolean;
  /** Of the header. */
  firstBoot?: 'own' | undefined;
  /** Of the role, for the header of such an image. */
  users?: string[];
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
  const ids = imageIds(input.diskId);
  // Named after the process: two builds of one image do not write into the same file, and what a killed one left is known.
  const part = `${out}.${process.pid}.part`;
  const bmapFile = bmapFileOf(out);
  const bmapPart = `${bmapFile}.${process.pid}.part`;

  // 1. What goes where.
  const { root, boot } = divideAtBoot(mergeLayers(input.layers.map(({ index }) => index)));
  const content = contentOf(root);
  const layout = layoutFor(content, ids.diskId, input.size);
  const partitions: [Partition, Partition] = [layout.boot, layout.root];
  const bootFiles = bootFilesOf(input, boot);
  const onBoot = [
    ...bootFiles.kept.map(({ entry: { path, size } }) => ({ path, size })),
    ...bootFiles.added.map(({ path, content: { length } }) => ({ path, size: length })),
  ];
  requireRoomOnBoot(onBoot, layout.boot.sectors);

  await mkdir(dirname(out), { recursive: true });
  // Of killed builds of the same image.
  await removeAbandonedParts(
    dirname(out),
    [out, bmapFile, ...COMPRESSIONS.map((format) => `${out}.${format}`)].map((file) => basename(file)),
  );
  let file: FileHandle | undefined;
  let digester: ImageDigester | undefined;
  try {
    // 2. Both file systems, first but for the seed and what the role's own files change; then those. What lies before the root
    // file system is whole by then, and hashed meanwhile.
    step.update({ message: 'file systems' });
    const image = (file = await open(part, 'w+'));
    await image.truncate(layout.size);
    const stable = input.layers.map((layer) => {
      return input.stable.includes(layer) ? layer.index : { ...layer.index, entries: [] };
    });
    const before = divideAtBoot(mergeLayers(stable)).root;
    // The image has the size of what is in it in the end: what the role removes may have no room in it.
    const delta = smallestSize(contentOf(before)) <= layout.size ? deltaOf(before, root) : undefined;
    const target = { ids, sourceDateEpoch };
    const rootTarget = { ...target, partition: layout.root };
    const make = async (to: string): Promise<void> => {
      const { kept, added, first } = bootFiles;
      const bootTar = endedTar(mergedTar(input.layers, kept), tarOf(added, sourceDateEpoch));
      const rootTar = counted(endedTar(mergedTar(input.layers, delta ? before : root)), content.bytes, step);
      await settled([
        makeFat(runTool, { ...target, image: to, partition: layout.boot }, bootTar, first),
        makeExt4(runTool, { ...rootTarget, image: to }, rootTar),
      ]);
      const beyond = await filesBeyondTar(to, layout.root.start * SECTOR, delta ? before : root, sourceDateEpoch);
      if (beyond) await changeExt4(runTool, { ...rootTarget, image: to }, endedTar(tarOf(beyond, sourceDateEpoch)));
    };
    if (delta && input.stages) {
      const stage = { layers: input.stable, bootFiles, size: layout.size, partitions, ids, sourceDateEpoch };
      await copyStage(input.stages, stage, part, step, make);
    } else {
      await make(part);
    }
    const changeRoot = async (): Promise<void> => {
      if (delta) await changeExt4(runTool, { ...rootTarget, image: part }, deltaTar(input, delta));
    };
    input.signal?.throwIfAborted();
    const reading = (digester = digestImage(part, layout.size));
    const { slots, used: usedBefore } = await finishBoot(input, image, partitions);
    const [checkedBoot] = await settled([reading.readTo(layout.root.start * SECTOR, usedBefore), changeRoot()]);

    input.signal?.throwIfAborted();
    // 3. The block map: the gap before p1 and all that the file systems use. Syncing takes the disk's time meanwhile.
    step.update({ message: 'checksums' });
    const used = wholeBlocks(await ext4UsedRanges(readerOf(image), layout.root.start * SECTOR), BMAP_BLOCK);
    const [checkedRoot] = await settled([reading.readTo(layout.size, used, step), image.sync()]);
    const mapped = [...checkedBoot.map((range) => unlessSlot(range, slots)), ...checkedRoot];
    await writeFile(bmapPart, bmapXml(layout.size, mapped), { flush: true });

    // 4. Both are whole: put them in their places.
    input.signal?.throwIfAborted();
    const { blocks } = await image.stat();
    await rename(bmapPart, bmapFile);
    await rename(part, out);
    return {
      size: layout.size,
      allocated: blocks * 512,
      sha256: reading.sha256(),
      slots,
      disk: { id: hex32(ids.diskId), sectorSize: SECTOR, partitions },
      bmapFile,
    };
  } catch (error) {
    await Promise.all([rm(part, { force: true }), rm(bmapPart, { force: true })]);
    throw error;
  } finally {
    await Promise.all([file?.close(), digester?.close()]);
  }
}

/** `piimg seed --in-place` writes to the slots of an image that is built, and its block map is to fit all the same. */
const unlessSlot = ({ offset, length, sha256 }: CheckedRange, slots: SeedSlot[]): MappedRange =>
  slots.some((slot) => slot.offset === offset) ? { offset, length } : { offset, length, sha256 };

/** What the boot partition holds, its seed slots still blank: the same for every node, and kept with the stage. */
function bootFilesOf({ seed, bootFiles }: AssembleInput, boot: MergedEntry[]): BootFiles {
  const blank = seed.map(({ name, content }) => ({ path: name, content: Buffer.alloc(content.length) }));
  const added = [...blank, ...bootFiles];
  const replaced = new Set(added.map(({ path }) => path.toLowerCase()));
  const kept = boot.filter(({ entry }) => !replaced.has(entry.path.toLowerCase()));
  return { kept, added, first: seed.map(({ name }) => name) };
}

/**
 * Completes what lies before the root partition: the seed, the partition table, and the header by which the image describes itself.
 * Returns where the seed slots are, and the ranges in use, in whole blocks, the slots apart.
 */
async function finishBoot(
  { buildId, diskId, role, base, logins, raspberryPi, firstBoot, users = [], seed, sourceDateEpoch }: AssembleInput,
  file: FileHandle,
  partitions: [Partition, Partition],
): Promise<{ slots: SeedSlot[]; used: ByteRange[] }> {
  const [{ start }] = partitions;
  const fat = await openFat(readerOf(file), start * SECTOR);
  const slots = await findSlots(
    fat,
    seed.map(({ name }) => name),
  );
  const header = encodeHeader({
    buildId,
    role,
    base,
    slots,
    partitions,
    created: sourceDateEpoch,
    logins,
    ...(raspberryPi === true && { raspberryPi }),
    ...(firstBoot && { firstBoot, users }),
  });
  const table = encodeMbr(diskId, partitions);
  await file.write(table, 0, table.length, 0);
  await file.write(header, 0, header.length, HEADER_LBA * SECTOR);
  const places = new Map(slots.map(({ name, offset }) => [name, offset]));
  for (const { name, content } of seed) await file.write(content, 0, content.length, places.get(name));
  // The gap before the partition is part of the block map: a used card holds another table there.
  const used = [{ offset: 0, length: start * SECTOR }, ...(await fatUsedRanges(fat))];
  return { slots, used: cutAt(wholeBlocks(used, BMAP_BLOCK), slots) };
}

/** The files that `delta` names by number, and its commands. */
function deltaTar({ layers, sourceDateEpoch }: AssembleInput, { files, commands }: Delta): AsyncGenerator<Buffer> {
  const numbered = files.map((merged, i) => ({ ...merged, entry: { ...merged.entry, path: String(i) } }));
  const script = { path: 'commands', content: Buffer.from(commands.map((line) => `${line}\n`).join('')) };
  return endedTar(mergedTar(layers, numbered), tarOf([script], sourceDateEpoch));
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
