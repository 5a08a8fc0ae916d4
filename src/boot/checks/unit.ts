// Is a systemd unit active, and does it stay so?
import type { HealthCheckOf, Kind } from './kind.ts';
import { readUnit } from './systemctl.ts';

/**
 * Seconds that a unit which was restarted must have been active: one that had to wait for its database runs by then, one that
 * ends again and again does not.
 */
const STEADY = 10;

export const unitCheck: Kind<HealthCheckOf<'unit'>> = {
  name: ({ unit }) => `unit ${unit}`,
  expected: () => 'active',

  async look({ session }, { unit }, attempt) {
    const { known, active, state, failure, restarts, now, since = now, said } = await readUnit(session, unit, attempt);
    if (!known) return { ok: false, seen: 'there is no such unit', final: true };
    const steady = restarts === 0 || now - since >= STEADY;
    const seen = [
      state,
      ...(failure === undefined ? [] : [failure]),
      ...(restarts > 0 ? [`${restarts} restarts`] : []),
      ...(active && !steady ? [`the last one ${(now - since).toFixed(0)} s ago`] : []),
    ].join(', ');
    return { ok: active && steady, seen: active || said === '' ? seen : `${seen}: ${said}` };
  },
};
