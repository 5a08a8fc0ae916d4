// A boot that can be followed to the login prompt only: the machine has no network to ask it by.
import type { Guest } from '../guest.ts';
import type { JudgedBoot } from './boot.ts';
import { judge } from './judge.ts';

/** agetty's prompt (`host login: `) at the beginning of a line: whatever else writes to the console goes on right behind it. */
const PROMPT = /^(?!Last )\S+ login: /m;

/** Waits for the prompt at most `seconds`. Nothing is asked of the machine, and nobody can switch it off. */
export async function judgeLogin(guest: Guest, seconds: number): Promise<JudgedBoot> {
  const gone = new AbortController();
  void guest.ended.then((reason) => gone.abort(reason));
  const timing = { elapsed: () => (Date.now() - guest.poweredOn) / 1000, signal: gone.signal };
  const look = async () => {
    const ok = PROMPT.test(await guest.console());
    return { ok, seen: ok ? 'a login prompt' : 'no login prompt' };
  };
  const check = await judge({ name: 'asks for a login', kind: 'always' }, look, timing, { within: seconds });
  const reason = gone.signal.aborted ? await guest.ended : undefined;
  if (reason) return { checks: [check], times: {}, notes: [], reason };
  return {
    checks: [check],
    times: {},
    notes: [],
    ...(check.status === 'failed' && {
      reason: { code: 'timeout' as const, message: `No login prompt within ${seconds} seconds` },
    }),
  };
}
