// The copy that `piimg seed --out` makes: what is replaced, what is removed, what is left alone.
import { spawnSync } from 'node:child_process';
import { copyFile, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { bmapXml } from '../../../src/image/bmap.ts';
import { parseHeader } from '../../../src/image/header.ts';
import { HEADER_LBA } from '../../../src/image/layout.ts';
import { SECTOR } from '../../../src/image/mbr.ts';
import { cutAt, wholeBlocks } from '../../../src/image/ranges.ts';
import { sha256 } from '../../../src/lib/digest.ts';
import { mtools, seedImage } from '../../helpers/seed-image.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';
import { piimg } from './piimg.ts';

const made = await seedImage();

/** A folder with the image and these files, after the copy was made. */
async function afterSeeding(files: string[]): Promise<string> {
  const folder = temporaryFolder();
  await copyFile(join(made, 'web.img'), join(folder, 'web.img'));
  await Promise.all(files.map((name) => writeFile(join(folder, name), 'x')));
  const { exitCode, stderr } = await piimg(['seed', 'web.img', '--out', 'pi.img', '--node', 'pi'], { cwd: folder });
  assert.is(exitCode, 0, stderr);
  return folder;
}

const parts = async (folder: string) => (await readdir(folder)).filter((name) => /^pi\.img\..+\.part$/.test(name));

test('what is there under the name of the copy is replaced, and nothing else beside it', async () => {
  const folder = await afterSeeding(['pi.img', 'pi.img.part']);
  assert.match((await mtools(join(folder, 'pi.img'), 'mtype', '::user-data')).stdout, '"hostname": "pi"');
  assert.is(await readFile(join(folder, 'pi.img.part'), 'utf8'), 'x');
  assert.equal(await parts(folder), []);
});

test('a file that only sounds like a copy under way stays', async () => {
  const { pid: gone } = spawnSync('true');
  const own = [`pi.img.backup.${gone}.part`, `pi.img.0a0a0a0a.bmap.${gone}.part`, `pi.img.xz.${gone}.part`];
  assert.equal((await parts(await afterSeeding(own))).sort(), own.sort());
});

test('what a killed copy has left is removed by the next one, of a running one it is not', async () => {
  const { pid: gone } = spawnSync('true');
  const [left, others] = [`pi.img.0a0a0a0a.${gone}.part`, `pi.img.0b0b0b0b.${process.pid}.part`];
  assert.equal(await parts(await afterSeeding([left, others])), [others]);
});

test('the block map goes along where it fits, an old one goes; a damaged one is told', async () => {
  const folder = temporaryFolder();
  const at = (name: string): string => join(folder, name);
  await copyFile(join(made, 'web.img'), at('web.img'));
  const bytes = await readFile(at('web.img'));
  const header = parseHeader(bytes.subarray(HEADER_LBA * SECTOR));
  // Of this small image they are no whole blocks.
  const slots = wholeBlocks(header?.slots ?? [], 4096);
  const checked = cutAt([{ offset: 0, length: bytes.length - (bytes.length % 4096) }], slots).map(
    ({ offset, length }) => ({ offset, length, sha256: sha256(bytes.subarray(offset, offset + length)) }),
  );
  const isSlot = ({ offset }: { offset: number }): boolean => slots.some((slot) => slot.offset === offset);
  const fitting = bmapXml(
    bytes.length,
    checked.map((range) => (isSlot(range) ? { offset: range.offset, length: range.length } : range)),
  );
  const seedWith = async (map: string | undefined): Promise<string | undefined> => {
    await writeFile(at('pi.bmap'), 'of an older copy');
    if (map === undefined) await rm(at('web.bmap'), { force: true });
    else await writeFile(at('web.bmap'), map);
    const { exitCode, stderr } = await piimg(['seed', 'web.img', '--out', 'pi.img', '--node', 'pi'], { cwd: folder });
    return exitCode === 0 ? readFile(at('pi.bmap'), 'utf8').catch(() => undefined) : stderr;
  };
  assert.is(await seedWith(fitting), fitting);
  assert.is(await seedWith(bmapXml(bytes.length, checked)), undefined, 'with checksums of the slots');
  assert.is(await seedWith(undefined), undefined);
  await rm(at('pi.img'));
  assert.match((await seedWith(fitting.replace('<Range>', '<Range >'))) ?? '', /web\.bmap: it is damaged/);
  assert.not.ok((await readdir(folder)).includes('pi.img'), 'before anything is written');
});

test.run();
