// The health list of a role, judged on a booted machine: every check by its kind, all at once.
import type { HealthCheck } from '../../role/schema/health.ts';
import { type Attempt, type Look } from '../retry.ts';
import type { CheckResult } from '../report.ts';
import { closedCheck } from './closed.ts';
import { commandCheck } from './command.ts';
import { fileCheck } from './file.ts';
import { httpCheck } from './http.ts';
import type { HealthCheckOf, Kind, Target } from './kind.ts';
import { mountCheck } from './mount.ts';
import { judge, notRun, type Question, type Timing } from './judge.ts';
import { reachedCheck } from './reached.ts';
import { tcpCheck } from './tcp.ts';
import { unitCheck } from './unit.ts';

const KINDS: { [Name in HealthCheck['check']]: Kind<HealthCheckOf<Name>> } = {
  unit: unitCheck,
  tcp: tcpCheck,
  http: httpCheck,
  command: commandCheck,
  file: fileCheck,
  mount: mountCheck,
  closed: closedCheck,
  reached: reachedCheck,
};

/** The ports of the machine that must be forwarded before it starts. */
export function portsOf(health: HealthCheck[]): number[] {
  return [...new Set(health.flatMap((check) => (check.check === 'tcp' || check.check === 'http' ? [check.port] : [])))];
}

/** What a check asks, in words. */
export function questionOf(check: HealthCheck): Question {
  const kind = KINDS[check.check] as Kind<HealthCheck>;
  return { name: check.name ?? kind.name(check), kind: check.check, expected: kind.expected(check) };
}

/**
 * Results in the order of `health`. Each check is repeated until it passes or its `within` is over, which counts from when
 * `started` settles: a slow machine is not an ill one. Until then nobody knows what will be open, so `closed` waits for it.
 */
export function judgeHealth(
  target: Target,
  health: HealthCheck[],
  timing: Timing,
  started: Promise<unknown>,
): Promise<CheckResult[]> {
  return Promise.all(
    health.map(async (check) => {
      const kind = KINDS[check.check] as Kind<HealthCheck>;
      const question = questionOf(check);
      if (check.check === 'closed') {
        if (target.outside === undefined) return notRun(question, timing, 'the machine has no second network card');
        await started.catch(() => {});
      }
      const look = (attempt: Attempt): Promise<Look> => kind.look(target, check, attempt);
      return judge(question, look, timing, { within: check.within, from: started });
    }),
  );
}
