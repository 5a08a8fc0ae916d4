// Images in files: every packing, by its first bytes; what is damaged, lies or is none is told; nothing is left behind.
import { chmodSync, mkdirSync, symlinkSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readBeginning } from '../../../src/flash/source/beginning.ts';
import { readSource } from '../../../src/flash/source/read.ts';
import { EXIT, PiimgError } from '../../../src/lib/errors.ts';
import { run } from '../../../src/host/exec.ts';
import { sha256 } from '../../../src/lib/digest.ts';
import {
  at,
  deadline,
  failure,
  flipped,
  folder,
  image,
  noise,
  open,
  output,
  packAll,
  programsLeft,
  put,
  readAll,
} from './source-helpers.ts';

const files = await packAll();
const packed = files.slice(1);
const PACKINGS = ['none', 'gz', 'xz', 'zst', 'zip'];

for (const [index, file] of files.entries()) {
  const packing = PACKINGS[index];
  test(`${packing}: read from any byte on, its size told beforehand where the file tells it`, async () => {
    const source = await open(file);
    assert.is(source.packing, packing);
    assert.is(source.kind, 'file');
    assert.is(source.size, packing === 'gz' ? undefined : image.length);
    assert.ok(source.rereadable);
    assert.ok(image.equals(await readAll(source)));
    for (const from of [1, 4_194_304, image.length - 1, image.length]) {
      assert.ok(image.subarray(from).equals(await readAll(source, from)), `from ${from}`);
    }
  });

  test(`${packing}: its beginning, and reading still begins at byte 0`, async () => {
    const opened = await open(file);
    const { source, bytes } = await readBeginning(opened, 100_000, deadline());
    assert.ok(image.subarray(0, 100_000).equals(bytes));
    assert.ok(image.equals((await readBeginning(source, 2 * image.length, deadline())).bytes));
    assert.ok(image.equals(await readAll(source)));
  });

  test(`${packing}: whoever stops early, or aborts, leaves no process`, async () => {
    const source = await open(file);
    for await (const piece of readSource(source, { signal: deadline() })) {
      assert.ok(piece.length > 0);
      // So that one sees that one would see them.
      assert.is(programsLeft().length, ['gz', 'xz', 'zst'].includes(source.packing) ? 1 : 0);
      break;
    }
    assert.equal(programsLeft(), []);
    const stop = new AbortController();
    const reading = readSource(source, { signal: stop.signal });
    await reading.next();
    stop.abort(new PiimgError('stopped', { exitCode: EXIT.interrupted }));
    const rest = async (): Promise<void> => {
      for await (const piece of reading) assert.ok(piece.length > 0);
    };
    assert.is((await failure(rest())).message, 'stopped');
    assert.equal(programsLeft(), []);
  });
}

test('the digest of a file as it lies there: all of it is read for that, from wherever; another one is an error at its end', async () => {
  for (const file of files) {
    const source = { ...(await open(file)), sha256: sha256(await output(['cat', file])) };
    for (const from of [0, 1, image.length]) assert.ok(image.subarray(from).equals(await readAll(source, from)), file);
    const other = await failure(readAll({ ...source, sha256: 'a'.repeat(64) }, 1));
    assert.match(other.message, `${file} has sha256 ${source.sha256}, not ${'a'.repeat(64)}`);
  }
});

for (const file of packed) {
  const name = file.slice(folder.length + 1);
  test(`${name}: a file that is cut off or has a bit flipped is named, in words of what unpacks it`, async () => {
    const bytes = await output(['cat', file]);
    const bad = { cut: bytes.subarray(0, bytes.length >> 1), flip: flipped(bytes, bytes.length >> 1) };
    for (const [how, content] of Object.entries(bad)) {
      const broken = put(`${how}-${name}`, content);
      const error = await failure(open(broken).then((source) => readAll(source)));
      assert.is(error.message.indexOf(`${broken} is damaged or cut off: `), 0, error.message);
      assert.is(error.exitCode, EXIT.failed);
      assert.match(error.hint ?? '', 'again');
    }
    assert.equal(programsLeft(), []);
  });

  test(`${name}: more or fewer bytes than its size says are an error, more as soon as they come`, async () => {
    const source = await open(file);
    let read = 0;
    const short = readSource({ ...source, size: 5_000_000 }, { signal: deadline() });
    const count = async (): Promise<void> => {
      for await (const piece of short) read += piece.length;
    };
    assert.match((await failure(count())).message, `The image in ${file} is larger than the 5000000 bytes`);
    assert.ok(read <= 5_000_000);
    const long = await failure(readAll({ ...source, size: image.length + 1 }));
    assert.match(long.message, `The image in ${file} ends at byte ${image.length} of ${image.length + 1}`);
  });
}

