// The copy that `piimg seed --out` makes: what is replaced, what is removed, what is left alone.
import { spawnSync } from 'node:child_process';
import { copyFile, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
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

test.run();
