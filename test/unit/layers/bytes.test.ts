// Reading streams in pieces, and archives entry by entry, whatever the chunks they come in.
import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { byteReader } from '../../../src/layers/bytes.ts';
import { readTar, readTarFrom } from '../../../src/layers/tar-reader.ts';
import { BLOCK, encodeHeader, endOfArchive, padding } from '../../../src/lib/tar.ts';

/** The bytes in chunks of these lengths, over and over; the last ones may be empty. */
async function* inChunks(bytes: Buffer, lengths: number[]): AsyncGenerator<Buffer> {
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const length = lengths[i % lengths.length] ?? 1;
    yield bytes.subarray(at, at + length);
    at += length;
  }
}

const chunks = fc
  .array(fc.nat(700), { minLength: 1, maxLength: 6 })
  .filter((lengths) => lengths.some((length) => length > 0));

test('what is read and passed on is the stream, in order', async () => {
  const steps = fc.array(fc.record({ pass: fc.boolean(), length: fc.nat(900) }), { maxLength: 12 });
  const check = fc.asyncProperty(fc.uint8Array({ maxLength: 3000 }), chunks, steps, async (data, lengths, wanted) => {
    const bytes = Buffer.from(data);
    const reader = byteReader(inChunks(bytes, lengths));
    let at = 0;
    for (const { pass, length } of wanted) {
      const there = Math.min(length, bytes.length - at);
      const expected = bytes.subarray(at, at + there);
      if (pass && there < length) {
        await assertRejects(() => reader.pass(length, () => {}), 'the archive ends too early');
        return;
      }
      const pieces: Buffer[] = [];
      if (pass) await reader.pass(length, (piece) => void pieces.push(Buffer.from(piece)));
      else pieces.push(await reader.read(length));
      assert.ok(Buffer.concat(pieces).equals(expected));
      at += there;
    }
  });
  await fc.assert(check, { endOnFailure: true });
});

async function assertRejects(work: () => Promise<unknown>, message: string): Promise<void> {
  const error: unknown = await work().then(
    () => undefined,
    (caught: unknown) => caught,
  );
  assert.match(String(error), message);
}

const FILES = { a: 'one', 'empty file': '', ['long/'.repeat(40)]: 'x'.repeat(1024), z: 'last' };
const ARCHIVE = Buffer.concat([
  ...Object.entries(FILES).flatMap(([name, content]) => [
    encodeHeader({
      path: name.replace(/\/$/, ''),
      type: 'file',
      mode: 0o644,
      uid: 0,
      gid: 0,
      size: content.length,
      mtime: 0,
    }),
    Buffer.from(content),
    Buffer.alloc(padding(content.length)),
  ]),
  endOfArchive(),
  // What GNU tar fills its last record with.
  Buffer.alloc(7 * BLOCK),
]);

/** Names and, of those that `wants` takes, the content; in chunks of these lengths. */
async function contents(archive: Buffer, lengths: number[], wants: (path: string) => boolean): Promise<string[]> {
  const found: string[] = [];
  await readTar(inChunks(archive, lengths), async ({ path }, data) => {
    let content = '';
    if (wants(path)) await data((chunk) => void (content += chunk.toString()));
    found.push(`${path}: ${content}`);
  });
  return found;
}

test('an archive is the same whatever its chunks, and data nobody asks for is passed over', async () => {
  const all = Object.entries(FILES).map(([name, content]) => ({ path: name.replace(/\/$/, ''), content }));
  await fc.assert(
    fc.asyncProperty(chunks, fc.boolean(), async (lengths, even) => {
      const wants = (path: string) => even === (path.length % 2 === 0);
      const expected = all.map(({ path, content }) => `${path}: ${wants(path) ? content : ''}`);
      assert.equal(await contents(ARCHIVE, lengths, wants), expected);
    }),
    { endOnFailure: true },
  );
});

test('the stream is read to its end: tar must not meet a closed pipe', async () => {
  let read = 0;
  async function* counted(): AsyncGenerator<Buffer> {
    for await (const chunk of inChunks(ARCHIVE, [BLOCK])) {
      read += chunk.length;
      yield chunk;
    }
  }
  await readTar(counted(), async () => {});
  assert.is(read, ARCHIVE.length);
});

test('an archive that is cut anywhere is refused', async () => {
  const end = ARCHIVE.length - 9 * BLOCK;
  for (let length = 0; length <= end; length += 100) {
    await assertRejects(() => contents(ARCHIVE.subarray(0, length), [1000], () => true), 'Error');
  }
  assert.is((await contents(ARCHIVE, [1000], () => true)).length, 4);
});

test('a failure of whoever takes the data ends the reading', async () => {
  const failing = readTar(inChunks(ARCHIVE, [1000]), (_header, data) => data(() => Promise.reject(new Error('full'))));
  await assertRejects(() => failing, 'full');
});

test('a failure closes the source: a program that still writes must not wait for ever', async () => {
  let closed = false;
  async function* source(): AsyncGenerator<Buffer> {
    try {
      yield* inChunks(ARCHIVE, [BLOCK]);
    } finally {
      closed = true;
    }
  }
  await assertRejects(() => readTar(source(), () => Promise.reject(new Error('full'))), 'full');
  assert.ok(closed);
});

/** A program that prints so many bytes of the archive, and fails when it could not print all or was to fail. */
function archiver(bytes: number, fails = false): Parameters<typeof readTarFrom>[0] {
  let end = (_: boolean): void => {};
  const whole = new Promise<boolean>((resolve) => (end = resolve));
  async function* stdout(): AsyncGenerator<Buffer> {
    let printed = false;
    try {
      yield* inChunks(ARCHIVE.subarray(0, bytes), [BLOCK]);
      printed = true;
    } finally {
      end(printed);
    }
  }
  const ended = async (): Promise<void> => {
    const printed = await whole;
    if (fails || !printed) throw new Error(fails ? 'tar: cannot read' : 'tar: connection reset by peer');
  };
  return Object.assign(ended(), { stdout: stdout() });
}

test('of a program that prints an archive and its reader, the failure of the one that failed first is told', async () => {
  const full = (): Promise<void> => Promise.reject(new Error('full'));
  await assertRejects(() => readTarFrom(archiver(ARCHIVE.length), full), 'full');
  await assertRejects(() => readTarFrom(archiver(3 * BLOCK, true), async () => {}), 'tar: cannot read');
  await assertRejects(() => readTarFrom(archiver(ARCHIVE.length, true), async () => {}), 'tar: cannot read');
  await assertRejects(() => readTarFrom(archiver(3 * BLOCK), async () => {}), 'ends too early');
  await readTarFrom(archiver(ARCHIVE.length), async () => {});
});

test.run();
