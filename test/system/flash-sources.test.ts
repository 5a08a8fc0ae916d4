// `piimg flash` takes an image from anywhere: files, URLs and stdin, packed in every way, each written to a file.
import { existsSync, readFileSync } from 'node:fs';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { run } from '../../src/host/exec.ts';
import { sha256 } from '../../src/lib/digest.ts';
import { agreed, MIB, piimg, plainImage, startPiimg } from '../helpers/flashing.ts';
import { withCards } from '../helpers/rig/card.ts';
import { temporaryFolder } from '../helpers/temporary.ts';

const folder = temporaryFolder();
const image = await plainImage(folder, 12 * MIB);
const wanted = readFileSync(image);
const PACK = `
gzip -1c plain.img >plain.img.gz
xz -0c plain.img >plain.img.xz
zstd -1qc plain.img >plain.img.zst
zip -q1 plain.zip plain.img`;
await run(['sh', '-euc', PACK], { cwd: folder });
const FILES = ['plain.img', 'plain.img.gz', 'plain.img.xz', 'plain.img.zst', 'plain.zip'];

/** Serves the folder; each transfer but those that go on is cut after `cut` bytes. Only who gives the password is answered. */
async function serve(cut = Infinity): Promise<{ server: Server; at: (file: string) => string; sent: () => number }> {
  let gone = 0;
  const server = createServer((request, response) => {
    if (request.headers.authorization !== `Basic ${Buffer.from('ann:pa"ss').toString('base64')}`) {
      response.writeHead(401).end();
      return;
    }
    const content = readFileSync(path.join(folder, path.basename(request.url ?? '')));
    const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
    const range = { 'Content-Range': `bytes ${start}-${content.length - 1}/${content.length}` };
    response.writeHead(start > 0 ? 206 : 200, {
      'Content-Length': content.length - start,
      ETag: '"one"',
      ...(start > 0 && range),
    });
    if (start === 0 && cut < content.length)
      response.write(content.subarray(0, cut), () => setTimeout(() => response.destroy(), 50));
    else
      pipeline(
        pieces(content.subarray(start), (length) => (gone += length)),
        response,
      ).catch(() => {});
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return { server, sent: () => gone, at: (file) => `http://ann:pa%22ss@127.0.0.1:${port}/${file}` };
}

/** What nobody takes is not sent, but for what the system keeps for them: some MiB. */
async function* pieces(content: Buffer, sent: (length: number) => void): AsyncGenerator<Buffer> {
  for (let at = 0; at < content.length; at += 1 << 16) {
    const piece = content.subarray(at, at + (1 << 16));
    sent(piece.length);
    yield piece;
  }
}

process.env['no_proxy'] = '127.0.0.1';

for (const [index, name] of FILES.entries()) {
  test(`${name}, as a file and from a server that breaks off`, async () => {
    const { server, at } = await serve(3 * MIB);
    try {
      const sources = [path.join(folder, name), at(name)];
      for (const [place, source] of sources.entries()) {
        const out = path.join(folder, `out-${index}-${place}.img`);
        const said = await piimg(folder, 'flash', source, '--to', out, '--progress', 'json');
        assert.is(said.code, 0, said.stderr);
        // How long it will take is told of each, though some have no size before their end.
        assert.match(said.stderr, /"message":"writing","done":\d+,"total":\d+/);
        assert.ok(readFileSync(out).equals(wanted), source);
        // Logs are read by others.
        assert.not.match(said.stdout + said.stderr, /pa(%22|")ss/);
      }
    } finally {
      server.close();
    }
  });
}

test('the digest beside a download: the right one, and another, which leaves nothing', async () => {
  const { server, at } = await serve();
  try {
    const right = sha256(readFileSync(path.join(folder, 'plain.img.xz')));
    const out = path.join(folder, 'right.img');
    const said = await piimg(folder, 'flash', at('plain.img.xz'), '--sha256', right.toUpperCase(), '--to', out);
    assert.is(said.code, 0, said.stderr);
    assert.ok(readFileSync(out).equals(wanted));
    const wrong = path.join(folder, 'wrong.img');
    const refused = await piimg(folder, 'flash', at('plain.img'), '--sha256', right, '--to', wrong);
    assert.is(refused.code, 1);
    assert.match(refused.stdout + refused.stderr, /plain\.img has sha256 [0-9a-f]{64}, not /);
    assert.not.ok(existsSync(wrong));
    assert.is((await piimg(folder, 'flash', image, '--sha256', '12', '--to', wrong)).code, 2);
  } finally {
    server.close();
  }
});

test('two cards, one of them half as fast: the image is downloaded once', async () => {
  const { server, at, sent } = await serve();
  const large = await readFile(await plainImage(temporaryFolder(), 48 * MIB));
  await writeFile(path.join(folder, 'large.img'), large);
  await run(['xz', '-0k', 'large.img'], { cwd: folder });
  const cards = [{ bytesPerSecond: 90e6 }, { bytesPerSecond: 45e6 }].map((speed) => ({ size: 56 * MIB, ...speed }));
  try {
    await withCards(cards, async (two) => {
      for (const name of ['large.img', 'large.img.xz']) {
        const { size } = await stat(path.join(folder, name));
        const before = sent();
        const disks = two.map((card) => card.path);
        const said = await piimg(folder, 'flash', at(name), ...disks, ...agreed(two), '--no-login', '--json');
        assert.is(said.code, 0, said.stderr);
        for (const card of two) assert.ok((await card.read(0, large.length)).equals(large));
        // Besides it its first bytes, more than once, which are looked at before anything is asked.
        const all = sent() - before;
        assert.ok(all >= size && all < 1.8 * size, `${all} bytes of ${size}`);
      }
    });
  } finally {
    server.close();
  }
});

test('what comes through a pipe, packed or not', async () => {
  for (const name of ['plain.img', 'plain.img.xz', 'plain.zip']) {
    const out = path.join(folder, `pipe-${name}.img`);
    await startPiimg(folder, ['flash', '-', '--to', out], 120, readFileSync(path.join(folder, name)));
    assert.ok(readFileSync(out).equals(wanted), name);
  }
});

test('a server that says no: its answer, without the password, and nothing is left', async () => {
  const { server, at } = await serve();
  try {
    const out = path.join(folder, 'no.img');
    const said = await piimg(folder, 'flash', at('plain.img').replace('ann', 'bob'), '--to', out);
    assert.is(said.code, 1);
    assert.match(said.stderr, /^error: http:\/\/127\.0\.0\.1:\d+\/plain\.img: the server answers 401 /m);
    assert.not.match(said.stderr, /pa(%22|")ss/);
    assert.equal((await run(['ls', folder])).stdout.match(/^no\..*/m), null);
  } finally {
    server.close();
  }
});

test.run();
