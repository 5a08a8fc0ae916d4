// The writer that runs as root: not started for a flash that was stopped before.
import { existsSync } from 'node:fs';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { writeThrough } from '../../../src/cli/flashing/as-root.ts';
import type { WriterPlan } from '../../../src/cli/flashing/writer.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';

test('a flash that was stopped before its writer began: none begins', async () => {
  const trace = path.join(temporaryFolder(), 'begun');
  const plan: WriterPlan = {
    source: { name: 'x.img', kind: 'file', packing: 'none', rereadable: true },
    ranges: [],
    mode: 'write',
    wipe: false,
    discard: false,
    cards: [],
  };
  const outcome = async (signal: AbortSignal): Promise<string> =>
    writeThrough(['touch', trace], plan, () => {}, signal).then(
      () => '',
      (error: Error) => error.message,
    );
  assert.is(await outcome(AbortSignal.abort(new Error('stopped'))), 'stopped');
  assert.not.ok(existsSync(trace));
  // The control: else it does.
  assert.match(await outcome(new AbortController().signal), 'ended without a word');
  assert.ok(existsSync(trace));
});

test.run();
