// The result on the boot partition: it has a place of one size.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { post } from '../../../firstboot/post.ts';
import { shortened } from '../../../firstboot/result.ts';

test('a result that does not fit on the boot partition is shortened, and is there', () => {
  const step = (index: number) => ({ name: `step-${index}`, kind: 'command', state: 'applied' as const, seconds: 1 });
  const steps = Array.from({ length: 500 }, (_, index) => step(index));
  const failed = { name: 'bad', kind: 'command', state: 'failed' as const };
  const result = {
    version: 1 as const,
    status: 'failed' as const,
    node: 'pi',
    role: 'web',
    buildId: '',
    started: '',
    seconds: 1,
    steps: [...steps, failed],
    failure: { step: 'bad', message: 'no', output: '\u001b[31m'.repeat(5000) },
    notes: [],
  };
  const text = shortened(result);
  assert.ok(Buffer.byteLength(text) <= 16 * 1024);
  assert.equal((JSON.parse(text) as typeof result).steps, [failed]);
  const few = { ...result, steps: [failed], failure: { step: 'bad', message: 'no', output: 'é'.repeat(20_000) } };
  assert.is((JSON.parse(shortened(few)) as typeof result).failure.output, 'é'.repeat(1500));
});

test('the result is sent until somebody takes it; who did not, and why, is said', async () => {
  const result = { version: 1 as const, status: 'applied' as const, node: 'pi', role: 'web', buildId: '' };
  const whole = { ...result, started: '', seconds: 1, steps: [], notes: [] };
  const bodies: string[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (bytes: Buffer) => (body += bytes.toString()));
    request.on('end', () => {
      bodies.push(body);
      response.statusCode = bodies.length < 3 ? 503 : 204;
      response.end();
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/results?token=hidden`;
  try {
    assert.is(await post(whole, url, [0, 0, 0]), undefined);
    assert.equal(
      bodies.map((body) => JSON.parse(body) as object),
      [whole, whole, whole],
    );
    bodies.length = 0;
    assert.match(
      (await post(whole, url, [0])) ?? '',
      /^http:\/\/127\.0\.0\.1:\d+ did not take the result: it answered 503$/,
    );
  } finally {
    server.close();
  }
  assert.match((await post(whole, url, [])) ?? '', /did not take the result: fetch failed/);
});

test.run();
