// Is a port closed to other machines? Judged from another computer on the machine's second network.
import type { Attempt } from '../retry.ts';
import type { Session } from '../session.ts';
import type { HealthCheckOf, Kind } from './kind.ts';
import { MACHINE_ADDRESS, type Outside, type Route, routeTo } from './outside/endpoint.ts';
import { isIpv6 } from './outside/packets.ts';
import { answersPing, type Knock, knockTcp, knockUdp } from './outside/probe.ts';

/** Datagrams sent to a UDP port: far more than a machine receives by chance meanwhile, whose names cannot be resolved (over 32 were seen). */
const DATAGRAMS = 256;

/** `takes`: a service that reads what it gets and says nothing. */
type Found = Knock | 'takes';

const SEEN: Record<Found, string> = {
  open: 'open: it answers',
  takes: 'open: it takes what is sent',
  refused: 'it refuses',
  silent: 'what is sent is dropped',
};

export const closedCheck: Kind<HealthCheckOf<'closed'>> = {
  name: ({ port, protocol }) => `${protocol} port ${port} is closed to others`,
  expected: () => 'closed',

  /** By every address of the machine's second card: a firewall may forget IPv6. */
  async look({ session, outside }, { port, protocol }, attempt) {
    if (outside === undefined) throw new Error('the machine has no second network card to ask from');
    const addresses = await addressesOf(session, outside.mac, attempt);
    if (addresses.length === 0 && outside.givesAddress) await giveAddress(session, outside.mac, attempt);
    if (addresses.length === 0) throw new Error('the machine’s second network card has no address');
    const looks: { closed: boolean; seen: string }[] = [];
    for (const ip of addresses) {
      const route = routeTo(outside, ip);
      const found: Found =
        protocol === 'tcp'
          ? await knockTcp(outside, route, port)
          : await lookUdp(outside, route, port, session, attempt);
      // Silence is the machine's own only when it answers something else; a refusal is an answer.
      const known = found !== 'silent' || (await answersPing(outside, route));
      const seen = known ? SEEN[found] : 'not known, as it does not answer a ping either';
      const closed = known && (found === 'refused' || found === 'silent');
      looks.push({ closed, seen: `${isIpv6(ip) ? 'IPv6' : 'IPv4'}: ${seen}` });
    }
    return { ok: looks.every(({ closed }) => closed), seen: looks.map(({ seen }) => seen).join(', ') };
  },
};

/** Whatever runs the network there may take it away once more, as long as it is still at work. */
async function giveAddress(session: Session, mac: string, attempt: Attempt): Promise<void> {
  const give = `dev=$(ip -o link | awk -v mac=${mac} 'index($0, mac) { sub(":", "", $2); print $2 }')
[ -n "$dev" ] || { echo "no driver of it has made a link of address ${mac}" >&2; exit 1; }
nmcli device set "$dev" managed no >/dev/null 2>&1
ip link set "$dev" up && ip address replace ${MACHINE_ADDRESS} dev "$dev"`;
  const { status, stderr } = await session.ask(give, attempt);
  if (status !== 0) throw new Error(`the machine’s second network card takes no address: ${stderr.trim()}`);
}

interface Link {
  address?: string;
  addr_info: { family: string; local: string }[];
}

/** The first address of each family that the card has. */
async function addressesOf(session: Session, mac: string, attempt: Attempt): Promise<string[]> {
  const { stdout } = await session.ask('ip -json address show', attempt);
  const own = (JSON.parse(stdout) as Link[]).find(({ address }) => address === mac)?.addr_info ?? [];
  const first = ['inet', 'inet6'].map((name) => own.find(({ family }) => family === name)?.local);
  return first.filter((ip) => ip !== undefined).map((ip) => (isIpv6(ip) ? inGroups(ip) : ip));
}

/** An IPv6 address without the abbreviation of zeros. */
function inGroups(ip: string): string {
  const [head = [], tail = []] = ip.split('::').map((part) => part.split(':').filter(Boolean));
  const zeros = Array.from({ length: 8 - head.length - tail.length }, () => '0');
  return [...head, ...zeros, ...tail].join(':');
}

/** A service may take datagrams without a word: what the machine received tells silence from a firewall. */
async function lookUdp(
  outside: Outside,
  route: Route,
  port: number,
  session: Session,
  attempt: Attempt,
): Promise<Found> {
  const before = await received(session, port, attempt);
  const knock = await knockUdp(outside, route, port, DATAGRAMS);
  const now = knock === 'silent' ? await received(session, port, attempt) : before;
  // Each one that waits takes hundreds of bytes.
  const taken = Math.max(now.read - before.read, now.waiting - before.waiting) >= DATAGRAMS / 2;
  return taken ? 'takes' : knock;
}

/** Datagrams that the machine's services have read or lost for want of room, and bytes that wait for the one at `port`. */
async function received(session: Session, port: number, attempt: Attempt): Promise<{ read: number; waiting: number }> {
  const { stdout } = await session.ask('cat /proc/net/snmp /proc/net/snmp6 /proc/net/udp /proc/net/udp6', attempt);
  const [names = [], counts = []] = stdout
    .split('\n')
    .filter((line) => line.startsWith('Udp: '))
    .map((line) => line.split(' '));
  const count = (name: string): number =>
    Number(counts[names.indexOf(name)] ?? 0) + Number(new RegExp(`^Udp6${name}\\s+(\\d+)`, 'm').exec(stdout)?.[1] ?? 0);
  // sl local_address rem_address st tx_queue:rx_queue …, all in hex.
  const sockets = stdout.matchAll(/^ *\d+: [0-9A-F]+:([0-9A-F]{4}) \S+ \S+ [0-9A-F]+:([0-9A-F]+) /gm);
  const waiting = [...sockets]
    .filter(([, local = '']) => parseInt(local, 16) === port)
    .reduce((sum, [, , queue = '']) => sum + parseInt(queue, 16), 0);
  return { read: count('InDatagrams') + count('RcvbufErrors'), waiting };
}
