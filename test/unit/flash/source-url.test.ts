// Images on a web server: transfers that are cut go on where they were cut, and never with other bytes than they began with.
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readBeginning } from '../../../src/flash/source/beginning.ts';
import { readSource } from '../../../src/flash/source/read.ts';
import { urlBytes } from '../../../src/flash/source/url.ts';
import { EXIT, PiimgError } from '../../../src/lib/errors.ts';
import {
  at,
  deadline,
  failure,
  image,
  open,
  output,
  programsLeft,
  put,
  readAll,
  withServer,
} from './source-helpers.ts';

put('image.img', image);
const xz = await output(['xz', '-0c', 'image.img']);

interface Sending {
  /** Bytes after which the connection is cut. */
  cut?: number;
  ranges?: boolean;
  headers?: Record<string, string>;
}

/** Sends `content`, or the part that is asked for. */
function send(
  request: IncomingMessage,
  response: ServerResponse,
  content: Buffer,
  { cut = Infinity, ranges = true, headers = {} }: Sending = {},
): void {
  const [, digits] = /^bytes=(\d+)-$/.exec(request.headers.range ?? '') ?? [];
  const start = ranges ? Number(digits ?? 0) : 0;
  const range = { 'Content-Range': `bytes ${start}-${content.length - 1}/${content.length}` };
  const length = { 'Content-Length': String(content.length - start) };
  response.writeHead(ranges && digits ? 206 : 200, { ...length, ...headers, ...(ranges && digits && range) });
  const part = content.subarray(start, Math.min(content.length, start + cut));
  if (start + cut < content.length) response.write(part, () => setTimeout(() => response.destroy(), 50));
  else response.end(part);
}

const ETAG = { ETag: '"one"' };

async function collect(bytes: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of bytes) pieces.push(piece);
  return Buffer.concat(pieces);
}

test('raw, packed and zipped: the length is known beforehand, what is in it where a header tells', async () => {
  const kinds = [
    ['none', image, image.length],
    ['xz', xz, undefined],
    ['gz', await output(['gzip', '-1c', 'image.img']), undefined],
    ['zst', await output(['zstd', '-1qc', 'image.img']), undefined],
    ['zip', await output(['sh', '-c', 'zip -q1 image.zip image.img; cat image.zip']), image.length],
    ['zip', await output(['zip', '-q1', '-', 'image.img']), undefined],
  ] as const;
  for (const [packing, content, size] of kinds) {
    await withServer(
      (request, response) => send(request, response, content),
      async (url) => {
        const source = await open(url);
        assert.equal([source.kind, source.packing, source.size], ['url', packing, size]);
        assert.equal([source.packedSize, source.rereadable], [content.length, true]);
        const { bytes } = await readBeginning(source, 100_000, deadline());
        assert.ok(image.subarray(0, 100_000).equals(bytes));
        assert.ok(image.equals(await readAll(source)));
        assert.ok(image.subarray(5_000_000).equals(await readAll(source, 5_000_000)));
      },
    );
  }
  assert.equal(programsLeft(), []);
});

test('a transfer that is cut again and again goes on from the byte it has reached', () =>
  withServer(
    (request, response) => send(request, response, image, { cut: 4_000_000, headers: ETAG }),
    async (url, requests) => {
      const bytes = await collect(urlBytes(url, {}, { signal: deadline(), pauses: [10] }));
      assert.ok(image.equals(bytes));
      assert.is(requests.length, 3);
      const starts = requests.slice(1).map(({ headers }) => Number(/^bytes=(\d+)-$/.exec(headers.range ?? '')?.[1]));
      assert.ok(starts.every((start) => start > 0 && start <= 8_000_000));
    },
  ));

test('so does one of a packed file, as users do it', () =>
  withServer(
    (request, response, count) => send(request, response, xz, { cut: count === 1 ? Infinity : 3_000_000 }),
    async (url) => assert.ok(image.equals(await readAll(await open(url)))),
  ));

