// Whatever a node says comes back from what is written: TOML read by Python, YAML by a YAML parser, keyfiles and shell words.
import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import { run } from '../../../src/host/exec.ts';
import { refusalsOf } from '../../../src/seed/formats/carries.ts';
import { wifiKeyfile } from '../../../src/seed/formats/network-manager.ts';
import { toml } from '../../../src/seed/formats/toml.ts';
import { wpaSupplicant } from '../../../src/seed/formats/userconf.ts';
import { editsFor } from '../../../src/seed/formats/write.ts';
import { nodeSchema, type Node } from '../../../src/seed/node.ts';
import { looksLikeBytes, shownSsid, unescapeSsid } from '../../../src/seed/wifi.ts';
import { factsOf, nodeOf, textIn, type OtherFormat } from '../../helpers/format-nodes.ts';
import { keyLine } from '../../helpers/ssh-keys.ts';

/** Names that have bitten somebody, and any others that the language takes. */
const ssids = fc
  .oneof(
    fc.constantFrom(
      "it's",
      '"',
      '\\',
      '\\n',
      '$(id)',
      '`id`',
      'a;b',
      '1;2;',
      ' x',
      'x ',
      '#',
      '-h',
      '--plain',
      '🍓',
      'a]b',
      '%s',
    ),
    fc.string({ unit: 'binary', maxLength: 32 }),
    fc.string({ unit: 'grapheme-ascii', maxLength: 32 }),
  )
  .filter((ssid) => nodeSchema.safeParse({ version: 1, network: { wifi: { ssid, country: 'DE' } } }).success);
const comments = fc.string({ unit: 'grapheme-ascii', maxLength: 20 }).filter((text) => /^[^\p{Cc}]*$/u.test(text));

const samples = fc.sample(fc.record({ ssid: ssids, comment: comments }), 300);
const nodes = samples.map(({ ssid, comment }) =>
  nodeOf({ users: [{ name: 'ann', keys: [keyLine(comment.trim())] }], network: { wifi: { ssid, country: 'DE' } } }),
);
const taken = (format: OtherFormat): Node[] =>
  nodes.filter((node) => refusalsOf(format, node, factsOf(format)).length === 0);
const ssidOf = ({ network }: Node): string => shownSsid(network.wifi?.ssid ?? '');

/** What Python's tomllib, a parser that nobody here wrote, makes of texts. */
async function readToml(texts: string[]): Promise<Record<string, Record<string, unknown>>[]> {
  const program = 'import sys, json, tomllib; print(json.dumps([tomllib.loads(t) for t in json.load(sys.stdin)]))';
  const { stdout } = await run(['python3', '-c', program], { input: JSON.stringify(texts) });
  return JSON.parse(stdout) as Record<string, Record<string, unknown>>[];
}

test('custom.toml: tomllib reads names and keys as they were given', async () => {
  const those = taken('custom-toml');
  assert.ok(those.length > 100);
  const texts = those.map((node) => textIn(editsFor('custom-toml', node, factsOf('custom-toml')), 'custom.toml') ?? '');
  for (const [index, read] of (await readToml(texts)).entries()) {
    const node = those[index] as Node;
    assert.is(read['wlan']?.['ssid'], ssidOf(node));
    assert.is(read['config_version'], 1);
    const [key = ''] = (read['ssh']?.['authorized_keys'] ?? []) as string[];
    assert.equal(key.split(' ').slice(0, 2), node.users[0]?.keys[0]?.split(' ').slice(0, 2));
  }
});

test('rpi-preseed.toml: tomllib reads names, in hex where they are no plain ones, and a command that the shell takes', async () => {
  const those = taken('rpi-preseed');
  assert.is(those.length, nodes.length);
  const texts = those.map(
    (node) => textIn(editsFor('rpi-preseed', node, factsOf('rpi-preseed')), 'rpi-preseed.toml') ?? '',
  );
  for (const [index, { wlan, runcmd }] of (await readToml(texts)).entries()) {
    const hex = wlan?.['ssid_hex'] as string | undefined;
    assert.is(hex === undefined ? wlan?.['ssid'] : Buffer.from(hex, 'hex').toString(), ssidOf(those[index] as Node));
    const commands = (runcmd?.['early'] ?? []) as string[];
    assert.is(commands.length, 2);
    if (index < 10) await run(['sh', '-n', '-c', commands.join('\n')]);
  }
});

