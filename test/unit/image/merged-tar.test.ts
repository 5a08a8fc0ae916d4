// The merged tar, as tar-stream reads it.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline, Readable } from 'node:stream';
import { extract } from 'tar-stream';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { divideAtBoot, requireRoomOnBoot } from '../../../src/image/boot-partition.ts';
import { endedTar, mergedTar, tarOf } from '../../../src/image/merged-tar.ts';
import { mergeLayers } from '../../../src/image/merge.ts';
import type { Layer } from '../../../src/layers/layer.ts';
import { PiimgError } from '../../../src/lib/errors.ts';
import { encodeHeader, endOfArchive, padding, type TarHeader } from '../../../src/lib/tar.ts';
import { indexTar } from '../../helpers/image-layers.ts';

const LONG = `${'long'.repeat(60)}/${'name'.repeat(20)}`;
const BIG = Buffer.alloc(700_001, 'big');
type Member = Partial<TarHeader> & { path: string; content?: string | Buffer };

async function withLayers<T>(layers: Member[][], use: (layers: Layer[]) => Promise<T>): Promise<T> {
  const dir = await mkdtemp(join(tmpdir(), 'piimg-merged-'));
  try {
    const made: Layer[] = [];
    for (const [number, members] of layers.entries()) {
      const tar = Buffer.concat([...members.map(memberBytes), endOfArchive()]);
      const layerDir = await mkdtemp(join(dir, 'layer-'));
      await writeFile(join(layerDir, 'layer.tar'), tar);
      made.push({ dir: layerDir, index: indexTar(tar, `layer ${number}`) });
    }
    return await use(made);
  } finally {
    await rm(dir, { recursive: true });
  }
}

function memberBytes({ content = '', ...header }: Member): Buffer {
  const data = Buffer.from(content);
  const whole = { type: 'file', mode: 0o644, uid: 7, gid: 8, mtime: 1e9, size: data.length, ...header } as const;
  return Buffer.concat([encodeHeader(whole), data, Buffer.alloc(padding(data.length))]);
}

async function list(stream: AsyncIterable<Buffer>): Promise<string[]> {
  const found: string[] = [];
  const reader = extract();
  // Its failure reaches the loop below through the reader.
  pipeline(Readable.from(stream), reader, () => {});
  for await (const member of reader) {
    const { name, type, linkname, uid, size } = member.header;
    const chunks: Buffer[] = [];
    for await (const chunk of member) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).subarray(0, 3).toString();
    found.push(`${type} ${name} ${linkname ?? ''} ${uid} ${size} ${text}`.replace(/ +/g, ' ').trim());
  }
  return found;
}

const PING: Member = { path: 'ping', xattrs: { 'security.capability': 'AQAAAgD/gMAAAAAAAAAAAAAAAAA=' } };
const FINE: Member = { path: 'fine', nanoseconds: 123_456_789 };
const TREE: Member[] = [
  { path: '', type: 'directory' },
  { path: 'a', content: 'one' },
  { path: 'b', type: 'hardlink', target: 'a' },
  { path: 'big', content: BIG },
  { path: 'boot', type: 'directory' },
  { path: 'boot/firmware', type: 'directory' },
  { path: 'boot/firmware/config.txt', content: 'cfg' },
  { path: 'empty' },
  { path: LONG.split('/')[0] ?? '', type: 'directory' },
  { path: LONG, content: 'deep' },
];

test('the root tar has everything but the boot files, links repaired and long names whole', () =>
  withLayers([TREE, [{ path: 'a', content: 'two' }]], async (layers) => {
    const { root } = divideAtBoot(mergeLayers(layers.map(({ index }) => index)));
    assert.equal(await list(endedTar(mergedTar(layers, root))), [
      'directory ./ 7 0',
      'file a 7 3 two',
      'file b 7 3 one',
      'file big 7 700001 big',
      'directory boot/ 7 0',
      'directory boot/firmware/ 7 0',
      'file empty 7 0',
      `directory ${LONG.split('/')[0]}/ 7 0`,
      `file ${LONG} 7 4 dee`,
    ]);
  }));

test('the boot tar starts below /boot/firmware and takes files from memory', () =>
  withLayers([TREE], async (layers) => {
    const { boot } = divideAtBoot(mergeLayers(layers.map(({ index }) => index)));
    const added = tarOf([{ path: 'user-data', content: Buffer.from('#cl') }], 5);
    assert.equal(await list(endedTar(mergedTar(layers, boot), added)), [
      'file config.txt 7 3 cfg',
      'file user-data 0 3 #cl',
    ]);
  }));

