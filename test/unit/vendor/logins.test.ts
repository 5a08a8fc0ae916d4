// Whether anybody gets in: nobody only of a Raspberry Pi OS that is as it was offered; of whatever may be told otherwise it is not known.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { letsAnybodyIn } from '../../../src/vendor/logins.ts';
import { BOOKWORM, FIRST_TRIXIE, PRESEED, TRIXIE } from '../../helpers/vendor-eras.ts';
import type { Tree } from '../../helpers/vendor-image.ts';
import { fakeView } from '../../helpers/vendor-view.ts';

const { boot: BOOT, root: ROOT } = TRIXIE;
const without = (path: string): Tree => Object.fromEntries(Object.entries(ROOT).filter(([name]) => name !== path));

for (const [name, { boot, root }] of Object.entries({ TRIXIE, FIRST_TRIXIE, BOOKWORM, PRESEED })) {
  test(`nobody: ${name} as it is offered`, async () => {
    assert.is(await letsAnybodyIn(fakeView(boot, root)), false);
  });
}

const SOMEBODY: [string, Tree][] = [
  ['an account with a password', { 'etc/shadow': 'pi:$6$x$y:20000::::::\n' }],
  ['root with a password', { 'etc/shadow': 'root:$6$x$y:20000::::::\npi:!:20000::::::\n' }],
  [
    'a key in a home, wherever that is',
    {
      'etc/passwd': 'kim:x:1000:1000::/srv/kim:/bin/bash\n',
      'etc/shadow': 'kim:!:20000::::::\n',
      'srv/kim/.ssh/authorized_keys': 'ssh-ed25519 AAAA\n',
    },
  ],
];
for (const [name, root] of SOMEBODY) {
  test(`somebody: ${name}`, async () => {
    assert.is(await letsAnybodyIn(fakeView(BOOT, { ...ROOT, ...root })), true);
  });
}

const UNKNOWN: [string, Tree][] = [
  [
    'a host name alone in user-data, with more that is not looked at',
    { 'user-data': '#cloud-config\nhostname: x\nruncmd: [x]\n' },
  ],
  ['user-data that is a script', { 'user-data': '#!/bin/sh\nuseradd ann\n' }],
  ['user-data that includes another', { 'user-data': '#include\nhttps://example.org/x\n' }],
  ['user-data of another format', { 'user-data': '#cloud-boothook\n#x\n' }],
  ['keys in custom.toml', { 'custom.toml': '[ssh]\nauthorized_keys = ["x"]\n' }],
  ['another script of the first boot', { 'cmdline.txt': 'quiet systemd.run=/boot/firmware/worker_firstboot.sh' }],
  ['another init', { 'cmdline.txt': 'quiet init=/usr/lib/kiosk/setup' }],
  ['a seed that is elsewhere', { 'cmdline.txt': 'quiet ds=nocloud;s=http://192.0.2.1/' }],
];
for (const [name, boot] of UNKNOWN) {
  test(`not known: ${name}`, async () => {
    assert.is(await letsAnybodyIn(fakeView({ ...BOOT, ...boot }, ROOT)), undefined);
  });
}

test('not known: an image of pi-gen that asks for no user, and one that is not of pi-gen', async () => {
  for (const path of ['etc/systemd/system/multi-user.target.wants/userconfig.service', 'etc/rpi-issue'])
    assert.is(await letsAnybodyIn(fakeView(BOOT, without(path))), undefined, path);
});

test.run();
