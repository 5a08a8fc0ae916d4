// The image of role web as the build has left it: judged by stock tools, file by file, and by its own manifest.
import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import { createContext } from '../../src/cli/context.ts';
import { diffImages } from '../../src/cli/diffing.ts';
import { run } from '../../src/host/exec.ts';
import { digestOfContent, filesOfImage } from '../../src/image/files.ts';
import { parseHeader } from '../../src/image/header.ts';
import { readerOf } from '../../src/image/ranges.ts';
import { elfMachine } from '../../src/layers/guard.ts';
import { digestOfFile } from '../../src/lib/digest.ts';
import { bytesAt, flipBit } from '../helpers/bytes.ts';
import { builtWeb } from '../helpers/built.ts';
import { piimgCommand } from '../helpers/command.ts';
import type { FlashedJson } from '../helpers/flashing.ts';
import { checkFileSystems } from '../helpers/fsck.ts';
import { differentFiles, partitionOf, readBoot, readRoot } from '../helpers/image-files.ts';
import { makeInitramfs, readInitramfs } from '../helpers/initramfs.ts';
import { findLeftovers, JUDGED, wordsOfThisMachine } from '../helpers/leftovers.ts';

const { image, bmap, manifest, cacheDir } = await builtWeb();
const work = await mkdtemp(path.join(tmpdir(), 'piimg-web-'));
const minutes = (count: number) => ({ signal: AbortSignal.timeout(count * 60_000) });

/** What is in an initramfs beyond arm64 code. */
async function foreignCode(initramfs: Buffer): Promise<string[]> {
  const files = await readInitramfs(initramfs);
  assert.ok(files.length > 0);
  return files
    .filter(({ content }) => ![undefined, 183].includes(elfMachine(content.subarray(0, 64))))
    .map(({ path: name }) => name);
}

const bootFolder = path.join(work, 'boot');
const boot = await readBoot(image, bootFolder);
const root = await readRoot(image, {
  keep: JUDGED,
  words: wordsOfThisMachine([cacheDir, path.dirname(path.dirname(image))]),
});

test('both file systems are sound', async () => {
  await checkFileSystems(image);
});

test('given an identity where it lies, it fits its block map still, and is flashed by it', async () => {
  const [seeded, key, card] = ['web.img', 'key', 'card.img'].map((name) => path.join(work, name)) as [
    string,
    string,
    string,
  ];
  await run(['cp', '--sparse=always', image, seeded], minutes(2));
  await run(['cp', bmap, path.join(work, 'web.bmap')]);
  await run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', key]);
  const identity = ['--in-place', '--node', 'pi-web7', '--ssh-key', `${key}.pub`];
  await run([...piimgCommand(), 'seed', seeded, ...identity], minutes(2));
  const flash = [...piimgCommand(), 'flash', seeded, '--to', card, '--json'];
  const { cards } = JSON.parse((await run(flash, { ...minutes(5), cwd: work })).stdout) as FlashedJson;
  assert.is(cards[0]?.verdict, 'verified', cards[0]?.problem);
  assert.ok((cards[0]?.written ?? Infinity) < 0.7 * manifest.image.size, 'by the block map');
  assert.match((await run([...piimgCommand(), 'seed', 'show', card], minutes(1))).stdout, 'pi-web7');
  for (const file of [seeded, card]) await rm(file);
});

test('the partition table is sound, and as the manifest says', async () => {
  assert.match((await run(['sfdisk', '--verify', image])).stdout, 'No errors detected');
  const { stdout } = await run(['sfdisk', '--json', image]);
  const table = (
    JSON.parse(stdout) as {
      partitiontable: { id: string; partitions: { start: number; size: number; type: string }[] };
    }
  ).partitiontable;
  assert.is(table.id, `0x${manifest.disk.id.replace(/^0x/, '')}`);
  assert.equal(
    table.partitions.map(({ start, size, type }) => ({ start, sectors: size, type: parseInt(type, 16) })),
    manifest.disk.partitions.map(({ start, sectors, type }) => ({ start, sectors, type })),
  );
});

