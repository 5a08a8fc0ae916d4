// Damaged entries of the cache, copies that became old, full disks: said, mended, and never half an image.
import { existsSync } from 'node:fs';
import { appendFile, mkdir, open, readdir, readFile, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { run } from '../../src/host/exec.ts';
import type { ImageManifest } from '../../src/image/manifest.ts';
import { piimgCommand } from '../helpers/command.ts';
import {
  builtDigest,
  freshCache,
  imageOf,
  leftParts,
  mustBuild,
  piimg,
  removeTree,
  withProject,
  writeRole,
  type Project,
} from '../helpers/bad-luck-project.ts';

/** Turns one byte of a file around. */
async function flipByte(file: string, at: number): Promise<void> {
  const handle = await open(file, 'r+');
  const byte = Buffer.alloc(1);
  await handle.read(byte, 0, 1, at);
  byte[0] = (byte[0] ?? 0) ^ 0xff;
  await handle.write(byte, 0, 1, at);
  await handle.close();
}

interface Index {
  entries: { path: string; type: string; mode: number; uid: number; size: number; offset: number; length: number }[];
}

/** Folder and index of the layer with that title in the image of role `tiny`. */
async function layerOf({ dir: project, cache }: Project, title: string): Promise<{ dir: string; index: Index }> {
  const manifest = JSON.parse(await readFile(path.join(project, 'out/tiny.manifest.json'), 'utf8')) as ImageManifest;
  const dir = path.join(cache, 'layers', manifest.layers.find((layer) => layer.title === title)?.key ?? 'none');
  return { dir, index: JSON.parse(await readFile(path.join(dir, 'layer.json'), 'utf8')) as Index };
}

/** What is done to the layer of the essential packages, and what the build must say about it. */
const damages: { name: string; said: RegExp; damage: (dir: string, index: Index) => Promise<void> }[] = [
  {
    name: 'its archive is cut short',
    said: /the cached layer is damaged \(its archive has another size\): made anew/,
    damage: async (dir) => truncate(path.join(dir, 'layer.tar'), 100_000),
  },
  {
    name: 'a byte of a file in its archive is another',
    said: /Layer "essential packages configured" is damaged: \S+ is not what was stored\.; made anew/,
    damage: async (dir, { entries }) => {
      const file = entries.find(({ type, size }) => type === 'file' && size > 0);
      if (!file) throw new Error('no file');
      await flipByte(path.join(dir, 'layer.tar'), file.offset + file.length - 512);
      // The archive is read when the file system of the layers is made, and that one is kept.
      await removeTree(path.join(dir, '../../stages'));
    },
  },
  {
    name: 'its files are gone, and a byte of its archive is another',
    said: /The cached layer “essential packages configured” is damaged: its archive is not what was stored; made anew/,
    damage: async (dir, { entries }) => {
      await removeTree(path.join(dir, 'tree'));
      await flipByte(path.join(dir, 'layer.tar'), entries.at(-1)?.offset ?? 0);
    },
  },
  {
    name: 'its index is half an index',
    said: /the cached layer is damaged \(its index cannot be read\): made anew/,
    damage: async (dir) => truncate(path.join(dir, 'layer.json'), 100),
  },
];

test('a damaged layer is made anew, for a shell too, which is said, and the image is the same', async () => {
  await withProject(async (project) => {
    await writeRole(project, 'tiny');
    const whole = await mustBuild(project, 'tiny');
    for (const { name, said, damage } of damages) {
      const { dir, index } = await layerOf(project, 'essential packages configured');
      await damage(dir, index);
      await rm(path.join(project.dir, 'out'), { recursive: true });
      const { code, stderr } = await piimg(project, ['build', '--role', 'tiny']);
      assert.is(code, 0, `${name}: ${stderr}`);
      assert.match(stderr, said, `${name}: ${stderr}`);
      assert.is(await builtDigest(project, 'tiny'), whole, name);
    }
    const { code, stderr } = await piimg(project, ['build', '--role', 'tiny', '--out', 'out/again.img']);
    assert.is(code, 0);
    assert.not.match(stderr, /damaged/);

    const gone = damages.find(({ name }) => name.startsWith('its files are gone'));
    const { dir, index } = await layerOf(project, 'essential packages configured');
    await gone?.damage(dir, index);
    const shell = await piimg(project, ['shell', '--role', 'tiny', '--', 'uname', '-m']);
    assert.is(shell.stdout, 'aarch64\n', shell.stderr);
    assert.match(shell.stderr, gone?.said ?? 'nothing');
  });
});

test('the packed copy of an image goes when the image is replaced, which is said', async () => {
  await withProject(async (project) => {
    await writeRole(project, 'tiny');
    await mustBuild(project, 'tiny', ['--compress', 'zst']);
    const packed = `${imageOf(project, 'tiny')}.zst`;
    assert.ok(existsSync(packed));
    const { code, stderr } = await piimg(project, ['build', '--role', 'tiny', '--size', '1G']);
    assert.is(code, 0, stderr);
    assert.match(stderr, `removed ${packed}: it was packed from the image that was here before`);
    assert.not.ok(existsSync(packed));
  });
});

/** A byte of a file that other caches may share is turned around in this one only, and nothing of it shows in its times. */
async function flipUnseen(entry: string, file: string): Promise<void> {
  const bytes = await readFile(path.join(entry, file));
  const { mode } = await stat(path.join(entry, file));
  await rm(path.join(entry, file));
  await writeFile(path.join(entry, file), bytes, { mode });
  await flipByte(path.join(entry, file), bytes.length - 1);
  await utimes(entry, new Date(), new Date(Date.now() + 86_400_000));
}

/** The native tools that were used last; those of earlier builds are removed. */
async function onlyTools(cache: string): Promise<string> {
  const folder = path.join(cache, 'tools');
  const dirs = (await readdir(folder)).map((name) => path.join(folder, name));
  const times = await Promise.all(dirs.map(async (dir) => (await stat(dir)).mtimeMs));
  const last = dirs[times.indexOf(Math.max(...times))] ?? 'none';
  for (const dir of dirs) if (dir !== last) await rm(dir, { recursive: true });
  return last;
}

test('files that layers are built upon, and native tools: changes are noticed before they are used, or by cache verify', async () => {
  await withProject(async (shared) => {
    const project = await freshCache(shared, 'cache');
    const step = (name: string) => `run: [{ name: ${name}, script: "true" }]\n`;
    await writeRole(project, 'tiny', step('one'));
    const whole = await mustBuild(project, 'tiny');
    const title = 'essential packages configured';
    const { dir, index } = await layerOf(project, title);
    const file = index.entries.find(
      ({ type, mode, uid, size }) => type === 'file' && mode === 0o644 && !uid && size > 0,
    );
    if (!file) throw new Error('no file');
    const said = new RegExp(`The cached layer “${title}” is damaged: /${file.path} is not what was stored; made anew`);

    await appendFile(path.join(dir, 'tree', file.path), '\n');
    await writeRole(project, 'tiny', step('two'));
    const repaired = await piimg(project, ['build', '--role', 'tiny']);
    assert.is(repaired.code, 0, repaired.stderr);
    assert.match(repaired.stderr, said, repaired.stderr);

    const toolsDir = await onlyTools(project.cache);
    const clean = await piimg(project, ['cache', 'verify']);
    assert.is(clean.code, 0, clean.stdout + clean.stderr);
    await flipUnseen(dir, path.join('tree', file.path));
    await flipUnseen(toolsDir, 'root/usr/bin/xz');
    const found = await piimg(project, ['cache', 'verify']);
    assert.is(found.code, 1);
    assert.ok(found.stdout.includes(`damaged: ${toolsDir}: root/usr/bin/xz is not what was stored\n`), found.stdout);
    assert.not.match(found.stdout, `${dir}: `, 'without tools, files of layers cannot be read');
    assert.match(found.stderr, 'no native tools');

    // What was found is made anew; then the layer can be looked at.
    await writeRole(project, 'tiny', step('three'));
    const again = await piimg(project, ['build', '--role', 'tiny']);
    assert.is(again.code, 0, again.stderr);
    assert.match(again.stderr, /the native tools in the cache are damaged \(root\/usr\/bin\/xz is not .*: made anew/);
    const layers = await piimg(project, ['cache', 'verify']);
    assert.is(layers.code, 1, layers.stdout);
    assert.match(layers.stdout, `damaged: ${dir}: /${file.path} is not what was stored\n`);
    await writeRole(project, 'tiny', step('four'));
    const last = await piimg(project, ['build', '--role', 'tiny']);
    assert.match(last.stderr, said, last.stderr);
    await writeRole(project, 'tiny', step('one'));
    assert.is(await mustBuild(project, 'tiny', ['--no-cache']), whole);
  });
});

test('a damaged package in the store is noticed before it is unpacked, and fetched again', async () => {
  await withProject(async (shared) => {
    await writeRole(shared, 'tiny');
    const whole = await mustBuild(shared, 'tiny');
    const project = await freshCache(shared, 'cache');
    const lock = JSON.parse(await readFile(path.join(project.dir, 'images/roles/tiny.lock.json'), 'utf8')) as {
      basePackages: { name: string; sha256: string; size: number }[];
    };
    const dash = lock.basePackages.find(({ name }) => name === 'dash');
    if (!dash) throw new Error('no dash');
    const stored = path.join(project.cache, 'store', dash.sha256.slice(0, 2), dash.sha256);
    // The store's files are links to those of the shared one: this one must become a file of its own.
    const bytes = await readFile(stored);
    await rm(stored);
    await writeFile(stored, bytes);
    await flipByte(stored, dash.size - 200);
    const { code, stderr } = await piimg(project, ['build', '--role', 'tiny']);
    assert.is(code, 0, stderr);
    assert.match(stderr, /The stored package dash is damaged: \S+; made anew/);
    assert.is(await builtDigest(project, 'tiny'), whole);

    await flipByte(stored, dash.size - 200);
    await removeTree(path.join(project.cache, 'layers'));
    const offline = await piimg(project, ['build', '--role', 'tiny', '--offline', '--no-cache']);
    assert.is(offline.code, 1);
    assert.match(offline.stderr, /Offline, and 1 of \d+ files are not in the store/);
    assert.match(offline.stderr, /dash /);
  });
});

/** Runs `work` with a tmpfs of so many MiB at `dir`, which it sees from inside a mount namespace of its own. */
async function onSmallDisk(dir: string, mebibytes: number, command: string[], env: Record<string, string>) {
  const script = `mount -t tmpfs -o size=${mebibytes}m tmpfs "$1"; shift; "$@"; code=$?; find . -path "*/store" -prune -o -name "*.part" -print; exit $code`;
  const asRoot = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user', '--map-auto'];
  return run(['unshare', ...asRoot, '--mount', 'sh', '-c', script, 'sh', dir, ...command], {
    env,
    cwd: path.dirname(dir),
    okCodes: Array.from({ length: 256 }, (_, code) => code),
    signal: AbortSignal.timeout(5 * 60_000),
  });
}

const piimgIn = (...args: string[]): string[] => [...piimgCommand(), ...args];

test('too little room is said before anything starts: what is needed, what is free, where', async () => {
  await withProject(async (project) => {
    await writeRole(project, 'tiny');
    await mustBuild(project, 'tiny');
    await rm(path.join(project.dir, 'out'), { recursive: true });
    await mkdir(path.join(project.dir, 'out'));
    const env = { PIIMG_CACHE: project.cache, PIIMG_MIRROR: project.server.url, FORCE_COLOR: '0' };
    const out = path.join(project.dir, 'out');
    const small = await onSmallDisk(out, 20, piimgIn('build', '--role', 'tiny'), env);
    assert.is(small.exitCode, 1, small.stderr);
    assert.match(small.stderr, /^error: Too little free space in \S+\/out: \d+ MiB are needed, 20 MiB are free$/m);
    assert.match(small.stderr, /the image: \d+ MiB in \S+\/out$/m);
    assert.match(small.stderr, /is on tmpfs, mounted on \S+\/out, \d+% full$/m);
    assert.not.match(small.stderr, /^> image$/m);

    // A cache of its own on the small disk: nothing is downloaded into it.
    const cache = path.join(project.dir, 'small');
    await mkdir(cache);
    const requests = project.server.requests.length;
    const none = await onSmallDisk(cache, 100, piimgIn('build', '--role', 'tiny'), { ...env, PIIMG_CACHE: cache });
    assert.is(none.exitCode, 1);
    assert.match(none.stderr, /^error: Too little free space in \S+\/small: /m);
    assert.match(none.stderr, /layers: \d+ MiB in \S+\/small$/m);
    assert.not.ok(project.server.requests.slice(requests).some((request) => request.path.endsWith('.deb')));
    await mustBuild(project, 'tiny');
  });
});

test('a disk that becomes full on the way: said where and how much is needed, nothing half-made, the next build works', async () => {
  await withProject(async (shared) => {
    // A cache of its own: the estimate knows layers that were made before.
    const project = await freshCache(shared, 'own');
    // More than the estimate knows of: what a step writes cannot be foreseen.
    const glutton = 'run: [{ name: eat, script: head -c 600000000 /dev/urandom >/var/lib/eaten }]\n';
    await writeRole(project, 'tiny');
    await mustBuild(project, 'tiny');
    await writeRole(project, 'glutton', glutton);
    const out = path.join(project.dir, 'out');
    const env = { PIIMG_CACHE: project.cache, PIIMG_MIRROR: project.server.url, FORCE_COLOR: '0' };
    // The cache has room for the layer, the folder of the image has not.
    const full = await onSmallDisk(out, 350, piimgIn('build', '--role', 'glutton'), env);
    assert.is(full.exitCode, 1, full.stderr);
    assert.match(
      full.stderr,
      /^error: The disk is full: \S+\/out has \d+ MiB left; this needs about \d+ MiB there$/m,
      full.stderr,
    );
    assert.is(full.stdout, '', 'no .part file is left');
    assert.equal(await leftParts(out), []);
    const digest = await mustBuild(project, 'glutton', ['--no-cache']);
    assert.match(digest, /^[0-9a-f]{64}$/);

    // The cache itself: store and tools lie elsewhere, so that it holds layers only.
    const cache = path.join(project.dir, 'small');
    await mkdir(cache);
    const link = `for part in store tools apt bases; do ln -s "$0/$part" "$1/$part"; done; shift; exec "$@"`;
    const linked = ['sh', '-c', link, project.cache, cache, ...piimgIn('build', '--role', 'glutton', '--no-cache')];
    const inCache = await onSmallDisk(cache, 1400, linked, { ...env, PIIMG_CACHE: cache });
    assert.is(inCache.exitCode, 1, inCache.stderr);
    const said = /^error: The disk is full: \S+\/small has [\d.]+ [MG]iB left; this needs about /m;
    assert.match(inCache.stderr, said, inCache.stderr);
    assert.is((await stat(imageOf(project, 'glutton'))).isFile(), true);
  });
});

test.run();
