// The README's examples, carried out: `npm start` with arguments, and the role from nothing built and looked into.
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { run } from '../../src/host/exec.ts';
import type { ImageManifest } from '../../src/image/manifest.ts';
import { makeSeedKey } from '../../src/boot/seed-key.ts';
import { cacheFolder } from '../../src/cli/context.ts';
import { quote } from '../../src/lib/quote.ts';
import { builtWeb } from '../helpers/built.ts';
import { piimgCommand } from '../helpers/command.ts';
import { partitionOf } from '../helpers/image-files.ts';
import { codeBlocks } from '../helpers/readme.ts';

const root = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
const readme = await readFile(`${root}/README.md`, 'utf8');
const minutes = (count: number) => ({ signal: AbortSignal.timeout(count * 60_000) });

test('npm start hands arguments on', async () => {
  assert.match(readme, '`npm start -- roles`');
  const { stdout } = await run(['npm', '--silent', 'start', '--', 'roles'], {
    cwd: root,
    env: { FORCE_COLOR: '0' },
    ...minutes(5),
  });
  assert.match(stdout, /^base +A plain machine/m);
  assert.match(stdout, /^web +A Node\.js web application/m);
});

test('the role from nothing becomes an image with its package and its page, and its command runs there', async () => {
  const [role = ''] = codeBlocks(readme, 'yaml');
  const commands = codeBlocks(readme, 'sh').flatMap((block) => block.split('\n'));
  const example = (words: string) =>
    commands
      .find((line) => line.startsWith(words))
      ?.replace(/ +#.*/, '')
      .split(' ')
      .slice(1) ?? [];
  const project = await mkdtemp('/var/tmp/piimg-readme-');
  try {
    await mkdir(path.join(project, 'images/roles'), { recursive: true });
    await writeFile(path.join(project, 'images/roles/shop.yaml'), role);
    const build = example('piimg build');
    assert.equal(build, ['build', '--role', 'shop']);
    await run([...piimgCommand(), ...build, '--progress', 'log'], { cwd: project, ...minutes(15) });

    const manifest = JSON.parse(await readFile(path.join(project, 'out/shop.manifest.json'), 'utf8')) as ImageManifest;
    assert.ok(manifest.packages.some(({ name }) => name === 'nginx-light'));
    assert.ok(existsSync(path.join(project, 'images/roles/shop.lock.json')));
    const image = path.join(project, 'out/shop.img');
    const { offset } = await partitionOf(image, 2);
    const page = ['debugfs', '-R', 'cat /var/www/html/index.html', `${image}?offset=${offset}`];
    assert.is((await run(page, minutes(1))).stdout.trim(), '<h1>Hello from a Raspberry Pi</h1>');

    const shell = example('piimg shell');
    assert.equal(shell.slice(-3), ['--', 'nginx', '-t']);
    const tested = await run([...piimgCommand(), ...shell], { cwd: project, ...minutes(5) });
    assert.is(tested.exitCode, 0);
  } finally {
    await rm(project, { recursive: true, force: true });
  }
});

test('a card gets its identity as the README says', async () => {
  const block = codeBlocks(readme, 'sh').find((text) => text.startsWith('piimg seed'));
  assert.ok(block);
  const { image } = await builtWeb();
  const project = await mkdtemp('/var/tmp/piimg-readme-');
  try {
    await makeSeedKey(project);
    await mkdir(path.join(project, '.ssh'));
    await rename(path.join(project, 'id_ed25519.pub'), path.join(project, '.ssh/id_ed25519.pub'));
    await mkdir(path.join(project, 'out'));
    await symlink(image, path.join(project, 'out/web.img'));
    await writeFile(path.join(project, 'piimg'), `#!/bin/sh\nexec ${quote(piimgCommand())} "$@"\n`, { mode: 0o755 });
    const env = { HOME: project, PATH: `${project}:${process.env.PATH}`, PIIMG_CACHE: cacheFolder(process.env) };
    const { stdout } = await run(['sh', '-euc', block], { cwd: project, env, ...minutes(5) });
    assert.match(stdout, "with cloud-init's schemas");
    assert.match(stdout, /pi-web1[^]*192\.168\.254\.122\/24/);
    assert.ok(existsSync(path.join(project, 'pi-web1.img')));
  } finally {
    await rm(project, { recursive: true, force: true });
  }
});

test.run();
