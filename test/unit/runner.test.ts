// The runner counts as failed whatever did not pass.
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { run } from '../../src/host/exec.ts';
import { countUvu } from '../helpers/uvu-summary.mjs';

const summary = (total: number, passed: number, skipped: number) =>
  `  Total:     ${total}\n  Passed:    ${passed}\n  Skipped:   ${skipped}\n  Duration:  1.00ms\n`;

test('failed, skipped, crashed and missing tests all count', () => {
  assert.equal(countUvu(summary(3, 3, 0), 0), { passed: 3, failed: 0 });
  assert.equal(countUvu(summary(3, 1, 0), 1), { passed: 1, failed: 2 });
  assert.equal(countUvu(summary(3, 3, 1), 0), { passed: 3, failed: 1 });
  assert.equal(countUvu(summary(3, 3, 0), 7), { passed: 3, failed: 1 });
  assert.equal(countUvu(summary(3, 3, 0), null), { passed: 3, failed: 1 });
  assert.equal(countUvu('SyntaxError: no', 1), { passed: 0, failed: 1 });
  assert.equal(countUvu(summary(0, 0, 0), 0), { passed: 0, failed: 1 });
});

const runner = fileURLToPath(new URL('../run.mjs', import.meta.url));

test('a selection that fits nothing fails, an unknown option too', async () => {
  const nothing = await run([process.execPath, runner, 'no-such-test'], { okCodes: [1] });
  assert.match(nothing.stdout, /^Nothing ran: no test fits no-such-test\n0 passed, 0 failed$/);
  const unknown = await run([process.execPath, runner, '--al'], { okCodes: [1] });
  assert.match(unknown.stdout, /^unknown option --al\n0 passed, 1 failed$/);
});

test.run();
