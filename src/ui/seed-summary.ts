// What a card carries, for people: after it was written, and when they ask.
import type { SeedDescription } from '../seed/describe.ts';
import type { Style } from './style.ts';
import { formatTable } from './table.ts';

/** What was written, and beside it what there is to know and do. */
export interface SeedSummary extends SeedDescription {
  target: string;
  role: string;
  buildId: string;
  checked: boolean;
  knownHosts: string[];
}

/** The report after writing, as text without a final line feed; `next` are commands worth trying. */
export function formatSeedSummary(summary: SeedSummary, next: string[], style: Style): string {
  const { target, node = 'a machine', knownHosts } = summary;
  return [
    style.bold(`${node}: written to ${target}`),
    table([...facts(summary), ['checked', summary.checked ? "with cloud-init's schemas" : 'no']], style),
    ...(knownHosts.length > 0
      ? [['For ~/.ssh/known_hosts:', ...knownHosts.map((line) => `  ${line}`)].join('\n')]
      : []),
    ['Next:', ...next.map((command) => `  ${style.cyan(command)}`)].join('\n'),
  ].join('\n\n');
}

/** What a card carries, as text without a final line feed. */
export function formatSeed(seed: SeedDescription & { role: string; buildId: string }, style: Style): string {
  const problems = seed.problems.map((problem) => `${style.yellow('problem')}  ${problem}`);
  return [table(facts(seed), style), ...problems].join('\n');
}

const table = (rows: [string, string][], style: Style): string =>
  formatTable(rows.map(([name, value]) => [style.dim(name), value]));

function facts(seed: SeedDescription & { role: string; buildId: string }): [string, string][] {
  const { peers, secrets } = seed;
  const variables = Object.entries(seed.variables).map(([name, value]) => `${name} = ${value}`);
  return [
    ['node', seed.node ?? '(none)'],
    ['image', `role ${seed.role}, build ${seed.buildId.slice(0, 16)}`],
    ...(seed.firstBoot === 'own'
      ? [['users, network', "told to its base's own first boot: piimg inspect says"] satisfies [string, string]]
      : cloudInitFacts(seed)),
    ...rows('variables', variables),
    ...rows(
      'peers',
      Object.entries(peers).map(([role, nodes]) => `${role}: ${nodes.join(', ') || '(none)'}`),
    ),
    ...rows(
      'secrets',
      Object.entries(secrets).map(([name, state]) => `${name}: (${state})`),
    ),
    ...rows('reports to', seed.report === undefined ? [] : [seed.report]),
    ...rows('also set', seed.others.length > 0 ? [seed.others.join(', ')] : []),
  ];
}

function cloudInitFacts({
  instanceId,
  users,
  network,
  locale,
  timezone,
  hostKeys,
}: SeedDescription): [string, string][] {
  return [
    ['instance id', instanceId ?? '(none)'],
    ...rows('users', users.map(userLine), '(none beside those of the role)'),
    ...rows('network', network.cards.map(cardLine), '(none)'),
    ...rows('Wi-Fi', network.wifi.map(wifiLine)),
    ...rows('locale', locale === undefined ? [] : [locale]),
    ...rows('time zone', timezone === undefined ? [] : [timezone]),
    ...rows(
      'host keys',
      hostKeys.map(({ type, fingerprint }) => `${type} ${fingerprint}`),
      'made by the machine on its first boot',
    ),
  ];
}

/** The name before the first value alone. */
function rows(name: string, values: string[], none?: string): [string, string][] {
  const shown = values.length === 0 && none !== undefined ? [none] : values;
  return shown.map((value, index) => [index === 0 ? name : '', value]);
}

function userLine({ name, keys, sudo, password }: SeedDescription['users'][number]): string {
  const marks = [...(sudo ? ['sudo'] : []), ...(password ? ['a password (set)'] : [])];
  const shown = keys.map(({ type, comment }) => `${type}${comment === '' ? '' : ` ${comment}`}`);
  return `${name}${marks.length > 0 ? ` (${marks.join(', ')})` : ''}: ${shown.join(', ') || 'no key'}`;
}

function cardLine({ name, addresses, gateway, dns, dhcp }: SeedDescription['network']['cards'][number]): string {
  const parts = [
    ...(addresses.length > 0 ? [addresses.join(', ')] : []),
    ...(dhcp.length > 0 ? [dhcp.length > 1 ? 'DHCP' : `DHCP for ${dhcp.join()}`] : []),
    ...(gateway === undefined ? [] : [`gateway ${gateway}`]),
    ...(dns.length > 0 ? [`DNS ${dns.join(', ')}`] : []),
  ];
  return `${name}: ${parts.join(', ') || 'no address'}`;
}

function wifiLine({ ssid, country, open }: SeedDescription['network']['wifi'][number]): string {
  return `${ssid} (${[open ? 'open' : 'password set', ...(country === undefined ? [] : [country])].join(', ')})`;
}