test('unchanged layers come out byte for byte', () =>
  withLayers([TREE], async (layers) => {
    const entries = layers.flatMap(({ index }) => index.entries).map((entry) => ({ layer: 0, entry, source: entry }));
    const chunks: Buffer[] = [];
    for await (const chunk of endedTar(mergedTar(layers, entries))) chunks.push(chunk);
    assert.ok(Buffer.concat(chunks).equals(await readFile(join(layers[0]?.dir ?? '', 'layer.tar'))));
  }));

for (const [what, path, offsetOf] of [
  ['content', 'big', 512 + 600_000],
  ['the last byte of a file', 'a', 512 + 2],
  ['a name', 'a', 0],
  ['a header', 'empty', 130],
  ['a pax header', LONG, 512 + 30],
  ['the kind of a pax header', 'ping', 156],
  ['a capability', 'ping', 512 + 40],
  ['a part of a second', 'fine', 512 + 20],
] as const) {
  test(`one flipped byte in ${what} is found, and named`, () =>
    withLayers([[...TREE, PING, FINE]], async (layers) => {
      const layer = layers[0];
      assert.ok(layer);
      const tar = join(layer.dir, 'layer.tar');
      const bytes = await readFile(tar);
      const at = (layer.index.entries.find((entry) => entry.path === path)?.offset ?? 0) + offsetOf;
      bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
      await writeFile(tar, bytes);
      const error = await list(mergedTar(layers, mergeLayers([layer.index]))).then(
        () => undefined,
        (reason: unknown) => reason,
      );
      assert.instance(error, PiimgError);
      assert.match((error as Error).message, `"layer 0" is damaged: ${path}`);
      assert.equal((error as Error).cause, { layer: layer.index.key, path });
    }));
}

test('a layer that ends early is found', () =>
  withLayers([TREE], async (layers) => {
    const tar = join(layers[0]?.dir ?? '', 'layer.tar');
    await writeFile(tar, (await readFile(tar)).subarray(0, 400_000));
    const entries = mergeLayers(layers.map(({ index }) => index));
    let message = '';
    try {
      for await (const _ of mergedTar(layers, entries)) continue;
    } catch (error) {
      message = (error as Error).message;
    }
    assert.match(message, 'damaged: big');
  }));

test('files that do not fit the boot partition are refused by name, and those that do are not', () => {
  const files = (bytes: number) => [
    { path: 'kernel8.img', size: 10 << 20 },
    { path: 'overlays/large', size: bytes },
  ];
  requireRoomOnBoot(files(500 << 20), 1_048_576);
  try {
    requireRoomOnBoot(files(502 << 20), 1_048_576);
    assert.unreachable();
  } catch (error) {
    assert.instance(error, PiimgError);
    const { message, detail = '' } = error as PiimgError;
    assert.match(message, 'room for 511 MiB, and its files take 513 MiB');
    assert.match(detail, /^\/boot\/firmware\/overlays\/large: 502 MiB\n/);
  }
});

test('the boot partition refuses what FAT cannot hold', () => {
  const refused = (...members: Member[]) =>
    withLayers(
      [[{ path: 'boot', type: 'directory' }, { path: 'boot/firmware', type: 'directory' }, ...members]],
      async (layers) => divideAtBoot(mergeLayers(layers.map(({ index }) => index))),
    ).then(
      () => 'accepted',
      (error: Error) => error.message,
    );
  return Promise.all([
    refused({ path: 'boot/firmware/l', type: 'symlink', target: 'x' }).then((said) =>
      assert.match(said, 'is a symlink'),
    ),
    refused({ path: 'boot/firmware/a:b' }).then((said) => assert.match(said, 'reserves')),
    refused({ path: 'boot/firmware/A' }, { path: 'boot/firmware/a' }).then((said) => assert.match(said, 'case only')),
    refused({ path: 'boot/firmware/f' }, { path: 'x', type: 'hardlink', target: 'boot/firmware/f' }).then((said) =>
      assert.match(said, 'links into it'),
    ),
    refused({ path: 'boot/firmware/a.b c' }).then((said) => assert.is(said, 'accepted')),
  ]).then(() => undefined);
});

test.run();
