// The checks that ask over the network, against servers that do well, do ill, and say nothing.
import { once } from 'node:events';
import { createServer as createHttpServer, type RequestListener } from 'node:http';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Look } from '../../../../src/boot/retry.ts';
import { httpCheck } from '../../../../src/boot/checks/http.ts';
import type { Kind, Target } from '../../../../src/boot/checks/kind.ts';
import { tcpCheck } from '../../../../src/boot/checks/tcp.ts';
import { type HealthCheck, healthCheck } from '../../../../src/role/schema/health.ts';
import { localSession } from '../../../helpers/local-session.ts';

/** What a check of that server sees; the server has the machine's port 1. Attempts end after half a second. */
async function lookAt(server: Server, check: Record<string, unknown>): Promise<Look> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const target: Target = { ports: { 1: port }, session: localSession() };
  const kind = (check.check === 'http' ? httpCheck : tcpCheck) as Kind<HealthCheck>;
  const attempt = { seconds: 0.5, signal: AbortSignal.timeout(500) };
  const parsed = healthCheck.parse({ port: 1, ...check });
  const found = await kind.look(target, parsed, attempt).catch((error: Error) => ({ ok: false, seen: error.message }));
  server.close();
  return found;
}

const sockets = new Set<Socket>();
/** A TCP server: what it says at once, and to the first bytes it gets. */
const tcp = (first: string | undefined, answer?: string): Server =>
  createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    if (first !== undefined) socket.write(first);
    socket.on('data', () => answer !== undefined && socket.write(answer));
  });
const http = (listener: RequestListener): Server => createHttpServer(listener);
const says = (body: string, status = 200): Server =>
  http((_request, response) => void response.writeHead(status).end(body));

const CASES: [title: string, server: Server, check: Record<string, unknown>, ok: boolean, seen: RegExp][] = [
  ['any byte is an answer', tcp('x'), { check: 'tcp' }, true, /^it said “x”$/],
  ['the text expected', tcp('SSH-2.0-a\r\n'), { check: 'tcp', expect: 'SSH-2.0' }, true, /“SSH-2\.0-a”/],
  [
    'a server that waits for the client',
    tcp(undefined, '+PONG'),
    { check: 'tcp', send: 'PING\r\n', expect: 'PONG' },
    true,
    /PONG/,
  ],
  ['letters of more than one byte', tcp('grüß dich'), { check: 'tcp', expect: 'grüß' }, true, /grüß dich/],
  ['another text', tcp('HTTP/1.1 400'), { check: 'tcp', expect: 'SSH' }, false, /it said “HTTP\/1\.1 400”/],
  [
    'a server that accepts and says nothing',
    tcp(undefined),
    { check: 'tcp' },
    false,
    /accepted the connection and said nothing/,
  ],
  [
    'a server that hangs up',
    createServer((socket) => socket.destroy()),
    { check: 'tcp' },
    false,
    /without a word|ECONNRESET/,
  ],
  ['a page with its status', says('ok\n'), { check: 'http', body: 'ok' }, true, /^HTTP 200$/],
  ['another status', says('broken', 503), { check: 'http' }, false, /^HTTP 503, “broken”$/],
  ['the status asked for', says('', 404), { check: 'http', status: 404 }, true, /^HTTP 404$/],
  [
    'a redirection is not followed',
    http((_, response) => void response.writeHead(301, { location: '/' }).end()),
    { check: 'http' },
    false,
    /^HTTP 301/,
  ],
  ['another body', says('no'), { check: 'http', body: 'ok' }, false, /^HTTP 200, “no”$/],
  [
    'path and host arrive',
    http(({ url, headers }, response) => void response.end(`${url} ${headers.host}`)),
    { check: 'http', path: '/a?b=c', body: '/a?b=c 127.0.0.1:1' },
    true,
    /200/,
  ],
  [
    'JSON values by path',
    says('{"disk":{"free":10},"a.b":null,"list":[{"x":true}]}'),
    { check: 'http', json: { 'disk.free': 10, 'a.b': null, 'list.0.x': true } },
    true,
    /^HTTP 200$/,
  ],
  [
    'another JSON value',
    says('{"disk":{"free":"10"}}'),
    { check: 'http', json: { 'disk.free': 10 } },
    false,
    /disk\.free is “"10"”/,
  ],
  [
    'a missing JSON value',
    says('{"disk":{}}'),
    { check: 'http', json: { 'disk.free': 10 } },
    false,
    /disk\.free is missing/,
  ],
  ['a body that is no JSON', says('ok'), { check: 'http', json: { status: 'ok' } }, false, /no JSON: “ok”/],
  ['a server that never answers', http(() => {}), { check: 'http' }, false, /abort/i],
  ['a server of another protocol', tcp('SSH-2.0-a\r\n'), { check: 'http' }, false, /Parse Error/],
];

for (const [title, server, check, ok, seen] of CASES) {
  test(`${String(check.check)}: ${title}`, async () => {
    const found = await lookAt(server, check);
    assert.match(found.seen, seen);
    assert.is(found.ok, ok);
  });
}

test('nothing listens, or the port was not forwarded', async () => {
  const closed = createServer().listen(0, '127.0.0.1');
  await once(closed, 'listening');
  const { port } = closed.address() as AddressInfo;
  closed.close();
  const target: Target = { ports: { 1: port }, session: localSession() };
  for (const [port, seen] of [
    [1, /ECONNREFUSED/],
    [2, /port 2 of the machine was not forwarded/],
  ] as const) {
    for (const kind of [httpCheck, tcpCheck] as Kind<HealthCheck>[]) {
      const check = healthCheck.parse({ check: kind === (httpCheck as unknown) ? 'http' : 'tcp', port });
      const error = await kind
        .look(target, check, { seconds: 1, signal: AbortSignal.timeout(1000) })
        .catch((e: Error) => e);
      assert.match((error as Error).message, seen);
    }
  }
});

test('the servers are gone', () => {
  for (const socket of sockets) socket.destroy();
});

test.run();