test('a server that is overloaded for a moment is asked again', () =>
  withServer(
    (request, response, count) => {
      if (count === 2) response.writeHead(503).end('later');
      else send(request, response, image, { cut: count === 1 ? 1_000_000 : Infinity });
    },
    async (url) => {
      assert.ok(image.equals(await collect(urlBytes(url, {}, { signal: deadline(), pauses: [10, 10] }))));
    },
  ));

test('when nothing comes any more, it is given up, with why', () =>
  withServer(
    (request, response, count) => {
      if (count === 1) send(request, response, image, { cut: 1_000_000 });
      else response.destroy();
    },
    async (url, requests) => {
      const reading = urlBytes(url, { length: image.length }, { signal: deadline(), pauses: [10, 10, 10] });
      const error = await failure(collect(reading));
      assert.match(error.message, /^http.* was cut off at byte \d+, and going on failed several times: curl: \(52\)/);
      assert.is(requests.length, 4);
    },
  ));

test('a server that cannot send parts is told of; it may still have all of it', () =>
  withServer(
    (request, response) => send(request, response, image, { cut: 1_000_000, ranges: false, headers: ETAG }),
    async (url) => {
      const error = await failure(collect(urlBytes(url, { etag: '"one"' }, { signal: deadline(), pauses: [10] })));
      assert.match(error.message, /was cut off at byte \d+, and its server cannot go on from there$/);
      assert.match(error.hint ?? '', 'other means');
    },
  ));

const changes: Record<string, [Sending, Buffer]> = {
  'another tag': [{ headers: { ...ETAG, ETag: '"two"' } }, image],
  'another time': [{ headers: { ...ETAG, 'Last-Modified': 'Thu, 02 Jan 2025 00:00:00 GMT' } }, image],
  'another length': [{ headers: ETAG }, image.subarray(0, image.length - 1)],
  'another tag, without ranges': [{ ranges: false, headers: { ETag: '"two"' } }, image],
};
for (const [how, [sending, content]] of Object.entries(changes)) {
  test(`a file that has changed meanwhile is not gone on with: ${how}`, () =>
    withServer(
      (request, response, count) => {
        const first = { headers: { ...ETAG, 'Last-Modified': 'Wed, 01 Jan 2025 00:00:00 GMT' } };
        if (count === 1) send(request, response, image, first);
        else if (count === 2) send(request, response, image, { ...first, cut: 1_000_000 });
        else send(request, response, content, sending);
      },
      async (url) => {
        const error = await failure(open(url).then((source) => readAll(source)));
        assert.match(error.message, /has changed while it was read$/);
      },
    ));
}

test('a file that has become shorter than what is there already has changed', () =>
  withServer(
    (request, response, count) => {
      if (count === 1) send(request, response, image, { cut: 1_000_000 });
      else response.writeHead(416, { 'Content-Range': 'bytes */10' }).end();
    },
    async (url) => {
      const error = await failure(collect(urlBytes(url, {}, { signal: deadline(), pauses: [10] })));
      assert.match(error.message, /has changed while it was read$/);
    },
  ));

test('what a server refuses is told when it is opened, with its status; what redirects say is followed', () =>
  withServer(
    (request, response) => {
      const { pathname } = new URL(request.url ?? '/', 'http://x');
      if (pathname === '/image') {
        response.writeEarlyHints({ link: '</x>; rel=preload' });
        response.writeHead(302, { Location: '/there' }).end('This page has moved.');
      } else if (pathname === '/there') send(request, response, image);
      else if (pathname === '/file') response.writeHead(302, { Location: `file://${at('image.img')}` }).end();
      else if (pathname === '/empty') response.end();
      else response.writeHead(404).end('<html>There is nothing.</html>');
    },
    async (url) => {
      assert.ok(image.equals(await readAll(await open(url))));
      const absent = await failure(open(`${url}/absent`));
      assert.is(absent.message, `${url}/absent: the server answers 404 Not Found`);
      const file = await failure(open(url.replace('/image', '/file')));
      assert.match(file.message, /cannot be read: curl: \(1\) Protocol "?file"? not supported/);
      const empty = await failure(open(url.replace('/image', '/empty')));
      assert.match(empty.message, /is empty$/);
      assert.is(empty.exitCode, EXIT.usage);
    },
  ));

