// Is a systemd unit active?
import { quote } from '../../host/exec.ts';
import type { HealthCheckOf, Kind } from './kind.ts';

/** Lines of the journal that are shown of a unit that is not active. */
const LINES = 3;

const PROPERTY = /^(LoadState|ActiveState|SubState|Result|NRestarts)=(.*)$/;

export const unitCheck: Kind<HealthCheckOf<'unit'>> = {
  name: ({ unit }) => `unit ${unit}`,
  expected: () => 'active',

  async look({ session }, { unit }, attempt) {
    const [name, properties] = [quote([unit]), 'LoadState,ActiveState,SubState,Result,NRestarts'];
    const { stdout } = await session.ask(
      `systemctl show --property=${properties} -- ${name}
       systemctl is-active --quiet -- ${name} || journalctl --quiet --no-pager --output=cat -n ${LINES} -u ${name}`,
      attempt,
    );
    const lines = stdout.trimEnd().split('\n');
    const is = new Map(lines.map((line) => PROPERTY.exec(line)).map((found) => [found?.[1], found?.[2] ?? '']));
    const said = lines.filter((line) => !PROPERTY.test(line)).join(' · ');
    const [state, result, restarts] = [is.get('ActiveState') ?? '', is.get('Result'), Number(is.get('NRestarts'))];
    if (is.get('LoadState') === 'not-found') return { ok: false, seen: 'there is no such unit', final: true };
    const seen = [
      `${state} (${is.get('SubState')})`,
      ...(result === undefined || result === 'success' ? [] : [result]),
      ...(restarts > 0 ? [`${restarts} restarts`] : []),
    ].join(', ');
    // `reloading` and `refreshing` are states of a unit that runs, as for `systemctl is-active`.
    const ok = ['active', 'reloading', 'refreshing'].includes(state);
    return { ok, seen: ok || said === '' ? seen : `${seen}: ${said}` };
  },
};
