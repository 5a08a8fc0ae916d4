// `piimg flash --to FILE`: past the page cache, whole or not at all, never over the image itself.
import { constants } from 'node:fs';
import { link, readdir, readFile, readlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { run } from '../../src/host/exec.ts';
import { piimgCommand } from '../helpers/built.ts';
import { piimg, plainImage, refused } from '../helpers/flashing.ts';
import { temporaryFolder } from '../helpers/temporary.ts';

test('a file is written and read back past the page cache', async () => {
  const folder = temporaryFolder();
  const bytes = await readFile(await plainImage(folder));
  const stdin = new PassThrough();
  const command = [...piimgCommand(), 'flash', '-', '--to', 'card.img', '--no-login'];
  const flashing = run(command, { cwd: folder, input: stdin, signal: AbortSignal.timeout(60_000) });
  stdin.write(bytes.subarray(0, bytes.length / 2));
  const open = async (): Promise<string | undefined> => {
    for (const fd of await readdir(`/proc/${flashing.pid}/fd`)) {
      const file = await readlink(`/proc/${flashing.pid}/fd/${fd}`).catch(() => '');
      if (file.endsWith('.part')) return readFile(`/proc/${flashing.pid}/fdinfo/${fd}`, 'utf8');
    }
    return undefined;
  };
  let info: string | undefined;
  while ((info = await Promise.race([open(), flashing.then(() => '')])) === undefined) await sleep(50);
  stdin.end(bytes.subarray(bytes.length / 2));
  await flashing;
  const flags = Number.parseInt(/^flags:\s+(\d+)/m.exec(info)?.[1] ?? '0', 8);
  assert.ok((flags & constants.O_DIRECT) !== 0, info);
  assert.ok((await readFile(path.join(folder, 'card.img'))).equals(bytes));
});

test('a file: new or replaced as a whole, never the image itself, be it by another name', async () => {
  const folder = temporaryFolder();
  const image = await plainImage(folder);
  await link(image, path.join(folder, 'same.img'));
  refused(await piimg(folder, 'flash', image, '--to', 'same.img'), /same\.img is the image itself/);
  await writeFile(path.join(folder, 'card.img.part'), 'of somebody else');
  const done = await piimg(folder, 'flash', image, '--to', 'card.img');
  assert.is(done.code, 0, done.stderr);
  assert.ok((await readFile(path.join(folder, 'card.img'))).equals(await readFile(image)));
  await writeFile(path.join(folder, 'broken.img'), 'no image');
  const broken = await piimg(folder, 'flash', 'broken.img', '--to', 'card.img');
  assert.is(broken.code, 2);
  assert.match(broken.stderr, /is no disk image/);
  assert.ok(
    (await readFile(path.join(folder, 'card.img'))).equals(await readFile(image)),
    'the old one is still there',
  );
  assert.equal(
    (await readdir(folder)).filter((name) => name.includes('part')),
    ['card.img.part'],
  );
});

test.run();
