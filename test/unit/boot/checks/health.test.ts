// The health list as a whole: names, ports, order, what is not run.
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { judgeHealth, portsOf } from '../../../../src/boot/checks/health.ts';
import type { CheckResult } from '../../../../src/boot/report.ts';
import { healthCheck } from '../../../../src/role/schema/health.ts';
import { localSession } from '../../../helpers/local-session.ts';

const list = (...checks: Record<string, unknown>[]) => checks.map((check) => healthCheck.parse(check));

test('ports that must be forwarded, each once', () => {
  const health = list(
    { check: 'tcp', port: 22 },
    { check: 'http' },
    { check: 'http', port: 22 },
    { check: 'closed', port: 5432 },
  );
  assert.equal(portsOf(health), [22, 80]);
});

test('every check gives a line, in the order of the list, as soon as it is settled', async () => {
  const server = createServer((socket) => socket.end('hello')).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const told: CheckResult[] = [];
  const target = { ports: { 7: (server.address() as AddressInfo).port }, session: localSession() };
  const health = list(
    { check: 'command', command: 'sleep 0.3; false', within: '0s' },
    { check: 'tcp', port: 7, name: 'it greets' },
    { check: 'closed', port: 5432 },
    { check: 'file', path: '/dev/null' },
  );
  const timing = { elapsed: () => 12, onResult: (result: CheckResult) => void told.push(result) };
  const results = await judgeHealth(target, health, timing, Promise.resolve());
  server.close();
  assert.equal(results, [
    {
      name: 'sleep 0.3; false',
      kind: 'command',
      expected: 'exit 0',
      status: 'failed',
      seen: 'exit 1',
      attempts: 1,
      at: 12,
    },
    {
      name: 'it greets',
      kind: 'tcp',
      expected: 'an answer',
      status: 'passed',
      seen: 'it said “hello”',
      attempts: 1,
      at: 12,
    },
    {
      name: 'tcp port 5432 is closed to others',
      kind: 'closed',
      expected: 'closed',
      status: 'not run',
      seen: 'the machine has no second network card',
      attempts: 0,
      at: 12,
    },
    { name: 'file /dev/null', kind: 'file', expected: 'there', status: 'passed', seen: '0 bytes', attempts: 1, at: 12 },
  ]);
  assert.is(told.length, 4);
  assert.is(told.at(-1)?.kind, 'command');
});

test('checks that the end of the machine has cut off were not run', async () => {
  const gone = new AbortController();
  const target = { ports: {}, session: localSession() };
  const judged = judgeHealth(
    target,
    list({ check: 'command', command: 'false' }),
    { elapsed: () => 1, signal: gone.signal },
    Promise.resolve(),
  );
  setTimeout(() => gone.abort(), 50);
  assert.equal(
    (await judged).map(({ status, seen }) => [status, seen]),
    [['not run', 'the machine was gone']],
  );
});

test('a machine that starts slowly is not ill', async () => {
  const started = new Promise((done) => setTimeout(done, 1500));
  const from = performance.now();
  const command = `[ $(date +%s%3N) -ge ${Date.now() + 1200} ]`;
  const health = list({ check: 'command', command, within: '1s' });
  const [result] = await judgeHealth(
    { ports: {}, session: localSession() },
    health,
    { elapsed: () => performance.now() - from },
    started,
  );
  assert.is(result?.status, 'passed');
  assert.ok((result?.attempts ?? 0) > 1);
});

test.run();
