// What overlayfs leaves of a command's work, as a layer has it: made by a real sandbox, with every kind of file there is.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { run } from '../../src/host/exec.ts';
import { captureTree } from '../../src/layers/capture.ts';
import { openGuard, type Guard } from '../../src/layers/guard.ts';
import { restoreTree } from '../../src/layers/restore-tree.ts';
import type { LayerTar } from '../../src/layers/tar-writer.ts';
import { treeDifference } from '../../src/layers/verify-tree.ts';
import { sha256 } from '../../src/lib/digest.ts';
import { asRoot } from '../helpers/as-root.ts';
import { checkReaders, layerReader, tarReader, type Reader } from '../bench/readers.ts';
import type { TreeEntry } from '../bench/tree.ts';
import { showDetail } from '../helpers/built.ts';
import { testSandbox } from '../helpers/image-tools.ts';

const EPOCH = 1_700_000_000;
/** cap_net_bind_service+ep, version 2 (linux/capability.h): without the root id that a mapped user's would carry. */
const CAPABILITY = 'AQAAAgAEAAAAAAAAAAAAAAAAAAA=';
const SPARSE = 9 << 20;

process.umask(0o022);
const sandbox = await testSandbox();
const work = await mkdtemp('/var/tmp/piimg-capture-');
// Files of ids that the ordinary user has only in a sandbox.
process.on('exit', () => {
  const [program = '', ...args] = asRoot(['rm', '-rf', '--', work]);
  execFileSync(program, args);
});

const lower = path.join(work, 'lower');
// What a sandbox mounts things on.
for (const folder of ['dev', 'proc', 'run', 'tmp']) await mkdir(path.join(lower, folder), { recursive: true });
for (const [file, text] of Object.entries({ gone: 'x', 'old/deep/file': 'x', 'opaque/hidden': 'x', 'etc/kept': 'x' })) {
  await mkdir(path.dirname(path.join(lower, file)), { recursive: true });
  await writeFile(path.join(lower, file), text);
}

const SCRIPT = `
rm /gone; rm -r /old
rm -r /opaque; mkdir /opaque; echo seen >/opaque/seen
cd /etc; echo one >twin; ln twin other; ln -s /etc/twin link; mkfifo pipe
echo owned >owned; chown 1234:4321 owned; chmod 4750 owned
echo early >early; touch -d @1000000000 early
echo late >late; touch -d @1900000000 late
truncate -s ${SPARSE} sparse; printf end >>sparse
: >noted; : >capable
mkdir -p /var/log; echo log >/var/log/dpkg.log
PYTHONHOME=/run/piimg-tools/usr python3.13 -c 'import base64, os
os.setxattr("noted", "user.note", b"\\x00\\xff")
os.setxattr("capable", "security.capability", base64.b64decode("${CAPABILITY}"))'
`;

/** The upper directory in which a sandbox over `lower` has run the script and what is added to it. */
async function makeTree(name: string, more = ''): Promise<string> {
  const [tree, scratch] = [path.join(work, name), path.join(work, `${name}.work`)];
  for (const folder of [tree, scratch]) await mkdir(folder, { mode: 0o755 });
  const root = { lowers: [lower], upper: { tree, work: scratch }, overlay: 'native' as const };
  await sandbox
    .inRoot(root, { argv: ['sh', '-euc', SCRIPT + more], signal: AbortSignal.timeout(60_000) })
    .catch(showDetail);
  return tree;
}

const capture = (tree: string, tar: string, guard: Guard = openGuard(new Set(), true)): Promise<LayerTar> =>
  captureTree(path.join(work, tar), { sandbox, tree, epoch: EPOCH, guard, signal: AbortSignal.timeout(60_000) });

const tree = await makeTree('tree');
// No sandbox can make a device: one that came from elsewhere.
const [program = '', ...mknod] = asRoot(['mknod', path.join(tree, 'etc/device'), 'c', '1', '3']);
execFileSync(program, mknod);
const layer = await capture(tree, 'layer.tar');
const entries = new Map(layer.entries.map((entry) => [entry.path, entry]));
/** An entry without its place in the archive. */
const entry = (name: string): object => {
  const { offset: _, length: __, path: ___, ...facts } = entries.get(name) ?? { path: '', type: 'missing' };
  return facts;
};
const file = (text: string) => ({
  type: 'file',
  mode: 0o644,
  uid: 0,
  gid: 0,
  size: text.length,
  sha256: sha256(Buffer.from(text)),
});

test('what was removed is a whiteout, a folder made anew is opaque, what was not touched is not there', () => {
  const whiteout = { type: 'whiteout', mode: 0, uid: 0, gid: 0, size: 0 };
  assert.equal([entry('gone'), entry('old')], [whiteout, whiteout]);
  assert.equal(entry('opaque'), { type: 'directory', mode: 0o755, uid: 0, gid: 0, size: 0, opaque: true });
  assert.equal(entry('opaque/seen'), file('seen\n'));
  assert.equal(entry('etc'), { type: 'directory', mode: 0o755, uid: 0, gid: 0, size: 0 });
  assert.not.ok(entries.has('etc/kept') || entries.has('opaque/hidden') || entries.has('old/deep'));
});

