// A copy that is begun early: it is of the image as it is when all is known, and what is wrong is told in the old order.
import { appendFile, chmod, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { beginCopy, writeTarget } from '../../../src/cli/seed-target.ts';
import { foreignImage } from '../../helpers/foreign-image.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';
import { piimg } from './piimg.ts';

const { signal } = new AbortController();
const step = { update: () => {}, note: () => {}, cached: () => {}, failed: () => {} };

/** A folder with a file that is to be copied. */
async function withImage(): Promise<{ folder: string; image: string; out: string }> {
  const folder = temporaryFolder();
  const image = join(folder, 'card.img');
  await writeFile(image, Buffer.alloc(1 << 20, 'x'), { mode: 0o640 });
  return { folder, image, out: join(folder, 'pi1.img') };
}

test('what was begun early is finished: its mode is that of the image', async () => {
  const { folder, image, out } = await withImage();
  await chmod(image, 0o640);
  const begun = await beginCopy(image, out, signal);
  await begun.whole;
  await writeTarget(
    { image, out, secret: false, begun },
    { meanwhile: async () => 'known', write: (file, known = '') => appendFile(file, known) },
    { step, signal },
  );
  assert.is((await readFile(out, 'latin1')).slice(1 << 20), 'known');
  assert.is((await stat(out)).mode & 0o777, 0o640);
  assert.equal(await readdir(folder), ['card.img', 'pi1.img']);
});

test('an image that changes once it is copied, but before all is known of it, is told; nothing stays', async () => {
  const { folder, image, out } = await withImage();
  const begun = await beginCopy(image, out, signal);
  await begun.whole;
  const written = writeTarget(
    { image, out, secret: false, begun },
    { meanwhile: () => appendFile(image, 'x'), write: async () => {} },
    { step, signal },
  );
  assert.match(String(await written.catch(String)), /card\.img was changed while it was copied$/);
  assert.equal(await readdir(folder), ['card.img']);
});

test('what is wrong with the node is told before what is wrong with the place of the copy', async () => {
  const image = await foreignImage('systemd');
  const said = async (node: string): Promise<string> => {
    const { exitCode, stderr } = await piimg(['customize', image, '--out', 'nowhere/x.img', '--node', node]);
    assert.is(exitCode, 2, stderr);
    return stderr;
  };
  assert.match(await said('no name'), /host name/);
  assert.match(await said('pi1'), /There is no folder .*nowhere/);
});

test.run();