test('image and manifest agree: size, digest, and what the image says of itself', async () => {
  assert.is(await digestOfFile(image), manifest.image.sha256);
  const header = parseHeader(await bytesAt(image, 64 * 512, 65_536));
  const { buildId, role, base, slots, disk } = manifest;
  assert.is(header?.buildId, buildId);
  assert.equal([header?.role, header?.base], [role, base]);
  assert.equal(header?.slots, slots);
  assert.equal(header?.partitions, disk.partitions);
  assert.equal(header?.logins, [], 'role web lets nobody in');
  assert.ok(root.get('/usr/lib/piimg/image.json'));
});

test('the seed slots are the files of the boot partition, byte for byte, and valid', async () => {
  assert.equal(manifest.slots.map(({ name }) => name).sort(), [
    'meta-data',
    'network-config',
    'piimg.json',
    'user-data',
  ]);
  for (const { name, offset, length } of manifest.slots) {
    const slot = await bytesAt(image, offset, length);
    assert.is([offset % 4096, length % 4096].join(), '0,0', name);
    assert.ok(slot.equals(await readFile(path.join(bootFolder, name))), name);
    assert.type(name === 'piimg.json' ? JSON.parse(slot.toString()) : parse(slot.toString()), 'object', name);
  }
  assert.match(await readFile(path.join(bootFolder, 'user-data'), 'utf8'), /^#cloud-config\n/);
  assert.match(await readFile(path.join(bootFolder, 'meta-data'), 'utf8'), /^instance-id: \S+\n/);
});

test('kernel, initramfs and device trees are those that config.txt and the root file system name', async () => {
  const config = await readFile(path.join(bootFolder, 'config.txt'), 'utf8');
  for (const [, name = ''] of config.matchAll(/^(?:kernel=|initramfs )(\S+)$/gm)) {
    assert.is(boot.get(name), root.get(`/boot/${name}`)?.sha256, name);
    assert.ok(boot.get(name), name);
  }
  assert.is([...config.matchAll(/^(?:kernel=|initramfs )/gm)].length, 2);
  for (const board of ['bcm2837-rpi-3-b', 'bcm2837-rpi-3-b-plus', 'bcm2711-rpi-4-b'])
    assert.ok(boot.get(`${board}.dtb`), board);
  assert.match(
    await readFile(path.join(bootFolder, 'cmdline.txt'), 'utf8'),
    new RegExp(`root=PARTUUID=${manifest.disk.partitions[1]?.partuuid} .*rootwait`),
  );
});

test('the files of the image as `diff` reads them are those that the kernel reads', async () => {
  const handle = await open(image);
  const read = await filesOfImage(readerOf(handle));
  const ours: [string, unknown][] = [];
  for (const [name, file] of read) {
    if (name.startsWith('/boot/firmware/')) continue;
    const { type, mode, uid, gid, target } = file;
    const digest = type === 'file' ? await digestOfContent(file) : undefined;
    ours.push([name, { mode, owner: `${uid}:${gid}`, target: type === 'symlink' ? target : undefined, digest }]);
  }
  await handle.close();
  // tar spells folders with a slash, and gives the content of a file with several names under the first.
  const theirs = [...root]
    .filter(([, { type }]) => type !== 'link')
    .map(([name, { mode, owner, target, sha256, type }]): [string, unknown] => [
      name.replace(/(.)\/$/, '$1'),
      { mode, owner, target: type === 'symlink' ? target : undefined, digest: sha256 },
    ]);
  const links = [...root].filter(([, { type }]) => type === 'link').map(([name]) => name);
  const known = new Map(theirs);
  known.delete('/lost+found');
  assert.equal(differentFiles(known, new Map(ours)), links.sort());
});

test('nothing is left of the build, of this machine, of its architecture', () => {
  assert.ok(root.size > 10_000);
  assert.equal(findLeftovers(root), []);
});

test('the initramfs holds arm64 code only, and the file system check', async () => {
  const name = [...boot.keys()].find((file) => file.startsWith('initrd.img-')) ?? '';
  const initramfs = await readFile(path.join(bootFolder, name));
  assert.equal(await foreignCode(initramfs), []);
  const names = (await readInitramfs(initramfs)).map((file) => file.path);
  for (const wanted of ['usr/sbin/fsck', 'usr/sbin/fsck.ext4']) assert.ok(names.includes(wanted), wanted);
});

test('a native program in an initramfs is found, in both its parts', async () => {
  const program = { path: 'usr/bin/planted', mode: 0o100755, content: await readFile('/bin/true') };
  const text = { path: 'etc/text', mode: 0o100644, content: Buffer.from('text') };
  assert.equal(await foreignCode(await makeInitramfs([text], [text, program])), ['usr/bin/planted']);
  assert.equal(await foreignCode(await makeInitramfs([program], [text])), ['usr/bin/planted']);
});

test('what is planted in a copy is found, and each flipped byte', async () => {
  const copy = path.join(work, 'damaged.img');
  await run(['cp', '--sparse=always', '--reflink=auto', image, copy], minutes(3));
  const { offset } = await partitionOf(copy, 2);
  const planted: Record<string, string> = {
    'etc/ssh/ssh_host_ed25519_key': 'a key\n',
    'etc/machine-id': '0123456789abcdef0123456789abcdef\n',
    'etc/shadow': 'root:*:20000::::::\npi:$y$j9T$salt$hash:20000::::::\n',
    'usr/sbin/policy-rc.d': 'exit 101\n',
    'var/lib/apt/lists/list_Packages': 'Package: none\n',
    'usr/share/trace': `${'x'.repeat(70_000)} built in ${work}\n`,
  };
  const commands: string[] = ['rm etc/machine-id', 'rm etc/shadow', 'write /bin/true usr/bin/planted'];
  for (const [index, [name, text]] of Object.entries(planted).entries()) {
    const source = path.join(work, `planted-${index}`);
    await writeFile(source, text);
    commands.push(`write ${source} ${name}`);
  }
  const script = path.join(work, 'debugfs');
  await writeFile(script, `${commands.join('\n')}\n`);
  await run(['debugfs', '-w', '-f', script, `${copy}?offset=${offset}`], minutes(2));
  const damaged = await readRoot(copy, { keep: JUDGED, words: [work] });
  const touched = [...Object.keys(planted), 'usr/bin/planted'].map((name) => `/${name}`);
  assert.equal(differentFiles(root, damaged), touched.sort());
  const found = findLeftovers(damaged);
  assert.equal(found.sort(), [
    '/etc/machine-id is 0123456789abcdef0123456789abcdef\n',
    '/etc/shadow: pi has a password',
    '/etc/ssh/ssh_host_ed25519_key is there',
    `/usr/bin/planted is code for ELF machine ${process.arch === 'arm64' ? 183 : 62}`,
    `/usr/sbin/policy-rc.d is there`,
    `/usr/share/trace holds “${work}”`,
    '/var/lib/apt/lists/list_Packages is there',
  ]);

  // Two images and nothing else: what `diff` says of them is what the kernel says.
  await flipBit(copy, (manifest.slots[0]?.offset ?? 0) + 10);
  const elsewhere = createContext(AbortSignal.timeout(5 * 60_000), 'silent');
  const { packages, files } = await diffImages(image, copy, { ...elsewhere, cacheDir: path.join(work, 'none') });
  assert.equal(packages, { added: [], removed: [], changed: [] });
  const changed = ['/etc/machine-id', '/etc/shadow', `/boot/firmware/${manifest.slots[0]?.name}`];
  const { added = [], changed: different = [], from } = files ?? {};
  assert.equal([from, different], ['images', changed.sort()]);
  assert.equal(added, touched.filter((name) => !changed.includes(name)).sort());
  await flipBit(copy, (manifest.slots[0]?.offset ?? 0) + 10);

  const fails = (work: Promise<unknown>) =>
    work.then(
      () => false,
      () => true,
    );
  assert.not(await fails(checkFileSystems(copy)), 'planting has broken the file systems');
  await flipBit(copy, 64 * 512 + 100);
  const header = await bytesAt(copy, 64 * 512, 65_536);
  assert.throws(() => parseHeader(header), /damaged/);
  // In the first table of the FAT, after its reserved sectors; then in the ext4's group descriptors, after its superblock's block.
  const bootStart = (await partitionOf(copy, 1)).offset;
  const reserved = (await bytesAt(copy, bootStart, 512)).readUInt16LE(14);
  for (const at of [bootStart + reserved * 512 + 400, offset + 4096 + 8]) {
    await flipBit(copy, at);
    assert.ok(await fails(checkFileSystems(copy)), `fsck does not see byte ${at}`);
    await flipBit(copy, at);
  }
  assert.not(await fails(checkFileSystems(copy)));
  await rm(copy);
});

test('the work is cleaned up', async () => {
  await rm(work, { recursive: true });
});

test.run();
