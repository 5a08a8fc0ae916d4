// Whatever steps there are and wherever the power goes: once it stays on, all is as wanted, and what leaves no trace of itself came last.
import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { applyAll } from '../../../firstboot/apply.ts';
import { openJournal, type Journal } from '../../../firstboot/journal.ts';
import type { Prepared } from '../../../firstboot/kinds.ts';
import { machineAt } from '../../../firstboot/machine.ts';
import { pathsBelow } from '../../../firstboot/paths.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';

interface Wanted {
  name: string;
  after: string[];
  /** Whether one can see that it was done, as of a file; of a restart one cannot. */
  leavesTrace: boolean;
  content: number;
}

const wanted = fc
  .array(fc.record({ after: fc.array(fc.nat(5), { maxLength: 2 }), leavesTrace: fc.boolean(), content: fc.nat(2) }), {
    minLength: 1,
    maxLength: 6,
  })
  .map((all) =>
    all.map(({ after, ...rest }, index): Wanted => {
      const before = after.filter((other) => other < index).map((other) => `s${other}`);
      return { name: `s${index}`, after: [...new Set(before)], ...rest };
    }),
  );

/** A machine whose power goes after so many of its instants. */
function life(instants: number) {
  let left = instants;
  return (): void => {
    if (left-- <= 0) throw new Error('the power is gone');
  };
}

/** What was made on the machine, and when, in the order it was. */
interface World {
  contents: Map<string, number>;
  done: { name: string; content: number }[];
}

function prepared({ name, after, leavesTrace, content }: Wanted, world: World, instant: () => void): Prepared {
  const lack = (applied: boolean): string | undefined =>
    (leavesTrace ? world.contents.get(name) === content : applied) ? undefined : 'not yet';
  return {
    name,
    kind: 'test',
    after,
    shares: undefined,
    flushes: true,
    content,
    check: async ({ applied }) => lack(applied),
    async apply() {
      instant();
      await Promise.resolve();
      world.contents.set(name, content);
      world.done.push({ name, content });
      instant();
    },
    verify: async () => lack(true),
  };
}

/** One start of the machine; false when the power went. */
async function start(steps: Wanted[], world: World, folder: string, instants: number): Promise<boolean> {
  const instant = life(instants);
  const real = await openJournal(pathsBelow(folder));
  const journal: Journal = {
    get: (step) => real.get(step),
    async record(...change) {
      instant();
      await real.record(...change);
      instant();
    },
  };
  const result = {
    version: 1 as const,
    status: 'working' as const,
    node: '',
    role: '',
    buildId: '',
    started: '',
    seconds: 0,
    steps: steps.map(({ name }) => ({ name, kind: 'test', state: 'waiting' as const })),
    notes: [],
  };
  const work = { machine: machineAt(folder), journal, result, keep: async () => {}, say: () => {}, mask: String };
  const all = steps.map((step) => prepared(step, world, instant));
  return applyAll(all, work).then(
    () => true,
    () => false,
  );
}

function allBefore(steps: Wanted[], name: string): Set<string> {
  const found = new Set<string>();
  const visit = (at: string): void => {
    for (const other of steps.find((step) => step.name === at)?.after ?? []) {
      found.add(other);
      visit(other);
    }
  };
  visit(name);
  return found;
}

/** A restart that nothing shows, after something that was changed and changed back: found only by what is noted of steps that come later. */
const BACK_AGAIN: [Wanted[], { instants: number; other: boolean }[], number[]] = [
  [
    { name: 's0', after: [], leavesTrace: true, content: 0 },
    { name: 's1', after: ['s0'], leavesTrace: false, content: 0 },
  ],
  [
    { instants: 40, other: false },
    { instants: 5, other: true },
  ],
  [1, 0, 0, 0, 0, 0],
];

test('cut at any instants, with other documents in between: the end is the same, and nothing is done twice then', async () => {
  await fc.assert(
    fc.asyncProperty(
      wanted,
      fc.array(fc.record({ instants: fc.nat(40), other: fc.boolean() }), { maxLength: 5 }),
      fc.array(fc.nat(2), { minLength: 6, maxLength: 6 }),
      async (steps, cuts, contents) => {
        const folder = temporaryFolder();
        const world: World = { contents: new Map(), done: [] };
        const others = steps.map((step, index) => ({ ...step, content: contents[index] ?? 0 }));
        for (const { instants, other } of cuts) await start(other ? others : steps, world, folder, instants);
        assert.ok(await start(steps, world, folder, Infinity));
        for (const { name, content, leavesTrace } of steps) {
          const last = world.done.findLastIndex((each) => each.name === name);
          assert.ok(last >= 0, `${name} was never done`);
          assert.is(world.contents.get(name), content);
          if (leavesTrace) continue;
          for (const before of allBefore(steps, name)) {
            const changed = world.done.findLastIndex((each) => each.name === before);
            assert.ok(changed < last, `${before} was done after ${name}: ${JSON.stringify(world.done)}`);
          }
        }
        const { length } = world.done;
        assert.ok(await start(steps, world, folder, Infinity));
        assert.is(world.done.length, length);
      },
    ),
    { numRuns: 100, examples: [BACK_AGAIN] },
  );
});

test.run();
