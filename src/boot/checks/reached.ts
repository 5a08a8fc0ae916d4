// Did a unit become active in time, by the machine's own clock?
import type { HealthCheckOf, Kind } from './kind.ts';
import { readUnit } from './systemctl.ts';

export const reachedCheck: Kind<HealthCheckOf<'reached'>> = {
  name: ({ unit, seconds }) => `${unit} within ${seconds} s`,
  expected: ({ seconds }) => `active ${seconds} s after the kernel started, or sooner`,

  /** Waits until it is active, also longer than it may take: how long it took is worth knowing. Then it is settled. */
  async look({ session }, { unit, seconds }, attempt) {
    const { known, active, state, since, said } = await readUnit(session, unit, attempt);
    if (!known) return { ok: false, seen: 'there is no such unit', final: true };
    if (!active || since === undefined) return { ok: false, seen: said === '' ? state : `${state}: ${said}` };
    return { ok: since <= seconds, seen: `active after ${since.toFixed(1)} s`, final: true };
  },
};
