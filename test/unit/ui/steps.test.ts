// Steps become events with parents; logs and JSON show them.
import { setTimeout as wait } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Progress } from '../../../src/lib/progress.ts';
import { logSteps } from '../../../src/ui/log.ts';
import { jsonSteps } from '../../../src/ui/progress.ts';
import { type StepEvent, throttle, trackSteps } from '../../../src/ui/steps.ts';

/** Two steps side by side in one, one of them reused, then one that fails. */
async function work(progress: Progress): Promise<void> {
  await progress.step('outer', async () => {
    await Promise.all([
      progress.step('left', async (step) => {
        await wait(1);
        step.update({ done: 1, total: 2, unit: 'packages', message: 'libc6' });
        step.note('emulated');
      }),
      progress.step('right', (step) => Promise.resolve(step.cached('same inputs'))),
    ]);
  });
  await progress.step('broken', () => Promise.reject(new Error('no')));
}

const withoutTimes = (text: string) =>
  text.replaceAll(/\d+\.\d s/g, 'T').replaceAll(/"seconds":[\d.e-]+/g, '"seconds":0');

test('parents are known without being handed on, stages are the outermost steps that ended well', async () => {
  const events: StepEvent[] = [];
  const { progress, stages } = trackSteps((event) => void events.push(event));
  const error = await work(progress).catch(String);
  assert.is(error, 'Error: no');
  const starts = events.flatMap((event) => (event.type === 'start' ? [`${event.parent ?? '-'} ${event.title}`] : []));
  assert.equal(starts, ['- outer', '1 left', '1 right', '- broken']);
  assert.equal(
    stages.map(({ title }) => title),
    ['outer'],
  );
});

test('a step can end as failed without an error, and is no stage then', async () => {
  const [events, lines]: [StepEvent[], string[]] = [[], []];
  const log = logSteps((line) => lines.push(line));
  const { progress, stages } = trackSteps((event) => {
    events.push(event);
    return log(event);
  });
  const result = await progress.step('web.img on virt', (step) => {
    step.failed('no kernel');
    return Promise.resolve('the report');
  });
  const [end] = events.slice(-1);
  assert.ok(end?.type === 'end');
  assert.equal([result, end.ok, end.error, stages], ['the report', false, 'no kernel', []]);
  assert.is(withoutTimes(lines.join('\n')), '> web.img on virt\n! web.img on virt: FAILED (T)');
});

test('a log does not say the same of a step twice in a row', () => {
  const lines: string[] = [];
  let seconds = 0;
  const log = logSteps(
    (line) => lines.push(line),
    () => seconds * 1000,
  );
  void log({ type: 'start', id: 1, title: 'boot' });
  for (const message of ['kernel', 'kernel', 'systemd', 'kernel']) {
    seconds += 10;
    void log({ type: 'update', id: 1, message });
  }
  assert.equal(lines, ['> boot', '  boot: kernel', '  boot: systemd', '  boot: kernel']);
});

test('a step gives back what its work gives', async () => {
  const { progress } = trackSteps(() => {});
  assert.is(await progress.step('x', () => Promise.resolve(42)), 42);
});

test('the caller goes on when the listener has shown the end', async () => {
  const order: string[] = [];
  const { progress } = trackSteps(async (event) => {
    await wait(5);
    if (event.type === 'end') order.push('shown');
  });
  await progress.step('x', () => Promise.resolve());
  order.push('went on');
  assert.equal(order, ['shown', 'went on']);
});

test('the log has a line at start and end of each step, and its notes', async () => {
  const lines: string[] = [];
  await work(trackSteps(logSteps((line) => lines.push(line))).progress).catch(() => {});
  assert.is(
    withoutTimes(lines.join('\n')),
    [
      '> outer',
      '  > left',
      '  > right',
      '  = right: reused: same inputs (T)',
      '    left: emulated',
      '  = left: done (T)',
      '= outer: done (T)',
      '> broken',
      '! broken: FAILED (T)',
    ].join('\n'),
  );
});

test('the log hears of a long step every five seconds', () => {
  let time = 0;
  const lines: string[] = [];
  const listener = logSteps(
    (line) => lines.push(line),
    () => time,
  );
  void listener({ type: 'start', id: 1, title: 'long' });
  for (time = 100; time <= 12_000; time += 100)
    void listener({ type: 'update', id: 1, done: time, total: 20_000, unit: 'bytes' });
  assert.equal(lines, [
    '> long',
    '  long: 5.00 kB of 20.0 kB · 1.00 kB/s · 15 s left',
    '  long: 10.0 kB of 20.0 kB · 1.00 kB/s · 10 s left',
  ]);
});

test('JSON progress is one event a line', async () => {
  const lines: string[] = [];
  await work(trackSteps(jsonSteps((line) => lines.push(line))).progress).catch(() => {});
  assert.equal(
    lines.map((line) => (JSON.parse(line) as StepEvent).type),
    ['start', 'start', 'start', 'cached', 'end', 'update', 'note', 'end', 'end', 'start', 'end'],
  );
  assert.is(
    withoutTimes(lines.at(-1) ?? ''),
    '{"type":"end","id":4,"title":"broken","seconds":0,"ok":false,"error":"no"}',
  );
});

test('a throttle counts each step for itself', () => {
  let time = 0;
  const due = throttle(10, () => time);
  assert.equal([due(1), due(1), due(2)], [true, false, true]);
  time = 10;
  assert.equal([due(1), due(1)], [true, false]);
});

test.run();
