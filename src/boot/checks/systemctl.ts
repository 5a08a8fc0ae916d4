// What systemd says of a unit.
import { quote } from '../../lib/quote.ts';
import type { Attempt } from '../retry.ts';
import type { Session } from '../session.ts';

export interface UnitState {
  /** It has such a unit. */
  known: boolean;
  /** As for `systemctl is-active`: a unit that reads its settings anew runs. */
  active: boolean;
  /** `active (running)` */
  state: string;
  /** Of systemd's Result=, where it is another. */
  failure?: string;
  /** How often it was started again by Restart=. */
  restarts: number;
  /** Seconds of the machine's clock, which begins with its kernel: now, and when it last became active. */
  now: number;
  since?: number;
  /** Last lines of its journal, of a unit that is not active. */
  said: string;
}

/** Lines of the journal that are shown of a unit that is not active. */
const LINES = 3;
const PROPERTIES = ['LoadState', 'ActiveState', 'SubState', 'Result', 'NRestarts', 'ActiveEnterTimestampMonotonic'];
const PROPERTY = new RegExp(`^(${PROPERTIES.join('|')}|Now)=(.*)$`);
/** `reloading` and `refreshing` are states of a unit that runs. */
const ACTIVE = ['active', 'reloading', 'refreshing'];

export async function readUnit(session: Session, unit: string, attempt: Attempt): Promise<UnitState> {
  const name = quote([unit]);
  const { stdout } = await session.ask(
    `systemctl show --property=${PROPERTIES.join()} -- ${name}
     echo "Now=$(cut -d' ' -f1 /proc/uptime)"
     systemctl is-active --quiet -- ${name} || journalctl --quiet --no-pager --output=cat -n ${LINES} -u ${name}`,
    attempt,
  );
  const lines = stdout.trimEnd().split('\n');
  const is = new Map(lines.map((line) => PROPERTY.exec(line)).map((found) => [found?.[1], found?.[2] ?? '']));
  const [state = '', result = 'success'] = [is.get('ActiveState'), is.get('Result')];
  const entered = Number(is.get('ActiveEnterTimestampMonotonic') ?? 0);
  return {
    known: is.get('LoadState') !== 'not-found',
    active: ACTIVE.includes(state),
    state: `${state} (${is.get('SubState')})`,
    ...(result !== 'success' && { failure: result }),
    restarts: Number(is.get('NRestarts') ?? 0),
    now: Number(is.get('Now')),
    ...(entered > 0 && { since: entered / 1e6 }),
    said: lines.filter((line) => !PROPERTY.test(line)).join(' · '),
  };
}
