// What is written for a first boot is what `piimg inspect` tells of the image afterwards, whichever format it is.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { editsFor } from '../../../src/seed/formats/write.ts';
import { escapeSsid } from '../../../src/seed/wifi.ts';
import { commandsOf, namesOfWifi, promisedByScript } from '../../../src/vendor/first-boot-script.ts';
import { identityOf } from '../../../src/vendor/identity.ts';
import { letsAnybodyIn } from '../../../src/vendor/logins.ts';
import { factsOf, fullNode, nodeOf, OTHER_FORMATS } from '../../helpers/format-nodes.ts';
import { keyLine } from '../../helpers/ssh-keys.ts';
import { TRIXIE } from '../../helpers/vendor-eras.ts';
import { fakeView } from '../../helpers/vendor-view.ts';

const ROOT = { 'etc/hostname': 'raspberrypi\n' };
for (const format of OTHER_FORMATS) {
  test(`${format}: host name, users, ssh, Wi-Fi, host keys`, async () => {
    const { node, facts } = fullNode(format);
    const written = editsFor(format, node, facts).flatMap((edit) =>
      'content' in edit ? [[edit.path, edit.content.toString()]] : [],
    );
    const boot = { 'cmdline.txt': facts.cmdline ?? '', ...(Object.fromEntries(written) as Record<string, string>) };
    const identity = await identityOf(fakeView(boot, ROOT));
    assert.is(await letsAnybodyIn(fakeView(boot, TRIXIE.root)), true);
    assert.is(identity.hostname, node.node);
    // Further users are of commands in Raspberry Pi's cloud-init.
    const users = format === 'cloudinit-rpi' ? node.users.slice(0, 1) : node.users;
    assert.equal(
      identity.users.map(({ name }) => name).sort(),
      users.map(({ name }) => name),
    );
    assert.ok(identity.ssh !== undefined);
    const { ssid = '' } = node.network.wifi ?? {};
    assert.equal(
      identity.wifi.map(({ name }) => name),
      [format === 'cloudinit' ? escapeSsid(ssid) : ssid],
    );
    assert.is(identity.hostKeys.length > 0, facts.hostKeys.length > 0);
  });
}

test('dhcpcd: the Wi-Fi of firstrun.sh is a wpa_supplicant.conf', async () => {
  const node = nodeOf({
    users: [{ name: 'ann', keys: [keyLine()] }],
    network: { wifi: { ssid: 'a "b"', country: 'DE' } },
  });
  const boot = Object.fromEntries(
    editsFor('systemd', node, factsOf('systemd', { network: 'dhcpcd' })).flatMap((edit) =>
      'content' in edit ? [[edit.path, edit.content.toString()]] : [],
    ),
  ) as Record<string, string>;
  assert.equal((await promisedByScript(fakeView(boot, ROOT)))?.wifi, ['a "b"']);
  // A script that nothing names is none.
  assert.is(await promisedByScript(fakeView({ ...boot, 'cmdline.txt': 'quiet' }, ROOT)), undefined);
});

/** As Raspberry Pi Imager has it, in its own words. */
const IMAGER = `#!/bin/bash
set +e
CURRENT_HOSTNAME=\`cat /etc/hostname | tr -d " \\t\\n\\r"\`
if [ -f /usr/lib/raspberrypi-sys-mods/imager_custom ]; then
   /usr/lib/raspberrypi-sys-mods/imager_custom set_hostname pi5
   /usr/lib/raspberrypi-sys-mods/imager_custom enable_ssh
   /usr/lib/userconf-pi/userconf 'dora' '$5$x$y'
   /usr/lib/raspberrypi-sys-mods/imager_custom set_wlan -h 'Home net' 'secret' 'DE'
fi
`;

test('the script of Raspberry Pi Imager: names, no secret', async () => {
  const promised = await promisedByScript(
    fakeView({ 'cmdline.txt': 'quiet systemd.run=/boot/firstrun.sh', 'firstrun.sh': IMAGER }, ROOT),
  );
  const odd = IMAGER.replace("-h 'Home net'", "'-guest-'");
  const other = fakeView({ 'cmdline.txt': 'quiet systemd.run=/boot/firstrun.sh', 'firstrun.sh': odd }, ROOT);
  assert.equal((await promisedByScript(other))?.wifi, ['-guest-']);
  assert.equal(promised, {
    hostname: 'pi5',
    users: ['dora'],
    ssh: true,
    wifi: ['Home net'],
    hostKeys: false,
    keyed: [],
  });
});

test('words of a script, and names of Wi-Fi as files have them', () => {
  assert.equal(commandsOf(`a 'b c'd "e \\"f\\""\n\n'two\nlines' x\\'y\n`), [
    ['a', 'b cd', 'e "f"'],
    ['two\nlines', "x'y"],
  ]);
  assert.equal(namesOfWifi('[connection]\ntype=wifi\n[wifi]\nssid=12345678\n'), ['12345678']);
  assert.equal(namesOfWifi('network={\n\tssid=43616665\n}\n'), ['Cafe']);
  assert.equal(namesOfWifi('network={\n\tssid=4B6166\n}\n'), ['Kaf']);
  assert.equal(namesOfWifi('type=wifi\nssid="x" y\n'), ['"x" y']);
  assert.equal(namesOfWifi('type=wifi\nssid=1;abc\n'), ['1;abc']);
  assert.equal(namesOfWifi('[wifi]\nssid=67;97;102;195;169;\n'), ['Café']);
  assert.equal(namesOfWifi('[wifi]\nssid=67;97;102;233;\n'), ['0x436166e9']);
  assert.equal(namesOfWifi('network={\n\tssid=436166e9\n}\n'), ['0x436166e9']);
});

test.run();
