// Tar headers: what we write GNU tar reads, what it writes we read, and damage is refused.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { run } from '../../../src/host/exec.ts';
import { readTar } from '../../../src/layers/tar-reader.ts';
import {
  BLOCK,
  encodeHeader,
  endOfArchive,
  padding,
  parseHeader,
  parsePax,
  paxSize,
  type TarHeader,
} from '../../../src/lib/tar.ts';
import { withFolder } from '../cli/piimg.ts';

const FILE: TarHeader = { path: 'etc/motd', type: 'file', mode: 0o644, uid: 0, gid: 0, size: 0, mtime: 1_700_000_000 };
const file = (changes: Partial<TarHeader>): TarHeader => ({ ...FILE, ...changes });
const limit = () => ({ signal: AbortSignal.timeout(60_000) });

/** A header and the pax header before it, read back. */
function decode(bytes: Buffer): TarHeader {
  const size = paxSize(bytes);
  const pax = size === undefined ? undefined : parsePax(bytes.subarray(BLOCK, BLOCK + size));
  return parseHeader(bytes.subarray(-BLOCK), pax);
}

async function headersOf(tar: Buffer): Promise<TarHeader[]> {
  const found: TarHeader[] = [];
  await readTar(streamOf(tar), async (header) => void found.push(header));
  return found;
}

async function* streamOf(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}

const LENGTHS = [1, 98, 99, 100, 101, 154, 155, 156, 254, 255, 256, 300];
/** A path of so many bytes, in parts of at most 50. */
const long = (length: number) =>
  Array.from({ length }, (_, i) => (i % 50 === 49 && i < length - 1 ? '/' : 'n')).join('');

const round: Record<string, TarHeader> = {
  'the root': file({ path: '', type: 'directory', mode: 0o755 }),
  'a folder with sticky bit': file({ path: 'tmp', type: 'directory', mode: 0o1777 }),
  setuid: file({ path: 'usr/bin/sudo', mode: 0o4755, size: 123_456 }),
  'the last id ustar holds': file({ uid: 2_097_151, gid: 2_097_151 }),
  'the first id it does not': file({ uid: 2_097_152, gid: 4_294_967_294 }),
  'the last size ustar holds': file({ size: 8 ** 11 - 1 }),
  'eight GiB': file({ size: 8 ** 11 }),
  'a terabyte': file({ size: 2 ** 40 + 1 }),
  'before 1970': file({ mtime: -315_619_200 }),
  'after 2242': file({ mtime: 8 ** 11 }),
  'a part of a second': file({ nanoseconds: 123_456_789 }),
  'the last nanosecond before 1970': file({ mtime: -1, nanoseconds: 999_999_999 }),
  'a part of a second in 1969': file({ mtime: -86_400, nanoseconds: 1 }),
  'a name beyond ASCII': file({ path: 'usr/share/ca-certificates/NetLock_Arany_=Class_Gold=_Főtanúsítvány.crt' }),
  'a name with newline, quotes and blanks': file({ path: `a b/'"\n\\x` }),
  'a name that begins with U+FEFF': file({ path: '\uFEFFx' }),
  'a link beyond ASCII': file({ path: 'a', type: 'symlink', mode: 0o777, target: '→ü' }),
  'a link of a target beginning with ./': file({ path: 'a', type: 'symlink', mode: 0o777, target: './b' }),
  'a hard link': file({ path: 'b', type: 'hardlink', target: 'a' }),
  'a whiteout of overlayfs': file({ path: 'gone', type: 'character', mode: 0, device: [0, 0] }),
  'a disk': file({ path: 'dev/sda', type: 'block', mode: 0o660, device: [8, 1_048_575] }),
  'a terminal': file({ path: 'dev/tty1', type: 'character', mode: 0o620, gid: 5, device: [4, 1] }),
  'a pipe': file({ path: 'run/pipe', type: 'fifo', mode: 0o600 }),
  'a capability, which is not UTF-8': file({ xattrs: { 'security.capability': 'AQAAAgD/gMAAAAAAAAAAAAAAAAA=' } }),
  'an attribute of newlines and zeros': file({ xattrs: { 'user.a': Buffer.from('\n\0=\n9 x=').toString('base64') } }),
  'an empty attribute': file({ xattrs: { 'user.a': '' } }),
  ...Object.fromEntries(LENGTHS.map((length) => [`a name of ${length} bytes`, file({ path: long(length) })])),
  ...Object.fromEntries(
    LENGTHS.map((length) => [
      `a link of ${length} bytes`,
      file({ path: 'l', type: 'symlink', mode: 0o777, target: long(length) }),
    ]),
  ),
};
for (const [title, header] of Object.entries(round)) {
  test(`read as written: ${title}`, () => {
    const bytes = encodeHeader(header);
    assert.is(bytes.length % BLOCK, 0);
    assert.equal(decode(bytes), header);
  });
}

