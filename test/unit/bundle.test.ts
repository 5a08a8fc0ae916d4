// What `npm pack` puts into a package: programs and threads that start by themselves, with all they need beside them.
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openImage } from '../../src/cli/flashing/image.ts';
import { startRootOpener } from '../../src/cli/flashing/root-opener.ts';
import { run } from '../../src/host/exec.ts';
import { packageRoot, piimgVersion } from '../../src/host/package-root.ts';
import { plainImage } from '../helpers/flashing.ts';
import { temporaryFolder } from '../helpers/temporary.ts';

const main = path.join(packageRoot, 'dist/cli/main.js');

test('the program knows its version, and finds what comes with it', async () => {
  const said = async (...words: string[]) => (await run([process.execPath, main, ...words])).stdout;
  assert.is((await said('--version')).trim(), piimgVersion());
  assert.match(await said('roles'), /^web /m);
  assert.match(await said('schema', 'node'), /piimg node/);
});

test('a flash to a file, by its threads; and what is root otherwise, which opens no files', async () => {
  const folder = temporaryFolder();
  const image = await plainImage(folder);
  const file = path.join(folder, 'a.img');
  await run([process.execPath, main, 'flash', image, '--to', file]);
  assert.ok(readFileSync(file).equals(readFileSync(image)));

  const signal = AbortSignal.timeout(60_000);
  const { source, ranges, size, least } = await openImage(image, signal);
  const card = { name: file, file, patches: [], resumeFrom: 0 };
  const plan = { source, ranges, size, least, mode: 'write+verify' as const, wipe: false, discard: false };
  const opener = await startRootOpener([process.execPath, path.join(packageRoot, 'dist/cli/root-main.js')], signal);
  const refused = await opener.write({ ...plan, cards: [card] }, () => {}).catch((error: unknown) => error);
  await opener.end();
  assert.match(String(refused), 'a.img is no disk');
});

test('every thread that anything starts is in it', async () => {
  const { stdout } = await run(['grep', '-rhoE', "startThread\\('[^']+'", path.join(packageRoot, 'src')]);
  const names = stdout
    .trim()
    .split('\n')
    .map((found) => found.split("'")[1] ?? '');
  assert.ok(names.length >= 3, stdout);
  for (const name of names) assert.ok(existsSync(path.join(packageRoot, 'dist/threads', `${name}.js`)), name);
});

test('the licenses of the packages in it are told', () => {
  const text = readFileSync(path.join(packageRoot, 'dist/LICENSES'), 'utf8');
  const { devDependencies } = JSON.parse(readFileSync(path.join(packageRoot, 'package.json'), 'utf8')) as {
    devDependencies: Record<string, string>;
  };
  const bundled = ['commander', 'execa', 'listr2', 'mustache', 'node-disk-info', 'yaml', 'zod'];
  for (const name of bundled) {
    assert.ok(name in devDependencies);
    assert.match(text, new RegExp(`^${name} \\d`, 'm'));
  }
  assert.not.match(text, /^(typescript|esbuild) \d/m);
  assert.ok(existsSync(path.join(packageRoot, 'dist/firstboot/rootfs/usr/lib/piimg/piimg-firstboot')));
});

test.run();