test('any TOML string without control characters comes back, also in arrays', async () => {
  const text = fc.string({ unit: 'binary', maxLength: 40 }).filter((value) => !/[\p{Cc}\p{Cs}]/u.test(value));
  const values = fc.sample(fc.array(text, { maxLength: 4 }), 300);
  const texts = values.map((list) => toml({ list }, { table: { list, first: list[0] } }));
  for (const [index, read] of (await readToml(texts)).entries()) {
    const list = values[index] as string[];
    assert.equal(read['list'], list);
    assert.equal(read['table'], { list, ...(list[0] !== undefined && { first: list[0] }) });
  }
});

test('user-data and network-config: YAML reads what was given', () => {
  for (const format of ['cloudinit', 'cloudinit-rpi'] as const) {
    // To NetworkManager such a name is a list of bytes: it is refused.
    const those = taken(format).filter((node) => format === 'cloudinit' || !looksLikeBytes(ssidOf(node)));
    for (const node of those) {
      const edits = editsFor(format, node, factsOf(format));
      assert.match(textIn(edits, 'user-data') ?? '', /^#cloud-config\n/);
      const user = parse(textIn(edits, 'user-data') ?? '') as { user: { ssh_authorized_keys: string[] } };
      assert.equal(user.user.ssh_authorized_keys, node.users[0]?.keys);
      const { network } = parse(textIn(edits, 'network-config') ?? '') as {
        network: { ethernets: object; wifis: { wlan0: { 'access-points': object } } };
      };
      const [name = ''] = Object.keys(network.wifis.wlan0['access-points']);
      assert.is(format === 'cloudinit' ? unescapeSsid(name) : name, ssidOf(node));
      assert.is(Object.keys(network.ethernets).length, 1);
    }
  }
});

test('keyfiles and wpa_supplicant.conf: the bytes of the name come back, and no line is added', () => {
  for (const node of nodes) {
    const { wifi } = node.network;
    assert.ok(wifi);
    const lines = wifiKeyfile(wifi).split('\n');
    const name = lines.find((line) => line.startsWith('ssid='))?.slice('ssid='.length) ?? '';
    const read = /^(\d+;)+$/.test(name) ? Buffer.from(name.split(';').slice(0, -1).map(Number)).toString() : name;
    assert.is(read, wifi.ssid);
    assert.is(lines.length, wifiKeyfile({ ssid: 'a', country: 'DE' }).split('\n').length);
    const hex = /\tssid=(.*)/.exec(wpaSupplicant(wifi))?.[1] ?? '';
    assert.is(Buffer.from(hex, 'hex').toString(), wifi.ssid);
  }
});

test('firstrun.sh: the shell takes each script, and its words are those of the node', async () => {
  const scripts = taken('systemd').map(
    (node) => textIn(editsFor('systemd', node, factsOf('systemd')), 'firstrun.sh') ?? '',
  );
  assert.is(scripts.length, nodes.length);
  // Only the calls: each is to print its words instead of being done.
  const calls = scripts.map((text) => text.slice(text.indexOf('\nstep set_hostname')).replace(/\nfinish\n$/, '\n'));
  const program = `step() { for word; do printf '%s\\037' "$word"; done; printf '\\036'; }\n${calls.join("\nprintf '\\035'\n")}`;
  const { stdout } = await run(['sh'], { input: program });
  for (const [index, said] of stdout.split('\x1d').entries()) {
    const steps = said.split('\x1e').map((step) => step.trim().split('\x1f').slice(0, -1));
    const node = nodes[index] as Node;
    assert.equal(steps.find(([name]) => name === 'set_keys')?.slice(2), node.users[0]?.keys);
    const profile = steps.find(([name, which]) => name === 'set_connection' && which === 'piimg-wifi')?.[2];
    assert.is(profile?.trim(), wifiKeyfile({ ssid: ssidOf(node), country: 'DE' }).trim());
  }
});

test('line breaks and NUL are refused before any writer sees them', () => {
  for (const bad of ['\r', '\n', '\0', '\x7f']) {
    for (const file of [
      { network: { wifi: { ssid: `a${bad}b`, country: 'DE' } } },
      { users: [{ name: 'ann', keys: [`${keyLine()}${bad}`] }] },
      { users: [{ name: `ann${bad}` }] },
      { users: [{ name: 'ann', passwordHash: `$6$a${bad}$b` }] },
      { timezone: `Europe/Berlin${bad}` },
      { locale: `de_DE.UTF-8${bad}` },
      { node: `pi1${bad}` },
    ]) {
      assert.not.ok(nodeSchema.safeParse({ version: 1, ...file }).success, JSON.stringify(file));
    }
  }
});

test.run();
