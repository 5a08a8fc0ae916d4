// What piimg writes for other makers' first boots, held against what those document: no key that they do not name, no value of another kind.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import { run } from '../../../src/host/exec.ts';
import type { Edit } from '../../../src/seed/formats/edits.ts';
import { editsFor } from '../../../src/seed/formats/write.ts';
import { DOCUMENTED } from '../../helpers/documented-formats.ts';
import {
  CMDLINE,
  factsOf,
  fullNode,
  HASH,
  nodeOf,
  OTHER_FORMATS,
  type OtherFormat,
} from '../../helpers/format-nodes.ts';

type Reading = [keyof typeof DOCUMENTED, unknown][];

/** Python's own parser. */
async function readToml(text: string): Promise<unknown> {
  const program = 'import sys, json, tomllib; print(json.dumps(tomllib.loads(sys.stdin.read())))';
  return JSON.parse((await run(['python3', '-c', program], { input: text })).stdout);
}

/** Sections in brackets (keyfiles); of wpa_supplicant.conf the one in braces. */
function readSections(text: string): Record<string, unknown> {
  const top: Record<string, unknown> = {};
  let section = top;
  for (const line of text.split('\n').map((each) => each.trim())) {
    const name = /^\[(.+)\]$|^(\w+)=\{$/.exec(line);
    if (name) top[name[1] ?? name[2] ?? ''] = section = {};
    else if (line === '}') section = top;
    else if (line !== '') section[line.split('=')[0] ?? ''] = line.slice(line.indexOf('=') + 1);
  }
  return top;
}

/** Programs of Raspberry Pi's that firstrun.sh starts: in the script they stand in variables, and their arguments in `$1` and the like. */
const PROGRAMS: Record<string, string> = {
  '"$custom"': 'imager_custom',
  '"$userconf"': 'userconf',
  'raspi-config': 'raspi-config',
};

function readScript(script: string): Reading {
  // But for where it is only asked whether they are there.
  const calls = [...script.matchAll(/(?<!-x |-v )("\$custom"|"\$userconf"|raspi-config) ([^;|&\n]+)/g)];
  const profiles = [...script.matchAll(/^step set_connection \S+ '([^']*)'$/gm)];
  return [
    ['calls', calls.map(([, program = '', rest = '']) => [PROGRAMS[program], ...rest.trim().split(' ')])],
    ...profiles.map(([, text = '']): Reading[number] => ['keyfile', readSections(text)]),
  ];
}

const READERS: Record<string, (text: string) => Reading | Promise<Reading>> = {
  'custom.toml': async (text) => [['customToml', await readToml(text)]],
  'rpi-preseed.toml': async (text) => [['rpiPreseed', await readToml(text)]],
  'user-data': (text) => [['userData', parse(text)]],
  'meta-data': (text) => [['metaData', parse(text)]],
  'network-config': (text) => [['networkConfig', parse(text)]],
  'firstrun.sh': readScript,
  'wpa_supplicant.conf': (text) => [['wpaSupplicant', readSections(text)]],
  'userconf.txt': (text) => {
    const [, name, hash] = /^([^:]*):(.*)\n$/.exec(text) ?? [];
    return [['userconf', { name, hash }]];
  },
  'cmdline.txt': (text) => [['words', text.trim().split(' ').slice(CMDLINE.trim().split(' ').length)]],
  ssh: (text) => [['ssh', text]],
};

async function readingOf(edits: Edit[]): Promise<Reading> {
  const all: Reading = [];
  for (const edit of edits) {
    if (!('content' in edit)) continue;
    const reader = READERS[edit.path];
    assert.ok(reader, `nobody is known to read ${edit.path}`);
    all.push(...(await reader(edit.content.toString())));
  }
  return all;
}

const complaintsOf = (reading: Reading): string[] =>
  reading.flatMap(([name, value]) => {
    const { error } = DOCUMENTED[name].safeParse(value);
    return (error?.issues ?? []).map(({ path, message }) => `${name} ${path.join('.')}: ${message}`);
  });

const wifi = { ssid: 'guests', country: 'DE' };
const some = { users: [{ name: 'ann', passwordHash: HASH }], network: { wifi } };

/** What of it each format must have been held against, or the readers above have found nothing. */
const HELD: Record<OtherFormat, (keyof typeof DOCUMENTED)[]> = {
  'cloudinit-rpi': ['userData', 'networkConfig', 'metaData', 'words'],
  cloudinit: ['userData', 'networkConfig', 'metaData', 'words'],
  systemd: ['calls', 'keyfile', 'words'],
  'custom-toml': ['customToml'],
  'rpi-preseed': ['rpiPreseed', 'words', 'ssh'],
  userconf: ['userconf', 'wpaSupplicant', 'ssh'],
};

for (const format of OTHER_FORMATS) {
  test(`${format}: nothing but what its reader documents`, async () => {
    const full = fullNode(format);
    const reading = await readingOf(editsFor(format, full.node, full.facts));
    assert.equal(complaintsOf(reading), []);
    const held = reading.filter(([, value]) => !Array.isArray(value) || value.length > 0).map(([name]) => name);
    assert.equal([...new Set(held)].sort(), [...HELD[format]].sort());
    // An open Wi-Fi, a password, no key.
    assert.equal(complaintsOf(await readingOf(editsFor(format, nodeOf(some, 'raspberrypi'), factsOf(format)))), []);
  });
}

test('the control: another key, another kind, another word, another call are complained of', async () => {
  const wrong = Object.entries({
    'custom.toml': 'config_version = 1\n[ssh]\nenable = true\n',
    'rpi-preseed.toml': 'config_version = "1.1"\n[wlan]\nhidden = "yes"\n',
    'user-data': '#cloud-config\nenable_ssh: true\n',
    'meta-data': 'instance-id: a\ninstance_id: rpios-image\n',
    'network-config': 'network: { version: 2, wifis: { wlan0: { access-points: { a: { ssid: a } } } } }\n',
    'firstrun.sh': 'if [ -x "$custom" ]; then\n  true && "$custom" set_user "$1" || return; fi\n',
    'wpa_supplicant.conf': 'network={\n\tssid=guests\n}\n',
    'userconf.txt': 'root:x\n',
    'cmdline.txt': `${CMDLINE.trim()} systemd.run\n`,
    ssh: 'yes',
  }).map(([path, content]) => ({ path, content: Buffer.from(content) }));
  const profile = "step set_connection x '[connection]\nid=x\ntype=wifi\n[wifi]\nessid=x\n'\n";
  wrong.push({ path: 'firstrun.sh', content: Buffer.from(profile) });
  for (const edit of wrong)
    assert.is.not(complaintsOf(await readingOf([edit])).length, 0, `${edit.path}: ${edit.content.toString()}`);
});

test.run();