test('links, owners, modes', () => {
  // In the order of names: the first is the file.
  assert.equal(entry('etc/other'), file('one\n'));
  assert.equal(entry('etc/twin'), { type: 'hardlink', mode: 0o644, uid: 0, gid: 0, size: 0, target: 'etc/other' });
  assert.equal(entry('etc/link'), { type: 'symlink', mode: 0o777, uid: 0, gid: 0, size: 0, target: '/etc/twin' });
  assert.equal(entry('etc/owned'), { ...file('owned\n'), mode: 0o4750, uid: 1234, gid: 4321 });
});

test('attributes and capabilities are as the image will have them, and nothing of overlayfs is left', () => {
  assert.equal(entry('etc/noted'), { ...file(''), xattrs: { 'user.note': 'AP8=' } });
  assert.equal(entry('etc/capable'), { ...file(''), xattrs: { 'security.capability': CAPABILITY } });
  assert.equal(
    layer.entries.flatMap(({ xattrs }) => Object.keys(xattrs ?? {})),
    ['security.capability', 'user.note'],
  );
});

test('a sparse file is whole; devices, pipes and leftovers are left out', () => {
  const content = Buffer.concat([Buffer.alloc(SPARSE), Buffer.from('end')]);
  assert.equal(entry('etc/sparse'), { ...file(''), size: content.length, sha256: sha256(content) });
  for (const name of ['etc/device', 'etc/pipe', 'var/log/dpkg.log']) assert.not.ok(entries.has(name), name);
  assert.ok(entries.has('var/log'));
});

test('the archive is one that tar reads, of the size and digest it says; no time is later than the clock of the build', async () => {
  const archive = path.join(work, 'layer.tar');
  const bytes = await readFile(archive);
  assert.equal([bytes.length, sha256(bytes)], [layer.size, layer.digest]);
  const { stdout } = await run(['tar', '--list', '--verbose', '--full-time', '--utc', '-f', archive]);
  const times = new Map(
    stdout
      .split('\n')
      .map((line) => line.split(/\s+/))
      .map(([, , , day, time, name]) => [name, `${day} ${time}`]),
  );
  const clock = '2023-11-14 22:13:20';
  assert.equal([times.get('etc/early'), times.get('etc/late')], ['2001-09-09 01:46:40', clock]);
  assert.equal(
    [...times.values()].filter((time) => time > clock),
    [],
  );
  assert.is(times.size, layer.entries.filter(({ type }) => type !== 'whiteout').length);
});

test('the same work later is the same layer; any other is another', async () => {
  assert.is((await capture(await makeTree('again'), 'again.tar')).digest, layer.digest);
  const changes = {
    content: 'echo two >twin',
    mode: 'chmod 600 late',
    owner: 'chown 1 late',
    time: 'touch -d @1000000001 early',
  };
  for (const [what, change] of Object.entries(changes)) {
    const { digest } = await capture(await makeTree(what, change), `${what}.tar`);
    assert.is.not(digest, layer.digest, what);
  }
});

test('the files are put back from the archive as they were, and from a damaged one not at all', async () => {
  const dir = path.join(work, 'cached');
  const index = { ...layer, key: 'key', title: 'everything', notes: [] };
  await mkdir(dir);
  await copyFile(path.join(work, 'layer.tar'), path.join(dir, 'layer.tar'));
  await restoreTree(sandbox, path.join(work, 'tmp'), { dir, index });
  assert.is(await treeDifference(sandbox, { dir, index }), undefined);
  const restored = path.join(dir, 'tree');
  assert.is((await capture(restored, 'restored.tar')).digest, layer.digest);

  await rename(restored, path.join(work, 'restored'));
  const archive = await readFile(path.join(dir, 'layer.tar'));
  archive[layer.size - 1] = 1;
  await writeFile(path.join(dir, 'layer.tar'), archive);
  const refused = await restoreTree(sandbox, path.join(work, 'tmp'), { dir, index }).catch((error: unknown) => error);
  assert.match(String(refused), 'everything” is damaged');
  assert.not.ok(existsSync(restored));
});

test('a native program that got into a layer is seen', async () => {
  const guard = openGuard(sandbox.nativeDigests, true);
  await capture(await makeTree('native', 'cp /usr/bin/true /etc/true'), 'native.tar', guard);
  assert.equal(
    guard.verdict().failures.map((failure) => failure.split(' ')[0]),
    ['/etc/true'],
  );
  const clean = openGuard(sandbox.nativeDigests, true);
  await capture(tree, 'clean.tar', clean);
  assert.equal(clean.verdict().failures, []);
});

test('the readers of verify:base see a planted file, content, mode and attribute; one that drops some is found out', async () => {
  const [ours, theirs] = [layerReader(sandbox), tarReader(sandbox)];
  const dir = path.join(work, 'readers');
  await checkReaders(sandbox, dir, [ours, theirs]);
  const without =
    (reader: Reader, dropped: Partial<TreeEntry>): Reader =>
    async (...args) =>
      new Map([...(await reader(...args))].map(([name, found]) => [name, { ...found, ...dropped }]));
  const blind: [Reader, Reader][] = [
    [without(ours, { xattrs: {} }), without(theirs, { xattrs: {} })],
    [without(ours, { mode: 0o755 }), without(theirs, { mode: 0o755 })],
    [without(ours, { xattrs: {} }), theirs],
    [ours, without(theirs, { mode: 0o755 })],
  ];
  for (const readers of blind) {
    const error: unknown = await checkReaders(sandbox, dir, readers).catch((caught: unknown) => caught);
    assert.match(String(error), 'tree on disk, the readers see');
  }
});

test.run();
