// The state of a systemd unit, and the firewall, which is one.
import type { Machine } from '../machine.ts';
import { Problem } from '../problem.ts';
import type { Lack, StepKind, StepOf } from '../step.ts';

type Unit = Pick<StepOf<'unit'>, 'unit' | 'state'>;

/** What systemctl is asked for each state. */
const VERBS: Record<Unit['state'], string[]> = {
  started: ['start'],
  stopped: ['stop'],
  restarted: ['restart'],
  reloaded: ['reload-or-restart'],
  enabled: ['enable', '--now'],
  disabled: ['disable', '--now'],
};

export const unit: StepKind<StepOf<'unit'>, Unit> = {
  prepare: ({ unit: name, state }) => ({ unit: name, state }),
  async check(wanted, { machine, applied }) {
    if ((wanted.state === 'restarted' || wanted.state === 'reloaded') && !applied)
      return `${wanted.unit} is to be ${wanted.state}`;
    return lackOf(wanted, machine, applied);
  },
  async apply({ unit: name, state }, { machine }) {
    // A step before may have written the unit's own file.
    await machine.run(['systemctl', 'daemon-reload']);
    const begin = (): Promise<unknown> => machine.run(['systemctl', ...VERBS[state], name]);
    const patient = async (error: Problem): Promise<unknown> => {
      // systemd's words for a unit that fell over several times while the machine was not yet its role (systemctl.c, job results).
      if (!error.output?.includes('attempted too often')) throw error;
      await machine.run(['systemctl', 'reset-failed', name]);
      return begin();
    };
    await begin()
      .catch(patient)
      .catch(async (error: Problem) => {
        const journal = await machine
          .run(['journalctl', '-u', name, '-n', '15', '-o', 'cat', '--no-pager'])
          .catch(() => undefined);
        throw new Problem(error.message, {
          hint: `See on the machine: journalctl -u ${name}`,
          output: [error.output, journal?.stdout.trimEnd()].filter(Boolean).join('\n'),
          cause: error,
        });
      });
  },
  verify: (wanted, { machine }) => lackOf(wanted, machine, true),
};

/** Where a rule set lies that a role's `firewall` was compiled to, and the unit that loads it. */
const RULES = 'etc/nftables.conf';
const FIREWALL = 'nftables.service';

export const firewall: StepKind<StepOf<'firewall'>, Record<string, never>> = {
  flushes: true,
  prepare: () => ({}),
  async check(_, { applied, machine }) {
    return applied ? lackOf({ unit: FIREWALL, state: 'started' }, machine) : 'the rules were not loaded again';
  },
  async apply(_, { machine }) {
    // A rule set that cannot be loaded would leave the machine with the old one, and the next boot with none.
    await machine.run(['nft', '--check', '--file', machine.at(RULES)]);
    await machine.run(['systemctl', 'reload-or-restart', FIREWALL]);
  },
  verify: (_, { machine }) => lackOf({ unit: FIREWALL, state: 'started' }, machine),
};

/** `ran`: it was started before, so that a oneshot that is inactive has done its work. */
async function lackOf({ unit: name, state }: Unit, machine: Machine, ran = false): Promise<Lack> {
  const { stdout } = await machine.run([
    'systemctl',
    'show',
    '-p',
    'LoadState,ActiveState,UnitFileState,Type,Result',
    name,
  ]);
  const facts = Object.fromEntries(stdout.split('\n').map((line) => line.split('=', 2))) as Record<string, string>;
  const { LoadState, ActiveState, UnitFileState = '', Type, Result } = facts;
  if (state === 'stopped' || state === 'disabled') {
    if (state === 'disabled' && UnitFileState.startsWith('enabled')) return `${name} is enabled`;
    return ActiveState === 'inactive' || ActiveState === 'failed' ? undefined : `${name} is ${ActiveState}`;
  }
  if (LoadState !== 'loaded') return `${name} cannot be started: ${LoadState}`;
  if (state === 'enabled' && !/^(enabled|static|alias|generated)/.test(UnitFileState))
    return `${name} is ${UnitFileState}`;
  const done = ran && Type === 'oneshot' && ActiveState === 'inactive' && Result === 'success';
  return ActiveState === 'active' || done ? undefined : `${name} is ${ActiveState}`;
}
