// A disk of a boot partition alone, like that of Raspberry Pi OS: for tests of what is changed on it.
import { open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../../src/host/exec.ts';
import { findInFat, openFat, readFromFat, type FatVolume } from '../../src/image/fat.ts';
import { readerOf } from '../../src/image/ranges.ts';
import { temporaryFolder } from './temporary.ts';

export const START = 8192 * 512;

export interface FatImage {
  file: string;
  mtools: (program: string, ...args: string[]) => Promise<{ stdout: string }>;
}

/** `fat`: bits of its table, of which there are `tables`; `fill`: so many further files, which spread the directory over the disk. */
export async function fatImage({ fat = 32, tables = 2, fill = 40 } = {}): Promise<FatImage> {
  const folder = temporaryFolder();
  const file = join(folder, 'card.img');
  const sectors = fat === 32 ? 70_000 : 20_000;
  const handle = await open(file, 'w');
  await handle.truncate(START + sectors * 512);
  await handle.close();
  const clusters = fat === 12 ? '8' : '1';
  await run([
    'mkfs.vfat',
    '-F',
    `${fat}`,
    '-f',
    `${tables}`,
    '-s',
    clusters,
    '--offset',
    `${START / 512}`,
    file,
    `${sectors / 2}`,
  ]);
  const mtools = (program: string, ...args: string[]) =>
    run([program, '-i', `${file}@@${START}`, ...args], { env: { MTOOLS_SKIP_CHECK: '1' } });
  const names = Array.from({ length: fill }, (_, index) => `a file with a long name ${index}.dtb`);
  for (const [index, name] of names.entries()) await writeFile(join(folder, name), `${index}\n`.repeat(300));
  for (const [name, text] of Object.entries(OLD)) await writeFile(join(folder, name), text);
  await mtools('mmd', '::overlays');
  await mtools('mcopy', ...[...names, ...Object.keys(OLD)].map((name) => join(folder, name)), '::/');
  await mtools('mcopy', join(folder, 'cmdline.txt'), '::overlays/vc4.dtbo');
  return { file, mtools };
}

export const OLD = { 'cmdline.txt': 'console=tty1 rootwait\n', 'meta-data': 'instance_id: rpios-image\n'.repeat(60) };

/** The texts of files as a machine would read them now; undefined for those that are not there. */
export async function textsOf(file: string, names: string[]): Promise<(string | undefined)[]> {
  return withFat(file, (volume) =>
    Promise.all(
      names.map(async (name) => {
        const entry = await findInFat(volume, name);
        return entry && (await readFromFat(volume, entry)).toString();
      }),
    ),
  );
}

export async function withFat<T>(file: string, work: (volume: FatVolume) => Promise<T>): Promise<T> {
  const handle = await open(file);
  try {
    return await work(await openFat(readerOf(handle), START));
  } finally {
    await handle.close();
  }
}

/** What fsck.vfat says of it, and its exit status. */
export async function checkFat(file: string): Promise<{ exitCode: number; stdout: string }> {
  const part = `${file}.fat`;
  await run([
    'dd',
    `if=${file}`,
    `of=${part}`,
    'bs=1M',
    'conv=sparse',
    'status=none',
    `skip=${START}`,
    'iflag=skip_bytes',
  ]);
  return run(['fsck.vfat', '-n', part], { okCodes: [0, 1] });
}

/** As a computer leaves it that was switched off too early. */
export async function freeInSecondTable(file: string, name: string): Promise<void> {
  const cluster = await withFat(file, async (volume) => (await findInFat(volume, name))?.firstCluster ?? 0);
  const handle = await open(file, 'r+');
  const [bits, second] = await withFat(file, async ({ bits: of, tables }) => [of, tables[1]?.offset ?? 0] as const);
  // Two entries of 12 bits share a byte: the cluster before goes with it.
  await handle.write(Buffer.alloc(4), 0, Math.ceil(bits / 8), second + Math.floor((cluster * bits) / 8));
  await handle.close();
}
