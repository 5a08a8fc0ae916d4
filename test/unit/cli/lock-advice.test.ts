// When a lock is called old, and what `piimg update` prints of a new one.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { formatUpdate } from '../../../src/cli/commands/update.ts';
import type { PackageChanges, UpdateResult } from '../../../src/cli/engine-types.ts';
import { ageAdvice } from '../../../src/cli/lock-advice.ts';
import { styleFor } from '../../../src/ui/style.ts';
import { smallLock } from '../../helpers/plan-inputs.ts';

const NOW = Date.parse('2026-03-01T00:00:00Z');

const ages: [what: string, created: string, checked: string | undefined, said: string | undefined][] = [
  ['resolved a month ago', '2026-01-30T00:00:00Z', '2026-01-30T00:00:00Z', undefined],
  ['resolved longer ago', '2026-01-29T00:00:00Z', '2026-01-29T00:00:00Z', '31 days old'],
  ['of an older piimg', '2026-01-29T00:00:00Z', undefined, '31 days old'],
  ['old, but its packages are those of today', '2025-01-01T00:00:00Z', '2026-02-28T00:00:00Z', undefined],
];
for (const [what, created, checked, said] of ages) {
  test(`a lock ${what}: ${said ?? 'nothing is said'}`, () => {
    const advice = ageAdvice({ ...smallLock(), created, ...(checked !== undefined && { checked }) }, NOW);
    if (said === undefined) assert.is(advice, undefined);
    else assert.match(advice ?? '', said);
  });
}

const NONE: PackageChanges = { added: [], removed: [], changed: [] };
const tar: PackageChanges = { ...NONE, changed: [{ name: 'tar', from: '1', to: '2' }] };
const printed = (changes: Partial<UpdateResult>): string =>
  formatUpdate(
    { lockPath: 'web.lock.json', packages: NONE, tools: NONE, buildPackages: NONE, ...changes },
    styleFor({}, {}),
  );

test('update: nothing changed only when the tools and the compilers are the same too', () => {
  assert.is(printed({}), 'Nothing changed: web.lock.json');
  assert.is(printed({ packages: tar }), '~ tar  1 -> 2\n\nwritten: web.lock.json');
  assert.is(
    printed({ packages: tar, tools: tar, buildPackages: { ...NONE, added: [{ name: 'gcc', version: '4' }] } }),
    [
      '~ tar  1 -> 2',
      'native tools, no part of the image:\n~ tar  1 -> 2',
      'packages for compiling npm add-ons, no part of the image:\n+ gcc  4',
      'written: web.lock.json',
    ].join('\n\n'),
  );
});

test.run();
