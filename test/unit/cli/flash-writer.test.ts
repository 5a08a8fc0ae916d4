// The program that runs as root: not started for what was stopped before, and what it says is heard.
import { existsSync } from 'node:fs';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { startRootOpener } from '../../../src/cli/flashing/root-opener.ts';
import { PiimgError } from '../../../src/lib/errors.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';

test('what was stopped before the program began: none begins', async () => {
  const trace = path.join(temporaryFolder(), 'begun');
  const outcome = async (signal: AbortSignal): Promise<string> =>
    startRootOpener(['touch', trace], signal).then(
      () => '',
      (error: Error) => error.message,
    );
  assert.is(await outcome(AbortSignal.abort(new Error('stopped'))), 'stopped');
  assert.not.ok(existsSync(trace));
  // The control: else it does.
  assert.match(await outcome(new AbortController().signal), 'ended without a word');
  assert.ok(existsSync(trace));
});

test('one that is not allowed to begin says why', async () => {
  const refusing = startRootOpener(['sh', '-c', 'echo no password >&2; exit 1'], new AbortController().signal);
  const error = await refusing.then(
    () => undefined,
    (reason: unknown) => reason as PiimgError,
  );
  assert.instance(error, PiimgError);
  assert.is(error?.detail, 'no password');
});

test.run();