test('a server that sends each visitor to another mirror: all is read from the first, and from the server where that is gone', async () => {
  let [visitors, gone] = [0, false];
  await withServer(
    (request, response) => {
      const [, mirror] = /^\/mirror(\d)$/.exec(request.url ?? '') ?? [];
      if (mirror === undefined) response.writeHead(302, { Location: `/mirror${(visitors += 1)}` }).end();
      else if (gone && mirror === '1') response.writeHead(403).end();
      // Of the same bytes, each says another thing.
      else send(request, response, image, { headers: gone ? {} : { ETag: `"${mirror}"` } });
    },
    async (url) => {
      const source = await open(url);
      assert.match(source.from ?? '', /mirror1$/);
      assert.ok(image.equals(await readAll(source)));
      assert.is(visitors, 1);
      gone = true;
      assert.ok(image.equals(await readAll(source)));
      assert.is(visitors, 2);
    },
  );
});

test('a mirror that goes down: the server that named it is asked again', async () => {
  let visitors = 0;
  await withServer(
    (request, response) => send(request, response, image, { headers: ETAG }),
    async (other) =>
      withServer(
        (request, response) => {
          if (request.url === '/down') response.writeHead(302, { Location: 'http://127.0.0.1:1/image' }).end();
          else if ((visitors += 1) > 0) response.writeHead(302, { Location: other }).end();
        },
        async (url) => {
          const from = 'http://127.0.0.1:1/image';
          const bytes = await collect(urlBytes(url, { etag: '"one"' }, { from, signal: deadline(), pauses: [10] }));
          assert.ok(image.equals(bytes));
          assert.is(visitors, 1);
        },
      ),
  );
});

test('nobody there, or no web server, is told in the words of curl', async () => {
  const url = await withServer(
    () => {},
    async (address) => address,
  );
  const error = await failure(open(url));
  assert.match(error.message, /^http.* cannot be read: curl: \(7\)/);
  assert.match(error.hint ?? '', 'https_proxy');
});

test('whoever stops early, or aborts a transfer that stands still, leaves no process', () =>
  withServer(
    (request, response, count) => {
      if (count === 1) send(request, response, xz);
      // It never ends.
      else response.writeHead(200, { 'Content-Length': xz.length }).write(xz.subarray(0, 3_000_000));
    },
    async (url) => {
      const source = await open(url);
      for await (const piece of readSource(source, { signal: deadline() })) {
        assert.ok(piece.length > 0);
        assert.equal(programsLeft().sort(), ['curl', 'xz']);
        break;
      }
      assert.equal(programsLeft(), []);
      const stop = new AbortController();
      setTimeout(() => stop.abort(new PiimgError('stopped')), 500);
      const error = await failure(collect(readSource(source, { signal: stop.signal })));
      assert.is(error.message, 'stopped');
      assert.equal(programsLeft(), []);
    },
  ));

test('a worker that is ended takes along the programs that wait for a server', () =>
  withServer(
    (request, response, count) => {
      if (count === 1) send(request, response, xz);
      else response.writeHead(200, { 'Content-Length': xz.length }).write(xz.subarray(0, 3_000_000));
    },
    async (url) => {
      const workerData = { source: await open(url), from: 0 };
      const [api, reader] = [import.meta.resolve('tsx/esm/api'), new URL('source-in-worker.ts', import.meta.url).href];
      const script = `import('${api}').then(({ register }) => (register(), import('${reader}')))`;
      const worker = new Worker(script, { eval: true, workerData });
      await once(worker, 'message');
      assert.equal(programsLeft().sort(), ['curl', 'xz']);
      await worker.terminate();
      await wait(200);
      assert.equal(programsLeft(), []);
    },
  ));

test.run();