test('a raw file that has become shorter is an error', async () => {
  const source = await open(put('shrinks.img', noise(100_000)));
  put('shrinks.img', noise(1000));
  assert.match((await failure(readAll(source))).message, 'ends at byte 1000 of 100000');
});

test('names tell nothing: links, wrong endings, blanks and dashes', async () => {
  for (const file of packed) {
    symlinkSync(file, `${file}.link`);
    for (const name of [`${file}.link`, put('-a b.img', await output(['cat', file]))]) {
      assert.ok(image.equals(await readAll(await open(name))), name);
    }
  }
});

test('several packed pieces in a file are one image; frames of zst need not tell their size', async () => {
  for (const [name, command] of [
    ['gz', ['gzip', '-1']],
    ['xz', ['xz', '-0']],
    ['zst', ['zstd', '-1q']],
  ] as const) {
    const halves = [image.subarray(0, 4_000_000), image.subarray(4_000_000)];
    const pieces = await Promise.all(halves.map((half) => output([...command], half)));
    const source = await open(put(`two.${name}`, Buffer.concat(pieces)));
    assert.is(source.size, name === 'xz' ? image.length : undefined);
    assert.ok(image.equals(await readAll(source)), name);
  }
});

test('a block device is an image', async () => {
  const { stdout } = await run(['losetup', '--find', '--show', '--read-only', at('image.img')]).catch(() => ({
    stdout: '',
  }));
  const device = stdout.trim();
  // Not everybody may make one.
  if (device === '') return;
  try {
    const source = await open(device);
    // Whole sectors: the last 77 bytes are none.
    const size = image.length - (image.length % 512);
    assert.equal([source.kind, source.packing, source.size], ['file', 'none', size]);
    assert.ok(image.subarray(0, size).equals(await readAll(source)));
  } finally {
    await run(['losetup', '--detach', device]);
  }
});

test('what is no image, or another kind of archive, is refused with what to do', async () => {
  mkdirSync(at('a-folder'));
  const fifo = at('fifo');
  await run(['mkfifo', fifo]);
  const refusals: [string, RegExp, RegExp][] = [
    [at('absent'), /^There is no /, /file, a URL/],
    [at('image.img/x'), /^There is no /, /file, a URL/],
    [at('a-folder'), /is a folder$/, /image in it/],
    [fifo, /is no file$/, /flash - CARD/],
    [put('empty', ''), /is empty$/, /again/],
    [put('7z', Buffer.from('377abcaf271c0004', 'hex')), /is a 7z archive/, /7z x/],
    [put('rar', 'Rar!\x1a\x07\x00'), /is a rar archive/, /unrar/],
    [put('bz2', Buffer.from('425a6839314159265359', 'hex')), /packed by bzip2/, /bzip2 -dc FILE \| piimg flash -/],
    ['ftp://example.org/x.img', /ftp:\/\/ is not known/, /https:/],
  ];
  for (const [name, message, hint] of refusals) {
    const error = await failure(open(name));
    assert.match(error.message, message);
    assert.ok(error.message.includes(name), error.message);
    assert.match(error.hint ?? '', hint);
    assert.is(error.exitCode, EXIT.usage);
  }
  chmodSync(put('secret', 'x'), 0);
  chmodSync(folder, 0o711);
  // Root may read everything.
  const isRoot = process.getuid?.() === 0;
  if (isRoot) process.seteuid?.(65_534);
  try {
    assert.match((await failure(open(at('secret')))).message, /cannot be read \(EACCES\)/);
  } finally {
    if (isRoot) process.seteuid?.(0);
  }
});

test.run();
