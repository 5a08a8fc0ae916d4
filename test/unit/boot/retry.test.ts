// The loop behind every check: how long it looks, and what it makes of what it sees.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Look, retry } from '../../../src/boot/retry.ts';
import { PiimgError } from '../../../src/lib/errors.ts';

/** Looks that are over one after the other; the last one stays. */
function looks(...all: (Look | Error)[]) {
  let at = 0;
  return async (): Promise<Look> => {
    const found = all[Math.min(at++, all.length - 1)];
    if (found === undefined || found instanceof Error) throw found;
    return found;
  };
}

const bad = { ok: false, seen: 'bad' };
const good = { ok: true, seen: 'good' };
const quick = { within: 5, pause: 0.01 };

test('looks until it is so, and counts', async () => {
  assert.equal(await retry(looks(bad, new Error('refused'), good), quick), { ...good, attempts: 3 });
});

test('gives up when the time is over, with what was seen last', async () => {
  const found = await retry(looks(bad, new Error('refused')), { within: 0.1, pause: 0.01 });
  assert.is(found.ok, false);
  assert.is(found.seen, 'refused');
  assert.ok(found.attempts > 2);
});

test('looks once even when there is no time', async () => {
  assert.equal(await retry(looks(good), { within: 0 }), { ...good, attempts: 1 });
});

test('what cannot become better ends it', async () => {
  assert.is((await retry(looks(bad, { ...bad, final: true }, good), quick)).attempts, 2);
});

test('the time counts from when the machine has started, even if that failed', async () => {
  const { promise, reject } = withReject();
  const seen = retry(looks(bad, bad, bad, bad, bad, bad, good), { within: 0, pause: 0.01, from: promise });
  assert.is((await seen).ok, true);
  const late = retry(looks(bad), { within: 0, pause: 0.01, from: promise });
  reject(new Error('it did not'));
  assert.is((await late).ok, false);
});

function withReject() {
  let reject: (error: Error) => void = () => {};
  const promise = new Promise<void>((_resolve, no) => (reject = no));
  return { promise, reject };
}

test('a machine that is gone ends it at once', async () => {
  const gone = new AbortController();
  const waiting = retry(looks(bad), { within: 60, pause: 60, signal: gone.signal });
  setTimeout(() => gone.abort(new Error('gone')), 20);
  const error = await waiting.catch((reason: unknown) => reason);
  assert.is((error as Error).message, 'gone');
});

test('of a program that failed its last line is what was seen', async () => {
  const failed = new PiimgError('Command failed with status 255: ssh …', { detail: 'Warning\nPermission denied.\n' });
  assert.is((await retry(looks(failed), { within: 0 })).seen, 'Permission denied.');
});

test.run();
