// What debugfs is told of what a tar cannot say: by number, never later than the build's clock, once for all names of a file.
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { run } from '../../../src/host/exec.ts';
import { filesBeyondTar } from '../../../src/image/beyond-tar.ts';
import type { LayerEntry } from '../../../src/layers/layer.ts';
import { PiimgError } from '../../../src/lib/errors.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';

const dir = temporaryFolder();
const image = path.join(dir, 'image');
const EPOCH = 1_700_000_000;
await mkdir(path.join(dir, 'tree'));
for (const name of ['a', 'b', 'c "d"\n<12>']) await writeFile(path.join(dir, 'tree', name), name);
await run([
  'mke2fs',
  '-q',
  '-F',
  '-t',
  'ext4',
  '-I',
  '256',
  '-E',
  'offset=4096',
  '-d',
  path.join(dir, 'tree'),
  image,
  '8M',
]);

/** The number that debugfs(8) knows it by. */
async function numberOf(name: string): Promise<string> {
  const { stdout } = await run(['debugfs', '-R', `stat /${name}`, `${image}?offset=4096`]);
  return /Inode: (\d+)/.exec(stdout)?.[1] ?? '';
}

const FILE = { type: 'file', mode: 0o644, uid: 0, gid: 0, size: 1 } as const;
const entry = (changes: Partial<LayerEntry> & { path: string }): LayerEntry => ({ ...FILE, ...changes });

const filesFor = (...entries: LayerEntry[]): ReturnType<typeof filesBeyondTar> =>
  filesBeyondTar(
    image,
    4096,
    entries.map((one) => ({ layer: 0, entry: one, source: one })),
    EPOCH,
  );
const linesFor = async (...entries: LayerEntry[]): Promise<string[] | undefined> => {
  const files = await filesFor(...entries);
  return files
    ?.find(({ path: name }) => name === 'commands')
    ?.content.toString()
    .trim()
    .split('\n');
};

test('times: parts of a second, before 1970; none later than the clock of the build', async () => {
  const [a, b] = [await numberOf('a'), await numberOf('b')];
  assert.equal(
    await linesFor(entry({ path: 'a', time: [EPOCH - 1, 999_999_999] }), entry({ path: 'b', time: [-1, 0] })),
    [
      `sif <${a}> mtime @${EPOCH - 1}`,
      `sif <${a}> mtime_extra ${999_999_999 * 4}`,
      `sif <${b}> mtime @4294967295`,
      `sif <${b}> mtime_extra 0`,
    ],
  );
  assert.is(await linesFor(entry({ path: 'a', time: [EPOCH, 1] })), undefined);
});

test('attributes, whatever the file is called; not those that mke2fs takes, nor of a further name', async () => {
  const xattrs = { 'user.note': Buffer.from('yes').toString('base64'), 'security.capability': 'AA==' };
  const files = await filesFor(
    entry({ path: 'c "d"\n<12>', xattrs }),
    entry({ path: 'b', type: 'hardlink', target: 'a', xattrs, time: [1, 1] }),
    entry({ path: 'a', xattrs: { 'security.capability': 'AA==' } }),
  );
  assert.equal(
    files?.map(({ path: name, content }) => [name, content.toString().replace(/<\d+>/, '<N>')]),
    [
      ['0', 'yes'],
      ['commands', 'ea_set -f 0 <N> user.note\n'],
    ],
  );
});

test('an attribute that debugfs cannot be told is refused by name', async () => {
  const refused = await filesFor(entry({ path: 'a', xattrs: { 'user.two words': 'AA==' } })).catch(
    (error: unknown) => error,
  );
  assert.instance(refused, PiimgError);
  assert.match((refused as PiimgError).message, '"user.two words" of /a');
});

test.run();
