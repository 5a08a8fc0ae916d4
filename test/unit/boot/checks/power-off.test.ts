// The end of a boot: how it is judged when the machine resists, does not end, or leaves a card that is not sound.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { judgePowerOff } from '../../../../src/boot/checks/power-off.ts';
import type { Guest } from '../../../../src/boot/guest.ts';
import type { CheckResult } from '../../../../src/boot/report.ts';
import { PiimgError } from '../../../../src/lib/errors.ts';
import { sayingSession } from '../../../helpers/local-session.ts';

/** What is judged of a machine that says `words` while it goes off, and whose card is none. */
async function judged(words: string, powerOff: Guest['powerOff'], told: CheckResult[] = []) {
  let console = '[FAILED] Failed to start early.service\n';
  const guest: Guest = {
    card: '/nonexistent/card',
    cmdline: '',
    ports: {},
    poweredOn: 0,
    console: async () => console,
    marked: () => undefined,
    ended: new Promise(() => {}),
    powerButton: false,
    powerOff: async (seconds, ask) => {
      console += words;
      return powerOff(seconds, ask);
    },
  };
  const expected = { powerOff: 60, partitions: { boot: { offset: 0 }, root: { offset: 0 } }, folder: '/nonexistent' };
  const session = sayingSession('');
  session.ask = () => Promise.reject(new PiimgError('the connection was lost'));
  const timing = { elapsed: () => 9, onResult: (result: CheckResult) => void told.push(result) };
  const { checks, seconds } = await judgePowerOff(guest, session, expected, timing);
  return { seconds, checks: checks.map(({ name, status, seen }) => [name, status, seen]) };
}

test('a machine that goes off, whose card this computer cannot read: no result of the machine’s', async () => {
  const told: CheckResult[] = [];
  const judging = judged('[  OK  ] Stopped web.service.\n', askedOnce, told);
  const error: unknown = await judging.catch((caught: unknown) => caught);
  assert.match((error as Error).message, 'ENOENT');
  assert.equal(
    told.map(({ name, seen }) => [name, seen]),
    [['switches itself off', 'after 5.0 s']],
  );
});

/** The answer may never come: the machine is on its way. */
async function askedOnce(_: number, ask?: () => Promise<unknown>): Promise<number> {
  await ask?.();
  return 5;
}

for (const [words, seen] of [
  ['[FAILED] Failed unmounting boot-firmware.mount\n', '[FAILED] Failed unmounting boot-firmware.mount'],
  ['[ TIME ] Timed out waiting for x.\n', '[ TIME ] Timed out waiting for x.'],
  ["web.service: State 'stop-sigterm' timed out. Killing.\n", "web.service: State 'stop-sigterm' timed out. Killing."],
]) {
  test(`a machine that says ${words?.trim()}`, async () => {
    const told: CheckResult[] = [];
    await judged(words ?? '', askedOnce, told).catch(() => {});
    assert.equal([told[0]?.status, told[0]?.seen], ['failed', seen]);
  });
}

test('a machine that does not go off has no card to look at', async () => {
  const still = new PiimgError('The machine did not switch itself off within 60 s');
  const { seconds, checks } = await judged('', () => Promise.reject(still));
  assert.is(seconds, undefined);
  assert.equal(checks, [['switches itself off', 'failed', still.message]]);
});

test.run();
