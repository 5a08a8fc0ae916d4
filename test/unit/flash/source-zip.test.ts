// Zips as programs make them, as files and as streams, and as they should not be.
import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { imageInZip } from '../../../src/flash/source/zip-bytes.ts';
import { run } from '../../../src/host/exec.ts';
import { EXIT, PiimgError } from '../../../src/lib/errors.ts';
import { at, deadline, failure, flipped, folder, noise, open, output, put, readAll } from './source-helpers.ts';

const image = Buffer.concat([noise(300_000), Buffer.alloc(100_000), noise(1)]);
await run(['mkdir', '-p', '__MACOSX', 'sub'], { cwd: folder });
put('web.img', image);
put('other.iso', noise(5000));
put('README.md', 'Read me.\n'.repeat(1000));
put('__MACOSX/._web.img', 'resource fork');
put('sub/.DS_Store', 'x');

/** As `zip` makes it when it can go back in its file. */
async function zipFile(name: string, ...words: string[]): Promise<string> {
  await run(['zip', '-q', '-r', ...words.filter(isOption), name, ...words.filter((word) => !isOption(word))], {
    cwd: folder,
  });
  return at(name);
}

/** As `zip` prints it: sizes and CRC come after each file. */
const zipPipe = (...words: string[]): Promise<Buffer> =>
  output(['zip', '-q', '-r', ...words.filter(isOption), '-', ...words.filter((word) => !isOption(word))]);

const isOption = (word: string): boolean => word.startsWith('-');

/** What a stream has, that comes in pieces of `step` bytes. */
async function unzip(zip: Buffer, step = 10_007): Promise<Buffer> {
  const packed = async function* (): AsyncGenerator<Buffer> {
    for (let at = 0; at < zip.length; at += step) yield zip.subarray(at, at + step);
  };
  const pieces: Buffer[] = [];
  for await (const piece of imageInZip(packed, 'stdin', deadline())) pieces.push(piece);
  return Buffer.concat(pieces);
}

const WAYS: Record<string, string[]> = {
  deflated: ['-6'],
  stored: ['-0'],
  'with eight bytes for each size': ['-fz'],
};
for (const [how, options] of Object.entries(WAYS)) {
  test(`${how}: the image amid what accompanies it, as a file and as a stream`, async () => {
    const file = await zipFile(`beside${options.join('')}.zip`, ...options, 'README.md', '__MACOSX', 'sub', 'web.img');
    const source = await open(file);
    assert.is(source.size, image.length);
    assert.ok(image.equals(await readAll(source)));
    assert.ok(image.subarray(123_456).equals(await readAll(source, 123_456)));
    for (const step of [509, 10_007, 1 << 20]) assert.ok(image.equals(await unzip(readFileSync(file), step)));
  });
}

test('what `zip` prints into a pipe, as a file and as a stream; stored so, it has an end for files only', async () => {
  for (const options of [['-6'], ['-6', '-fz']]) {
    const piped = await zipPipe(...options, 'README.md', 'web.img', 'sub');
    for (const step of [509, 10_007, 1 << 20]) assert.ok(image.equals(await unzip(piped, step)));
    assert.ok(image.equals(await readAll(await open(put('piped.zip', piped)))));
  }
  const stored = await zipPipe('-0', 'web.img');
  assert.ok(image.equals(await readAll(await open(put('stored-piped.zip', stored)))));
  const error = await failure(unzip(stored));
  assert.match(error.message, 'does not tell, before its end, where web.img in it ends');
  assert.match(error.hint ?? '', 'Save it');
});

test('more than one possible image is refused, naming them: of a file at once, of a stream when the second one comes', async () => {
  const file = await zipFile('two.zip', 'web.img', 'README.md', 'other.iso');
  for (const error of [await failure(open(file)), await failure(unzip(readFileSync(file)))]) {
    assert.match(error.message, 'holds more than one file that may be the image: web.img, other.iso');
    assert.is(error.exitCode, EXIT.usage);
  }
});

test('no image in it is refused, and so is a zip with nothing in it', async () => {
  const file = await zipFile('none.zip', 'README.md', 'sub');
  for (const error of [await failure(open(file)), await failure(unzip(readFileSync(file)))]) {
    assert.match(error.message, 'holds no image');
    assert.match(error.hint ?? '', 'It has README.md, sub/');
    assert.is(error.exitCode, EXIT.usage);
  }
  const empty = Buffer.alloc(22);
  empty.write('PK\x05\x06', 'latin1');
  assert.match((await failure(open(put('nothing.zip', empty)))).message, 'holds no image');
});

test('encrypted files, and methods that nearly nobody uses, are refused at once', async () => {
  const encrypted = await failure(open(await zipFile('secret.zip', '-Psecret', 'web.img')));
  assert.match(encrypted.message, /^web\.img in .*secret\.zip is encrypted/);
  const other = readFileSync(await zipFile('method.zip', 'web.img'));
  // The method of the local header, and of the directory.
  other.writeUInt16LE(9, 8);
  other.writeUInt16LE(9, other.lastIndexOf('PK\x01\x02', undefined, 'latin1') + 10);
  for (const error of [await failure(open(put('method.zip', other))), await failure(unzip(other))]) {
    assert.match(error.message, 'is packed by Deflate64');
    assert.is(error.exitCode, EXIT.usage);
  }
});

test('an image that is larger than its header says is noticed as soon as it is', async () => {
  const bomb = readFileSync(await zipFile('bomb.zip', 'web.img'));
  const row = bomb.lastIndexOf('PK\x01\x02', undefined, 'latin1');
  bomb.writeUInt32LE(1000, row + 24);
  const source = await open(put('bomb.zip', bomb));
  assert.is(source.size, 1000);
  assert.match((await failure(readAll(source))).message, 'is larger than the 1000 bytes it should have');
});

test('a zip that is cut off anywhere, or has any bit of its image flipped, is damaged', async () => {
  for (const zip of [readFileSync(await zipFile('whole.zip', 'web.img')), await zipPipe('web.img')]) {
    const content = 30 + 'web.img'.length + 28;
    for (const part of [0.001, 0.5, 0.99]) {
      const place = content + Math.floor(part * 300_000);
      const cut = zip.subarray(0, place);
      const errors = [await failure(unzip(cut)), await failure(open(put('cut.zip', cut)))];
      for (const error of errors) assert.match(error.message, 'is damaged or cut off', `${place}`);
      const flip = flipped(zip, place);
      const read = async (): Promise<Buffer> => readAll(await open(put('flip.zip', flip)));
      for (const error of [await failure(unzip(flip)), await failure(read())]) {
        assert.match(error.message, 'is damaged or cut off', `${place}`);
        assert.match(error.message, 'web.img');
      }
    }
  }
});

test('reading ends while the rest of a stream is waited for', async () => {
  const zip = await zipPipe('web.img');
  const stop = new AbortController();
  let ended = false;
  const packed = async function* (signal: AbortSignal): AsyncGenerator<Buffer> {
    try {
      yield zip.subarray(0, 250_000);
      await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));
    } finally {
      ended = true;
    }
  };
  for await (const piece of imageInZip(packed, 'stdin', stop.signal)) {
    assert.ok(piece.length > 0);
    break;
  }
  assert.ok(ended);
  const waiting = async (): Promise<void> => {
    for await (const piece of imageInZip(packed, 'stdin', stop.signal)) {
      assert.ok(piece.length > 0);
      setTimeout(() => stop.abort(new PiimgError('stopped')), 20);
    }
  };
  assert.is((await failure(waiting())).message, 'stopped');
});

test.run();
