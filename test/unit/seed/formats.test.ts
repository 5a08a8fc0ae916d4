// Each first-boot format: golden files for three nodes, what it cannot carry, and that the README says the same.
import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { PiimgError } from '../../../src/lib/errors.ts';
import {
  cellOf,
  FIELDS,
  FORMATS,
  isYes,
  type FieldName,
  type WrittenFormat,
} from '../../../src/seed/formats/carries.ts';
import { bestEdits, editsFor } from '../../../src/seed/formats/write.ts';
import { factsOf, fullNode, HASH, nodeOf, OTHER_FORMATS, textIn } from '../../helpers/format-nodes.ts';
import { keyLine } from '../../helpers/ssh-keys.ts';
import { golden, root } from '../role/golden.ts';

const wifi = { ssid: 'guests', country: 'DE' };
const keyed = { users: [{ name: 'pi', keys: [keyLine()] }] };

for (const format of OTHER_FORMATS) {
  const userconf = format === 'userconf';
  const least = userconf ? { users: [{ name: 'pi', passwordHash: HASH }] } : keyed;
  const name = userconf ? 'raspberrypi' : 'pi1';
  const cases = {
    full: fullNode(format),
    least: { node: nodeOf(least, name), facts: factsOf(format) },
    'open-wifi': { node: nodeOf({ ...least, network: { wifi } }, name), facts: factsOf(format) },
  };
  for (const [what, { node, facts }] of Object.entries(cases)) {
    test(`${format}: ${what}`, () => {
      const edits = editsFor(format, node, facts);
      const texts = edits.map(
        (edit) => `==> ${edit.path}\n${'content' in edit ? edit.content.toString() : '(removed)\n'}`,
      );
      golden(`${root}/test/golden/formats/${format}/${what}.txt`, texts.join('\n'));
    });
  }

  test(`${format}: the password of a Wi-Fi is nowhere in what is written`, () => {
    const { node, facts } = fullNode(format);
    const secret = { ...node, network: { ...node.network, wifi: { ...wifi, password: 'hunter2hunter2' } } };
    const all = editsFor(format, secret, facts).map(({ path }) => textIn(editsFor(format, secret, facts), path));
    assert.not.match(all.join('\n'), 'hunter2');
  });
}

/** A node that asks for one field, as little else as can be; `extra` is what the field cannot be without. */
const ASKS: Record<FieldName, object> = {
  node: {},
  user: { users: [{ name: 'pi', passwordHash: HASH }] },
  name: { users: [{ name: 'an_n', keys: [keyLine()], passwordHash: HASH }] },
  users: {
    users: [
      { name: 'ann', passwordHash: HASH },
      { name: 'bob', passwordHash: HASH },
    ],
  },
  keys: keyed,
  passwordHash: { users: [{ name: 'ann', passwordHash: HASH }] },
  noPassword: { users: [{ name: 'ann' }] },
  groups: { users: [{ name: 'ann', groups: ['video'], passwordHash: HASH }] },
  sudo: { users: [{ name: 'ann', sudo: false, passwordHash: HASH }] },
  address: { network: { addresses: ['192.168.254.122/24'] } },
  addresses: { network: { addresses: ['fd00::7a/64'] } },
  dns: { network: { addresses: ['192.168.254.122/24'], dns: ['9.9.9.9'] } },
  dnsAlone: { network: { dns: ['9.9.9.9'] } },
  wifi: { network: { wifi } },
  ssid: { network: { wifi: { ...wifi, ssid: 'a;b' } } },
  locale: { locale: 'de_DE.UTF-8' },
  timezone: { timezone: 'Europe/Berlin' },
  hostKeys: { hostKeys: true },
  variables: { variables: { port: 1 } },
  peers: { peers: { db: [] } },
  secrets: { secrets: { a: 'b' } },
  report: { report: 'http://192.168.254.1/' },
};

test('what a format cannot carry is an error that names it, and what it can is written', () => {
  for (const format of OTHER_FORMATS) {
    for (const [field, file] of Object.entries(ASKS) as [FieldName, object][]) {
      const facts = factsOf(format);
      const node = nodeOf(file, field === 'node' ? 'pi1' : 'raspberrypi');
      const cell = cellOf(format, field);
      const { title, said } = FIELDS[field];
      const may = isYes(cell, facts.network);
      let message = '';
      try {
        editsFor(format, node, facts);
      } catch (error) {
        assert.instance(error, PiimgError);
        assert.is((error as PiimgError).exitCode, 2);
        assert.ok((error as PiimgError).hint);
        message = (error as PiimgError).message;
      }
      assert.is(message.includes(`${said}: ${title}`), !may, `${format} ${field}: ${message}`);
    }
  }
});

test('where the network is run by the other of the two, fixed addresses and Wi-Fi are refused or written another way', () => {
  const node = nodeOf({ ...keyed, network: { addresses: ['192.168.254.122/24'] } });
  assert.throws(
    () => editsFor('systemd', node, factsOf('systemd', { network: 'dhcpcd' })),
    /only where NetworkManager/,
  );
  const wireless = nodeOf({ ...keyed, network: { wifi } });
  const old = factsOf('systemd', { network: 'dhcpcd', bootPath: '/boot' });
  const script = textIn(editsFor('systemd', wireless, old), 'firstrun.sh') ?? '';
  assert.match(script, "step set_wpa_supplicant 'country=DE");
  assert.match(script, 'boot=$root/boot\n');
  const closed = nodeOf({ users: [{ name: 'pi', passwordHash: HASH }], network: { wifi } }, 'raspberrypi');
  assert.throws(
    () => editsFor('userconf', closed, factsOf('userconf', { network: 'NetworkManager' })),
    /only where dhcpcd/,
  );
});

