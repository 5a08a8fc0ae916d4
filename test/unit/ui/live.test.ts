// The live list, as it is left on the screen.
import { PassThrough } from 'node:stream';
import { stripVTControlCharacters } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { liveSteps } from '../../../src/ui/live.ts';
import { trackSteps } from '../../../src/ui/steps.ts';
import { styleFor } from '../../../src/ui/style.ts';

const pause = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** What is on the screen at the end: after the last time the list was cleared. */
async function screen(
  work: (progress: ReturnType<typeof trackSteps>['progress']) => Promise<unknown>,
): Promise<string> {
  const terminal = Object.assign(new PassThrough(), { columns: 100, rows: 40, isTTY: true });
  const chunks: string[] = [];
  terminal.on('data', (chunk: Buffer) => chunks.push(chunk.toString()));
  await work(trackSteps(liveSteps(terminal as unknown as NodeJS.WriteStream, styleFor({}, {}))).progress).catch(
    () => {},
  );
  const afterLast = (text: string, mark: string) => text.slice(text.lastIndexOf(mark) + 1);
  const written = afterLast(afterLast(chunks.join(''), '\x1b[2K'), '\x1b[G').replace(/^\[(2K|G)/, '');
  return stripVTControlCharacters(written)
    .replaceAll(/\d+\.\d s/g, 'T')
    .replaceAll(/^[^\w\n]*/gm, (icon) => icon.replace(/\S/, '*'))
    .trim();
}

test('a finished step is one line with its time and its notes, also those from inside', async () => {
  const shown = await screen((progress) =>
    progress.step('outer', async () => {
      await progress.step('inner', (step) => Promise.resolve(step.note('emulated')));
      await progress.step('other', (step) => Promise.resolve(step.cached('same')));
    }),
  );
  assert.is(shown, '* outer T\n  * inner: emulated');
});

test('a reused step says from where', async () => {
  assert.is(
    await screen((progress) => progress.step('x', (step) => Promise.resolve(step.cached('same')))),
    '* x · reused: same T',
  );
});

test('a failed step stays open, with the one inside that failed', async () => {
  const shown = await screen((progress) =>
    progress.step('outer', async () => {
      await progress.step('good', () => Promise.resolve());
      await progress.step('bad', () => Promise.reject(new Error('no')));
    }),
  );
  assert.is(shown, '* outer T\n  * good T\n  * bad T');
});

test('a step whose result is a failure ends as failed', async () => {
  const icons = async (end: 'failed' | 'cached') => {
    const terminal = Object.assign(new PassThrough(), { columns: 100, rows: 40, isTTY: true });
    const { progress } = trackSteps(liveSteps(terminal as unknown as NodeJS.WriteStream, styleFor({}, {})));
    await progress.step('x', (step) => Promise.resolve(step[end]('y')));
    return /[✖✔]/.exec(stripVTControlCharacters(String(terminal.read())))?.[0];
  };
  assert.equal([await icons('failed'), await icons('cached')], ['✖', '✔']);
});

test('outermost steps may run side by side and one after another', async () => {
  const shown = await screen((progress) =>
    Promise.all([progress.step('a', () => Promise.resolve()), progress.step('b', () => Promise.resolve())]),
  );
  assert.is(shown, '* a T\n* b T');
});

test('what a step says at once is shown', async () => {
  const terminal = Object.assign(new PassThrough(), { columns: 100, rows: 40, isTTY: true });
  const { progress } = trackSteps(liveSteps(terminal as unknown as NodeJS.WriteStream, styleFor({}, {})));
  await progress.step('lock', (step) => {
    step.update({ message: 'package lists' });
    return pause(150);
  });
  assert.match(String(terminal.read()), 'package lists');
});

test('a step that begins while another ends is drawn, and what is written after both as well', async () => {
  for (let turns = 0; turns < 12; turns++) {
    const terminal = Object.assign(new PassThrough(), { columns: 100, rows: 40, isTTY: true });
    const { progress } = trackSteps(liveSteps(terminal as unknown as NodeJS.WriteStream, styleFor({}, {})));
    let begin = (): void => {};
    const begun = new Promise<void>((resolve) => (begin = resolve));
    const first = progress.step('first', async () => {
      await pause(5);
      begin();
    });
    await begun;
    for (let turn = 0; turn < turns; turn++) await Promise.resolve();
    await progress.step('second', () => pause(150));
    await first;
    terminal.write('error: told');
    const written = String(terminal.read());
    assert.match(written, 'second', `begun ${turns} turns later`);
    assert.match(written, 'error: told', `begun ${turns} turns later`);
  }
});

test.run();
