// Is a port closed: packets as the standards have them, and a machine on a wire that opens, refuses, rejects and drops.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { closedCheck } from '../../../../src/boot/checks/closed.ts';
import type { HealthCheckOf } from '../../../../src/boot/checks/kind.ts';
import { routeTo, withOutside } from '../../../../src/boot/checks/outside/endpoint.ts';
import {
  arp,
  checksum,
  echo,
  FLAG,
  iHave,
  parsePacket,
  tcp,
  udp,
} from '../../../../src/boot/checks/outside/packets.ts';
import type { Look } from '../../../../src/boot/retry.ts';
import { healthCheck } from '../../../../src/role/schema/health.ts';
import { type Behaviour, IP4, IP6, MAC, withFakeMachine } from '../../../helpers/fake-machine.ts';
import { attempt, localSession, sayingSession } from '../../../helpers/local-session.ts';

const work = await mkdtemp(path.join(tmpdir(), 'piimg-closed-'));
const pair = { source: 50_000, destination: 5432 };
const routes = { ipv4: routeTo({ mac: MAC }, IP4), ipv6: routeTo({ mac: MAC }, IP6) };

test('the checksum is that of RFC 1071', () => {
  // The example of section 3 sums to ddf2.
  assert.is(checksum(Buffer.from('0001f203f4f5f6f7', 'hex')), ~0xddf2 & 0xffff);
  assert.is(checksum(Buffer.from('010203', 'hex')), ~(0x0102 + 0x0300) & 0xffff);
});

test('frames are as long as Ethernet wants them', () => {
  const { machine, other } = routes.ipv4;
  for (const frame of [arp(1, other, machine), echo(other, machine, 7), udp(other, machine, pair, Buffer.alloc(3))]) {
    assert.is(frame.length, 60);
  }
});

/** Adds up what a checksum covers: 0 when it is right. */
function sum(frame: Buffer, head: number, addresses: Buffer, protocol: number): number {
  const payload = frame.subarray(14 + head);
  return checksum(Buffer.concat([addresses, Buffer.from([0, 0, 0, payload.length, 0, 0, 0, protocol]), payload]));
}

test('checksums are right', () => {
  const four = tcp(routes.ipv4.other, routes.ipv4.machine, pair, 2 ** 32 - 1, FLAG.syn).subarray(0, 54);
  assert.is(checksum(four.subarray(14, 34)), 0);
  assert.is(sum(four, 20, four.subarray(26, 34), 6), 0);
  const { other, machine } = routes.ipv6;
  for (const [frame, protocol] of [
    [tcp(other, machine, pair, 1, FLAG.syn), 6],
    [udp(other, machine, pair, Buffer.from('odd')), 17],
    [echo(other, machine, 7), 58],
    [iHave(other, machine), 58],
  ] as const) {
    assert.is(sum(frame, 40, frame.subarray(22, 54), protocol), 0);
  }
});

for (const [family, { machine, other }] of Object.entries(routes)) {
  test(`${family}: what is written is read`, () => {
    const from = other.ip;
    assert.equal(parsePacket(tcp(other, machine, pair, 9, FLAG.syn)), {
      protocol: 'tcp',
      from,
      ...pair,
      sequence: 9,
      flags: FLAG.syn,
    });
    assert.equal(parsePacket(udp(other, machine, pair, Buffer.alloc(9))), { protocol: 'udp', from, ...pair });
    assert.equal(parsePacket(echo(other, machine, 7)), { protocol: 'icmp', from, type: 'echo', id: 7 });
    const { targetIp, ...told } = parsePacket(iHave(other, machine)) as { targetIp: string };
    assert.equal(told, { protocol: 'neighbour', asks: false, sender: other });
    assert.is(targetIp, family === 'ipv4' ? machine.ip : other.ip);
  });
}

test('other frames are nothing', () => {
  for (const length of [0, 3, 41, 60, 1500]) assert.is(parsePacket(Buffer.alloc(length)), undefined);
});

/** /proc/net/snmp and /proc/net/udp of a machine whose services have read so many datagrams, with bytes waiting at port 53. */
const proc = (read: number, waiting: number): string =>
  [
    'Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors',
    `Udp: ${read} 3 0 9 0`,
    'UdpLite: InDatagrams NoPorts',
    'UdpLite: 0 0',
    '   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt',
    ` 1206: 00000000:0035 00000000:0000 07 00000000:${waiting.toString(16).padStart(8, '0').toUpperCase()} 00:00000000 00000000`,
    ' 1207: 00000000:0036 00000000:0000 07 00000000:00FF0000 00:00000000 00000000',
  ].join('\n');

const LINKS = JSON.stringify([
  { addr_info: [{ family: 'inet', local: '127.0.0.1' }] },
  { address: '52:54:00:12:34:56', addr_info: [{ family: 'inet', local: '10.0.2.15' }] },
  {
    address: MAC,
    addr_info: [
      { family: 'inet', local: IP4 },
      { family: 'inet6', local: 'fe80::5054:ff:fe12:3457' },
    ],
  },
]);

interface Case extends Partial<Behaviour> {
  /** What a service does with datagrams. */
  service?: 'reads' | 'waits';
  links?: string;
}

