// The result on the boot partition: it has a place of one size.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
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

test.run();