const id = fc.oneof(fc.nat(70_000), fc.nat(4_294_967_294));
const name = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 120 })
  .map((text) => text.replaceAll(/[\0/]/g, '_').replace(/^\.{1,2}$/, '_'));
const anyHeader: fc.Arbitrary<TarHeader> = fc
  .record({
    path: fc.array(name, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/')),
    type: fc.constantFrom('file' as const, 'directory' as const, 'symlink' as const),
    mode: fc.nat(0o7777),
    uid: id,
    gid: id,
    size: fc.oneof(fc.nat(100), fc.nat(2 ** 40)),
    mtime: fc.integer({ min: -(2 ** 40), max: 2 ** 40 }),
    nanoseconds: fc.nat(999_999_999),
    target: name,
    xattrs: fc.dictionary(fc.stringMatching(/^user\.[a-z]{1,9}$/), fc.uint8Array({ maxLength: 30 }), { minKeys: 1 }),
  })
  .map(({ size, target, xattrs, nanoseconds, ...header }) => ({
    ...header,
    ...(nanoseconds > 0 && { nanoseconds }),
    size: header.type === 'file' ? size : 0,
    ...(header.type === 'symlink' && { target }),
    xattrs: Object.fromEntries(
      Object.entries(xattrs).map(([key, bytes]) => [key, Buffer.from(bytes).toString('base64')]),
    ),
  }));

test('any header is read as it was written', () => {
  fc.assert(fc.property(anyHeader, (header) => assert.equal(decode(encodeHeader(header)), header)));
});

test('GNU tar unpacks the times that we write, and we read those that it writes', () =>
  withFolder(async (folder) => {
    const times = [
      { mtime: 1_700_000_000 },
      { mtime: 1_700_000_000, nanoseconds: 1 },
      { mtime: -2, nanoseconds: 250_000_000 },
      { mtime: -86_400 },
    ];
    const headers = times.map((time, i) => file({ ...time, path: String(i) }));
    await writeFile(path.join(folder, 'a.tar'), Buffer.concat([...headers.map(encodeHeader), endOfArchive()]));
    const script = 'tar -xf a.tar; stat -c %.9Y [0-3]; tar --format=posix -cf b.tar [0-3]';
    const { stdout } = await run(['sh', '-euc', script], { ...limit(), cwd: folder });
    assert.equal(stdout.trim().split('\n'), [
      '1700000000.000000000',
      '1700000000.000000001',
      '-1.750000000',
      '-86400.000000000',
    ]);
    const found = await headersOf(await readFile(path.join(folder, 'b.tar')));
    assert.equal(
      found.map(({ mtime, nanoseconds }) => ({ mtime, ...(nanoseconds && { nanoseconds }) })),
      times,
    );
  }));

test('GNU tar reads what we write: names, owners, sizes, links, attributes', async () => {
  const headers = Object.values(round).filter(
    ({ path: name, size, mtime }) => name !== '' && !name.includes('\n') && size < 8 ** 11 - 1 && mtime < 8 ** 11,
  );
  const archive = Buffer.concat([
    ...headers.flatMap((header) => [encodeHeader(header), Buffer.alloc(header.size + padding(header.size))]),
    endOfArchive(),
  ]);
  const list = '--list --verbose --verbose --numeric-owner --quoting-style=literal --xattrs --xattrs-include=*'.split(
    ' ',
  );
  const { stdout, stderr } = await run(['tar', ...list], { ...limit(), input: archive, env: { LC_ALL: 'C.UTF-8' } });
  assert.is(stderr, '');
  const lines = stdout.split('\n');
  const attributes = lines.filter((line) => /^ *x: /.test(line)).map((line) => line.trim());
  assert.equal(attributes, ['x: 20 security.capability', 'x: 8 user.a', 'x: 0 user.a']);
  const entries = lines.filter((line) => !/^ *x: /.test(line));
  assert.is(entries.length, headers.length);
  for (const [i, { path: name, type, uid, gid, size, target, device }] of headers.entries()) {
    const link = type === 'symlink' ? ` -> ${target}` : type === 'hardlink' ? ` link to ${target}` : '';
    const end = `${name}${type === 'directory' ? '/' : ''}${link}`;
    assert.ok(entries[i]?.endsWith(` ${end}`), `${entries[i]} and ${end}`);
    assert.match(entries[i] ?? '', new RegExp(`^\\S+ +${uid}/${gid} +${device?.join(',') ?? size} `), entries[i] ?? '');
  }
});

test('GNU tar sees a file of 8 GiB in its header', async () => {
  const { stdout } = await run(['tar', '-tv', '--numeric-owner'], {
    ...limit(),
    input: encodeHeader(file({ size: 8 ** 11 })),
    okCodes: [2],
  });
  assert.match(stdout, / 0\/0 +8589934592 .* etc\/motd/);
});

test('we read what GNU tar writes, whatever the names', () =>
  withFolder(async (folder) => {
    const fileName = fc
      .string({ unit: 'grapheme', minLength: 1, maxLength: 255 })
      .map((text) => text.replaceAll(/[\0/]/g, '_').replace(/^\.{1,2}$/, '_'))
      .filter((text) => Buffer.byteLength(text) <= 255);
    let count = 0;
    const check = fc.asyncProperty(fc.uniqueArray(fileName, { minLength: 1, maxLength: 8 }), async (names) => {
      const tree = path.join(folder, String(count++));
      const deep = path.join(tree, 'd'.repeat(200), 'e'.repeat(60));
      await mkdir(deep, { recursive: true });
      const places = names.map((name, i) => path.join(i % 2 ? deep : tree, name));
      for (const [i, place] of places.entries()) await writeFile(place, 'x'.repeat(i * 300));
      const tar = path.join(folder, 'x.tar');
      await run(['tar', '--format=posix', '--sort=name', '-C', tree, '-cf', tar, '.'], limit());
      const found = await headersOf(await readFile(tar));
      assert.equal(
        found
          .filter(({ type }) => type === 'file')
          .map(({ path: name, size }) => `${size} ${name}`)
          .sort(),
        places.map((place, i) => `${i * 300} ${path.relative(tree, place)}`).sort(),
      );
    });
    await fc.assert(check, { numRuns: 10, endOnFailure: true });
  }));

test('a hard link of GNU tar names its first file', () =>
  withFolder(async (folder) => {
    const script = 'echo x >a; ln a b; tar --format=posix -cf - a b';
    await run(['sh', '-euc', `${script} >x.tar`], { ...limit(), cwd: folder });
    const [a, b] = await headersOf(await readFile(path.join(folder, 'x.tar')));
    assert.equal([a?.type, a?.size, b?.type, b?.target, b?.size], ['file', 2, 'hardlink', 'a', 0]);
  }));

test('every flipped byte of a header is noticed', async () => {
  const bytes = encodeHeader(file({ uid: 3_000_000 }));
  // The block of the pax header and the ustar block carry checksums; what is between them is checked by the layer's digest.
  for (const start of [0, bytes.length - BLOCK]) {
    for (let at = start; at < start + BLOCK; at++) {
      // NUL and blank after the digits of the checksum itself
      if (at - start === 154 || at - start === 155) continue;
      const damaged = Buffer.from(bytes);
      damaged.writeUInt8(damaged.readUInt8(at) ^ 1, at);
      const error: unknown = await headersOf(damaged).catch((caught: unknown) => caught);
      assert.match(String(error), /checksum|malformed/, `byte ${at}`);
    }
  }
  const [header] = await headersOf(Buffer.concat([bytes, endOfArchive()]));
  assert.is(header?.uid, 3_000_000);
});

const MALFORMED = ['x', '5 a=', '99 a=b\n', '6 a=bc', '0 a=b\n', '-6 a=b\n', '6 a:b\n', '5.5 a=b\n', ' a=b\n'];
for (const text of MALFORMED) {
  test(`a pax header is refused: ${JSON.stringify(text)}`, () => {
    assert.throws(() => parsePax(Buffer.from(text)), /malformed pax header/);
  });
}
test('a pax header of two records', () => {
  const records = parsePax(Buffer.from('6 a=b\n11 c=d=e\nf\n\0\0'));
  assert.equal(
    [...records].map(([key, value]) => [key, value.toString()]),
    [
      ['a', 'b'],
      ['c', 'd=e\nf'],
    ],
  );
});

test("GNU tar's own format is refused: long names would be cut", () =>
  withFolder(async (folder) => {
    const script = `touch ${'n'.repeat(120)}; tar --format=gnu -cf x.tar n*`;
    await run(['sh', '-euc', script], { ...limit(), cwd: folder });
    const tar = await readFile(path.join(folder, 'x.tar'));
    const error: unknown = await headersOf(tar).catch((caught: unknown) => caught);
    assert.match(String(error), 'not a POSIX tar archive');
  }));

test('a name that is not UTF-8 is refused: it would come out as another', () =>
  withFolder(async (folder) => {
    await run(['sh', '-euc', `touch "$(printf 'x\\377')"; tar --format=posix -cf x.tar x*`], {
      ...limit(),
      cwd: folder,
    });
    const tar = await readFile(path.join(folder, 'x.tar'));
    const error: unknown = await headersOf(tar).catch((caught: unknown) => caught);
    assert.match(String(error), 'is not UTF-8');
  }));

test('devices and pipes have no entry of their own', () => {
  assert.throws(() => encodeHeader(file({ type: 'other' })), /no tar entry for etc\/motd/);
});

test.run();