async function lookAt(protocol: 'tcp' | 'udp', { service, links = LINKS, ...does }: Case): Promise<Look> {
  const file = path.join(work, 'wire');
  let datagrams = 0;
  const onUdp = (): void => void (datagrams += 1);
  return withFakeMachine(file, { ipv4: 'drop', ipv6: 'drop', ping: true, onUdp, ...does }, () =>
    withOutside({ file, mac: MAC, wait: 0.2 }, (outside) => {
      const check = healthCheck.parse({ check: 'closed', port: 53, protocol }) as HealthCheckOf<'closed'>;
      const session = sayingSession('');
      session.ask = async (command) => {
        // Others come in by chance.
        const read = 100 + (service === 'reads' ? datagrams : Math.min(40, datagrams));
        const stdout = command.startsWith('ip ') ? links : proc(read, service === 'waits' ? datagrams * 768 : 0);
        return { status: 0, stdout, stderr: '' };
      };
      return closedCheck.look({ ports: {}, session, outside }, check, attempt());
    }),
  );
}

const CASES: [title: string, protocol: 'tcp' | 'udp', does: Case, ok: boolean, seen: RegExp][] = [
  ['an open port is seen', 'tcp', { ipv4: 'open' }, false, /^IPv4: open: it answers, IPv6: what is sent is dropped$/],
  [
    'one that is open by IPv6 only too',
    'tcp',
    { ipv6: 'open' },
    false,
    /^IPv4: what.* dropped, IPv6: open: it answers$/,
  ],
  ['a refused one is closed', 'tcp', { ipv4: 'refuse', ipv6: 'refuse' }, true, /^IPv4: it refuses, IPv6: it refuses$/],
  ['a rejected one is closed', 'tcp', { ipv4: 'reject', ipv6: 'reject' }, true, /^IPv4: it refuses, IPv6: it refuses$/],
  [
    'a refusal needs no ping',
    'tcp',
    { ipv4: 'refuse', ipv6: 'reject', ping: false },
    true,
    /^IPv4: it refuses, IPv6: it refuses$/,
  ],
  ['a dropped one is closed', 'tcp', {}, true, /dropped.*dropped/],
  ['silence of a machine that is not there proves nothing', 'tcp', { ping: false }, false, /not known.*not known/],
  ['a machine without IPv6', 'tcp', { links: LINKS.replace('inet6', 'none') }, true, /^IPv4: what is sent is dropped$/],
  ['a service that answers', 'udp', { ipv4: 'open' }, false, /^IPv4: open: it answers/],
  ['nobody there', 'udp', { ipv4: 'refuse', ipv6: 'refuse' }, true, /refuses.*refuses/],
  [
    'nobody there, who answers no ping',
    'udp',
    { ipv4: 'refuse', ipv6: 'refuse', ping: false },
    true,
    /refuses.*refuses/,
  ],
  ['a firewall', 'udp', {}, true, /dropped.*dropped/],
  ['a service that takes all and says nothing', 'udp', { service: 'reads' }, false, /takes what is sent/],
  ['a service that does not get round to reading', 'udp', { service: 'waits' }, false, /takes what is sent/],
];

for (const [title, protocol, does, ok, seen] of CASES) {
  test(`${protocol}: ${title}`, async () => {
    const found = await lookAt(protocol, does);
    assert.match(found.seen, seen);
    assert.is(found.ok, ok);
  });
}

test('a card without address cannot be asked', async () => {
  const links = LINKS.replaceAll('inet', 'none');
  const error = await lookAt('tcp', { links }).catch((reason: unknown) => reason);
  assert.match((error as Error).message, /no address/);
});

test('a card that no seed could give an address gets it when it is asked by, and only then', async () => {
  const given = async (givesAddress: boolean): Promise<string[]> => {
    const asked: string[] = [];
    const bare = JSON.stringify([{ address: MAC, addr_info: [] }]);
    const session = sayingSession('');
    session.ask = async (command) => {
      asked.push(command);
      return { status: 0, stdout: bare, stderr: '' };
    };
    const check = healthCheck.parse({ check: 'closed', port: 53 }) as HealthCheckOf<'closed'>;
    await withFakeMachine(path.join(work, 'wire'), { ipv4: 'drop', ipv6: 'drop', ping: true, onUdp: () => {} }, () =>
      withOutside({ file: path.join(work, 'wire'), mac: MAC, givesAddress }, async (outside) => {
        const look = closedCheck.look({ ports: {}, session, outside }, check, attempt());
        const said = await look.catch((error: unknown) => error);
        assert.match((said as Error).message, 'has no address');
      }),
    );
    return asked.filter((command) => command.includes('ip address replace'));
  };
  assert.match((await given(true)).join(), /mac=5[^]*198\.51\.100\.1\/24/);
  assert.equal(await given(false), []);
});

test('a card that no driver of the machine has taken is said to be that', async () => {
  // This computer has no such card.
  const session = localSession();
  const check = healthCheck.parse({ check: 'closed', port: 53 }) as HealthCheckOf<'closed'>;
  await withFakeMachine(path.join(work, 'wire'), { ipv4: 'drop', ipv6: 'drop', ping: true, onUdp: () => {} }, () =>
    withOutside({ file: path.join(work, 'wire'), mac: MAC, givesAddress: true }, async (outside) => {
      const look = closedCheck.look({ ports: {}, session, outside }, check, attempt());
      const said = await look.catch((error: unknown) => error);
      assert.match((said as Error).message, `no driver of it has made a link of address ${MAC}`);
    }),
  );
});

test('the work is cleaned up', async () => {
  await rm(work, { recursive: true });
});

test.run();
