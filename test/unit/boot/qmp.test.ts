// QEMU's control protocol over two streams, against a stand-in that speaks it.
import { PassThrough } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { busySeconds, processorThreads } from '../../../src/boot/processors.ts';
import { openQmp } from '../../../src/boot/qmp.ts';
import { PiimgError } from '../../../src/lib/errors.ts';

interface Request {
  id: number;
  execute: string;
  arguments?: unknown;
}

/** A stand-in for QEMU that answers commands as told, with events in between; undefined: never. */
function fakeQemu(answer: (request: Request) => object | undefined) {
  const [input, output] = [new PassThrough(), new PassThrough()];
  const seen: Request[] = [];
  const say = (message: object): boolean => output.write(`${JSON.stringify(message)}\r\n`);
  say({ QMP: { version: {}, capabilities: [] } });
  input.on('data', (chunk: Buffer) => {
    for (const line of chunk.toString().trim().split('\n')) {
      const request = JSON.parse(line) as Request;
      seen.push(request);
      say({ event: 'RTC_CHANGE', data: {} });
      const reply = answer(request);
      if (reply !== undefined) say({ ...reply, id: request.id });
    }
  });
  return { qmp: openQmp(input, output), seen, end: () => output.end() };
}

test('capabilities come first, then each command gets its own answer', async () => {
  const { qmp, seen } = fakeQemu(({ execute }) => ({ return: execute }));
  assert.equal(await Promise.all([qmp('query-status'), qmp('stop', { now: true })]), ['query-status', 'stop']);
  assert.equal(
    seen.map(({ execute }) => execute),
    ['qmp_capabilities', 'query-status', 'stop'],
  );
  assert.equal(seen[2]?.arguments, { now: true });
});

/** The error a promise must end with. */
const failure = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  );

test('a refusal is told, and so is an end before or after the question', async () => {
  const refused = fakeQemu(({ execute }) =>
    execute === 'qmp_capabilities' ? { return: {} } : { error: { class: 'CommandNotFound', desc: 'no such command' } },
  );
  const error = await failure(refused.qmp('dance'));
  assert.instance(error, PiimgError);
  assert.is((error as PiimgError).message, 'QEMU refused dance: no such command');

  const ended = fakeQemu(() => undefined);
  const waiting = failure(ended.qmp('query-status'));
  await turn();
  ended.end();
  assert.match(((await waiting) as PiimgError).message, 'QEMU has ended');
  assert.match(((await failure(ended.qmp('stop'))) as PiimgError).message, 'QEMU has ended');
});

test('processors that share a thread count once', async () => {
  const cpus = [7, 7, 9].map((thread) => ({ 'thread-id': thread }));
  const { qmp } = fakeQemu(({ execute }) => ({ return: execute === 'query-cpus-fast' ? cpus : {} }));
  assert.equal(await processorThreads(qmp), [7, 9]);
});

test('how busy threads are is known of those that exist, and grows with work', async () => {
  const before = await busySeconds(process.pid, [process.pid]);
  const until = performance.now() + 50;
  while (performance.now() < until);
  const after = await busySeconds(process.pid, [process.pid]);
  assert.ok(before !== undefined && after !== undefined && after - before >= 0.04, `${before} to ${after}`);
  assert.is(await busySeconds(process.pid, [process.pid, 2 ** 22 + 1]), undefined);
  assert.is(await busySeconds(process.pid, []), undefined);
});

test.run();