test('an image without a first boot, one without cmdline.txt, and a hash that an old one may not know', () => {
  assert.throws(() => editsFor('none', nodeOf({}), factsOf('systemd')), /does nothing on its first boot/);
  assert.throws(() => editsFor('systemd', nodeOf({}), factsOf('systemd', { cmdline: undefined })), /no cmdline\.txt/);
  const node = nodeOf({ users: [{ name: 'ann', passwordHash: '$y$j9T$salt$hash' }] });
  assert.throws(() => editsFor('systemd', node, factsOf('systemd', { released: '2022-04-04' })), /\$y\$/);
  assert.ok(editsFor('systemd', node, factsOf('systemd', { released: '2023-05-03' })));
});

test('words of an earlier time go from cmdline.txt, others and further lines stay', () => {
  const facts = factsOf('cloudinit-rpi', {
    cmdline: 'quiet  ds=nocloud;i=rpi-imager-1 cfg80211.ieee80211_regdom=GB resize\r\nx\r\n',
  });
  const node = nodeOf({ network: { wifi } });
  const after = 'quiet resize cfg80211.ieee80211_regdom=DE ds=nocloud;i=piimg-pi1-0123456789abcdef\nx\n';
  assert.is(textIn(editsFor('cloudinit-rpi', node, facts), 'cmdline.txt'), after);
  const seeded = factsOf('cloudinit', { cmdline: 'ds=nocloud;s=/boot/firmware/;i=old rw\n' });
  assert.match(
    textIn(editsFor('cloudinit', nodeOf({}), seeded), 'cmdline.txt') ?? '',
    /^rw ds=nocloud;s=\/boot\/firmware\/;i=piimg-/,
  );
  const first = textIn(editsFor('systemd', node, factsOf('systemd')), 'cmdline.txt') ?? '';
  assert.is(textIn(editsFor('systemd', node, factsOf('systemd', { cmdline: first })), 'cmdline.txt'), first);
  assert.is(
    textIn(editsFor('cloudinit', node, factsOf('cloudinit', { cmdline: undefined })), 'cmdline.txt'),
    undefined,
  );
});

/** What read the files of the format when it was tried: a table in the README says it, format by format. */
const CONSUMERS: Record<WrittenFormat, { reads: string; run: string }> = {
  piimg: { reads: 'cloud-init and the agent', run: 'yes: every boot test' },
  'cloudinit-rpi': { reads: "Raspberry Pi OS's cloud-init", run: "Debian's, on a look-alike in QEMU" },
  cloudinit: { reads: 'cloud-init', run: 'no; user-data of the same kind in every boot test' },
  systemd: { reads: "systemd's kernel-command-line.service", run: 'yes, on a look-alike of trixie in QEMU' },
  'custom-toml': { reads: "raspberrypi-sys-mods' init_config", run: 'by look-alikes of it, in QEMU' },
  'rpi-preseed': { reads: 'rpi-preseed', run: 'by a look-alike of it, in QEMU; itself by hand, in a scratch root' },
  userconf: { reads: 'userconf-pi, sshswitch', run: 'by look-alikes of them, in QEMU' },
};

test('the README has the table as it is', () => {
  const cells = { yes: 'yes', no: '–', NetworkManager: 'NM', dhcpcd: 'dhcpcd', either: 'NM, dhcpcd' };
  const line = (words: string[]) => `| ${words.join(' | ')} |`;
  const rows = (Object.keys(FIELDS) as FieldName[]).map((field) =>
    line([FIELDS[field].title, ...FORMATS.map((format) => cells[cellOf(format, field)])]),
  );
  const table = [
    line(['', ...FORMATS.map((format) => `\`${format}\``)]),
    line(['', ...FORMATS].map(() => '---')),
    ...rows,
  ];
  const consumers = FORMATS.map((format) => line([`\`${format}\``, CONSUMERS[format].reads, CONSUMERS[format].run]));
  // However a formatter has padded it.
  const tight = (text: string) => text.replaceAll(/ *\| */g, '|').replaceAll(/-{3,}/g, '---');
  const readme = tight(readFileSync(`${root}/src/seed/README.md`, 'utf8'));
  for (const part of [table, consumers]) {
    assert.ok(readme.includes(tight(part.join('\n'))), `src/seed/README.md must have:\n${part.join('\n')}`);
  }
});

test('an account of the role is nobody’s to take over: a format that leaves it alone is taken, or none', () => {
  const node = nodeOf(keyed);
  const facts = factsOf('rpi-preseed', { firstIsRoles: true });
  assert.is(bestEdits(['rpi-preseed', 'systemd'], node, facts).format, 'systemd');
  assert.is(bestEdits(['rpi-preseed', 'systemd'], node, factsOf('rpi-preseed')).format, 'rpi-preseed', 'control');
  assert.throws(() => bestEdits(['rpi-preseed'], node, facts), /which is the role's/);
  assert.is(bestEdits(['rpi-preseed'], nodeOf({}), facts).format, 'rpi-preseed', 'without a user');
});

test.run();
