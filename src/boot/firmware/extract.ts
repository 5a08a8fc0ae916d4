// Takes the chosen files off the card and makes them what QEMU loads.
import { createWriteStream } from 'node:fs';
import { open, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import type { BootFiles } from '../command-line.ts';
import { fillDeviceTree, type Hardware } from './device-tree.ts';
import { readBootFile, type BootFile, type BootPartition } from './partition.ts';
import type { BootSelection, ChosenFile } from './select.ts';
import { wouldNotBoot } from './would-not-boot.ts';

/** The first two bytes of gzip (RFC 1952): the firmware knows a packed kernel by them ("Boot options", `arm_64bit`). */
const GZIP = 0x1f8b;

/** What an arm64 Image has at byte 56 (Linux, Documentation/arch/arm64/booting.rst). */
const IMAGE = { magicAt: 56, magic: 'ARM\x64' };

/** Each initramfs begins at a multiple of this, as Linux reads archives one behind the other (buffer-format.rst). */
const ALIGNMENT = 4;

/**
 * Writes kernel, initramfs and the device tree of that hardware into `folder`, which must exist. Throws the finding that the card would not boot
 * (`reasonOf`) for a kernel that is no arm64 Image, also after unpacking.
 */
export async function extractBootFiles(
  partition: BootPartition,
  selection: BootSelection,
  folder: string,
  hardware: Hardware = {},
): Promise<BootFiles & { deviceTree: string }> {
  const files = {
    kernel: path.join(folder, 'kernel'),
    deviceTree: path.join(folder, 'board.dtb'),
    cmdline: selection.cmdline,
  };
  await extractKernel(await take(partition, selection.kernel), selection.kernel, files.kernel);
  const deviceTree = await take(partition, selection.deviceTree);
  await writeFile(files.deviceTree, fillDeviceTree(await readBootFile(deviceTree), hardware));
  if (selection.initramfs.length === 0) return files;
  const parts: BootFile[] = [];
  for (const part of selection.initramfs) parts.push(await take(partition, part));
  const initramfs = path.join(folder, 'initramfs');
  await pipeline(Readable.from(joined(parts)), createWriteStream(initramfs));
  return { ...files, initramfs };
}

async function extractKernel(file: BootFile, { path: name, what }: ChosenFile, to: string): Promise<void> {
  const packed = (await firstBytes(file)).toString('hex') === GZIP.toString(16);
  const content = Readable.from(file.chunks());
  const target = createWriteStream(to);
  let problem: string | undefined;
  try {
    await (packed ? pipeline(content, createGunzip(), target) : pipeline(content, target));
    if (!(await isImage(to))) problem = `is no arm64 kernel${packed ? ' in gzip' : ''}`;
  } catch (error) {
    if (!(error as NodeJS.ErrnoException).code?.startsWith('Z_')) throw error;
    problem = 'is damaged gzip';
  }
  if (problem === undefined) return;
  await rm(to);
  throw wouldNotBoot(
    `${name} on its boot partition, ${what}, ${problem}.`,
    'It must be an Image of Linux for arm64, as it is or packed with gzip.',
  );
}

async function firstBytes(file: BootFile): Promise<Buffer> {
  for await (const chunk of file.chunks()) return chunk.subarray(0, 2);
  return Buffer.alloc(0);
}

async function isImage(file: string): Promise<boolean> {
  const handle = await open(file);
  try {
    const { buffer } = await handle.read(Buffer.alloc(IMAGE.magic.length), { position: IMAGE.magicAt });
    return buffer.toString('latin1') === IMAGE.magic;
  } finally {
    await handle.close();
  }
}

async function* joined(files: BootFile[]): AsyncGenerator<Buffer> {
  for (const file of files) {
    yield* file.chunks();
    const rest = file.size % ALIGNMENT;
    if (rest > 0 && file !== files.at(-1)) yield Buffer.alloc(ALIGNMENT - rest);
  }
}

async function take(partition: BootPartition, { path: name }: ChosenFile): Promise<BootFile> {
  const file = await partition.find(name);
  if (file === undefined) throw new Error(`${name} has left the card since it was chosen`);
  return file;
}
