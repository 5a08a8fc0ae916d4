// layer.tar and its index: they agree, digests are of the bytes, and entries have their full length.
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { run } from '../../../src/host/exec.ts';
import { copyEntry } from '../../../src/layers/capture.ts';
import { openGuard } from '../../../src/layers/guard.ts';
import { writeLayerTar, type LayerTar, type LayerTarWriter } from '../../../src/layers/tar-writer.ts';
import { sha256 } from '../../../src/lib/digest.ts';
import type { TarHeader } from '../../../src/lib/tar.ts';
import { indexTar } from '../../helpers/image-layers.ts';
import { withFolder } from '../cli/piimg.ts';

const header = (changes: Partial<TarHeader>): TarHeader => ({
  path: 'a',
  type: 'file',
  mode: 0o644,
  uid: 0,
  gid: 0,
  size: 0,
  mtime: 1,
  ...changes,
});

/** Writes an archive; gives what the writer says, its bytes, and every file the guard saw as `path head`. */
async function written(
  work: (tar: LayerTarWriter) => Promise<void>,
): Promise<{ tar: LayerTar; bytes: Buffer; seen: string[]; listed: string }> {
  return withFolder(async (folder) => {
    const file = path.join(folder, 'layer.tar');
    const seen: string[] = [];
    const look = (name: string, head: Buffer) => void seen.push(`${name} ${head.toString()}`);
    const tar = await writeLayerTar(file, { ...openGuard(new Set(), true), look }, work);
    const { stdout } = await run(['tar', '-tf', file, '--quoting-style=literal']);
    return { tar, bytes: await readFile(file), seen, listed: stdout };
  });
}

async function fill(tar: LayerTarWriter): Promise<void> {
  await tar.add(header({ path: '', type: 'directory', mode: 0o755 }));
  await tar.add(header({ path: 'a', size: 5 }));
  await tar.write(Buffer.from('he'));
  await tar.write(Buffer.from('llo'));
  await tar.add(header({ path: 'b', type: 'hardlink', target: 'a' }));
  await tar.add(header({ path: 'big', size: 3_000_000 }));
  for (let i = 0; i < 3; i++) await tar.write(Buffer.alloc(1_000_000, i));
  await tar.add(header({ path: 'd', type: 'directory' }), { opaque: true });
  await tar.add(header({ path: 'd/empty', nanoseconds: 5, xattrs: { 'security.capability': '//8=' } }));
  tar.whiteout('gone');
}

test('what is captured is never later than the clock of the build, and else as late as it was', async () => {
  const none = async (): Promise<void> => {};
  const { tar } = await written(async (writer) => {
    for (const [name, time] of Object.entries({
      before: { mtime: 99, nanoseconds: 7 },
      at: { mtime: 100, nanoseconds: 7 },
      after: { mtime: 101, nanoseconds: 7 },
    }))
      await copyEntry(header({ path: name, ...time }), none, writer, 100);
  });
  assert.equal(
    tar.entries.map(({ path: name, time }) => [name, time]),
    [
      ['before', [99, 7]],
      ['at', undefined],
      ['after', undefined],
    ],
  );
});

test('the index is what stands in the archive, and says what the archive cannot', async () => {
  const { tar, bytes, listed } = await written(fill);
  assert.is(tar.digest, sha256(bytes));
  assert.is(tar.size, bytes.length);
  const { entries } = indexTar(bytes, 'layer');
  const inTar = tar.entries.filter(({ type }) => type !== 'whiteout').map(({ opaque: _, ...entry }) => entry);
  assert.equal(inTar, entries);
  assert.equal(
    tar.entries.filter(({ opaque }) => opaque).map((entry) => entry.path),
    ['d'],
  );
  assert.equal(tar.entries.at(-1), { path: 'gone', type: 'whiteout', mode: 0, uid: 0, gid: 0, size: 0 });
  assert.is(listed, './\na\nb\nbig\nd/\nd/empty');
});

test('each file has its digest, and the guard sees its beginning once', async () => {
  const { tar, seen } = await written(fill);
  const digests = Object.fromEntries(tar.entries.map((entry) => [entry.path, entry.sha256]));
  assert.is(digests['a'], sha256('hello'));
  assert.is(digests['d/empty'], sha256(''));
  assert.is(digests['b'], undefined);
  assert.equal(
    seen.map((line) => line.slice(0, 9)),
    ['a hello', `big ${'\0'.repeat(5)}`, 'd/empty '],
  );
});

const wrong: Record<string, { work: (tar: LayerTarWriter) => Promise<void>; says: RegExp }> = {
  'a file shorter than its header says': {
    work: async (tar) => {
      await tar.add(header({ path: 'etc/x', size: 5 }));
      await tar.write(Buffer.from('four'));
    },
    says: /\/etc\/x is 1 bytes shorter than its header says/,
  },
  'the same, followed by another': {
    work: async (tar) => {
      await tar.add(header({ path: 'etc/x', size: 5 }));
      await tar.add(header({ path: 'etc/y' }));
    },
    says: /\/etc\/x is 5 bytes shorter/,
  },
  'a file longer than its header says': {
    work: async (tar) => {
      await tar.add(header({ path: 'etc/x', size: 3 }));
      await tar.write(Buffer.from('four'));
    },
    says: /\/etc\/x is longer than its header says/,
  },
  'data of no file': {
    work: async (tar) => {
      await tar.add(header({ path: 'etc', type: 'directory' }));
      await tar.write(Buffer.from('x'));
    },
    says: /no file entry is open/,
  },
  'what is neither': {
    work: (tar) => tar.add(header({ path: 'run/x', type: 'other' })),
    says: /a kind that no layer holds/,
  },
};
for (const [what, { work, says }] of Object.entries(wrong)) {
  test(`refuses ${what}`, async () => {
    const error: unknown = await written(work).catch((caught: unknown) => caught);
    assert.match(String(error), says);
  });
}

test.run();
