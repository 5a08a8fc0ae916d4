// The order of steps: after those they name, never two that share something at once, and none after a failure.
import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { digestsOf } from '../../../firstboot/apply.ts';
import { inOrder, type Ordered } from '../../../firstboot/order.ts';

/** Steps in any order, each after some of those with a smaller number. */
const steps = fc
  .array(fc.record({ after: fc.array(fc.nat(11), { maxLength: 3 }), shares: fc.constantFrom(undefined, 'fstab') }), {
    maxLength: 12,
  })
  .chain((all) => {
    const named = all.map(({ after, shares }, index) => ({
      name: `s${index}`,
      after: [...new Set(after.filter((other) => other < index).map((other) => `s${other}`))],
      shares,
    }));
    return fc.shuffledSubarray(named, { minLength: named.length });
  });

/** Runs them with delays; what ran when, as `start NAME` and `end NAME`. */
async function ran(all: Ordered[], delays: number[], failing?: string): Promise<string[]> {
  const events: string[] = [];
  let turn = 0;
  await inOrder(all, async ({ name }) => {
    events.push(`start ${name}`);
    for (let left = delays[turn++ % delays.length] ?? 0; left > 0; left--) await Promise.resolve();
    if (name === failing) throw new Error(`${name} failed`);
    events.push(`end ${name}`);
  }).catch((error: Error) => events.push(error.message));
  return events;
}

test('every step runs once, after those it names, and apart from those it shares something with', async () => {
  await fc.assert(
    fc.asyncProperty(steps, fc.array(fc.nat(5), { minLength: 1, maxLength: 5 }), async (all, delays) => {
      const events = await ran(all, delays);
      assert.is(events.length, all.length * 2);
      for (const { name, after, shares } of all) {
        const start = events.indexOf(`start ${name}`);
        for (const other of after) assert.ok(events.indexOf(`end ${other}`) < start, `${name} before ${other}`);
        if (shares === undefined) continue;
        const between = events.slice(start + 1, events.indexOf(`end ${name}`));
        const others = all.filter((other) => other.shares === shares).map((other) => `start ${other.name}`);
        assert.equal(
          between.filter((event) => others.includes(event)),
          [],
        );
      }
    }),
  );
});

test('after a failure nothing is started, and what was under way is waited for', async () => {
  await fc.assert(
    fc.asyncProperty(
      steps,
      fc.array(fc.nat(5), { minLength: 1, maxLength: 5 }),
      fc.nat(11),
      async (all, delays, which) => {
        const failing = all[which % Math.max(1, all.length)]?.name;
        if (failing === undefined) return;
        const events = await ran(all, delays, failing);
        assert.is(events.at(-1), `${failing} failed`);
        const started = events.filter((event) => event.startsWith('start')).map((event) => event.slice(6));
        const ended = events.filter((event) => event.startsWith('end')).map((event) => event.slice(4));
        assert.equal(started.filter((name) => name !== failing).sort(), ended.sort());
        for (const { name, after } of all) if (after.includes(failing)) assert.not.ok(started.includes(name));
      },
    ),
  );
});

test('independent steps run side by side', async () => {
  const both = ['a', 'b'].map((name) => ({ name, after: [], shares: undefined }));
  assert.equal((await ran(both, [5])).slice(0, 2), ['start a', 'start b']);
});

test('a circle, and a step that is not there, are refused', async () => {
  const circle = [
    { name: 'a', after: ['b'], shares: undefined },
    { name: 'b', after: ['a'], shares: undefined },
  ];
  assert.match((await ran(circle, [0])).join(), /^Steps wait for one another, or for steps that are not there: a, b$/);
  assert.match((await ran([{ name: 'a', after: ['x'], shares: undefined }], [0])).join(), /not there: a$/);
});

test('a digest is that of a step and of all before it', () => {
  const chain = (content: string) =>
    digestsOf([
      { name: 'a', kind: 'template', after: [], content },
      { name: 'b', kind: 'unit', after: ['a'], content: 'b' },
      { name: 'c', kind: 'unit', after: [], content: 'b' },
    ]);
  const [one, other] = [chain('1'), chain('2')];
  assert.is.not(one.get('a'), other.get('a'));
  assert.is.not(one.get('b'), other.get('b'));
  assert.is(one.get('c'), other.get('c'));
  assert.equal(chain('1'), one);
});

test.run();
