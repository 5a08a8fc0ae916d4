// An image's own boot files, made to fit: what changes, and that nothing else does.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { cmdlineFor, configFor, fstabFor } from '../../../../src/layers/steps/boot-texts.ts';
import { touchesInitramfs } from '../../../../src/layers/steps/image-boot.ts';
import type { LayerEntry } from '../../../../src/layers/layer.ts';

const diskId = '0badcafe';

const lines: [what: string, before: string, words: string[], after: string][] = [
  [
    'trixie: `resize` stays',
    'console=tty1 root=PARTUUID=1a2b3c4d-02 rootfstype=ext4 rootwait resize\n',
    ['quiet'],
    'console=tty1 root=PARTUUID=0badcafe-02 rootfstype=ext4 rootwait resize quiet\n',
  ],
  ['a label', 'root=LABEL=writable rootwait', [], 'root=PARTUUID=0badcafe-02 rootwait\n'],
  ['a device', 'root=/dev/mmcblk0p2 rootwait\r\n', [], 'root=PARTUUID=0badcafe-02 rootwait\n'],
  ['a GPT', 'root=PARTUUID=2e3c1c2a-11d2-4f1e-9d6a-1c2b3a4d5e6f', [], 'root=PARTUUID=0badcafe-02\n'],
  ['a root that is on no disk stays', 'root=/dev/nfs nfsroot=x', [], 'root=/dev/nfs nfsroot=x\n'],
  ['no root at all', 'quiet', ['quiet', 'splash'], 'quiet root=PARTUUID=0badcafe-02 rootwait splash\n'],
];
for (const [what, before, words, after] of lines) {
  test(`the command line: ${what}`, () => assert.is(cmdlineFor(before, { diskId, words }), after));
}

test('config.txt keeps its text, and ends where lines count for every board', () => {
  const text = 'dtparam=audio=on\n\n[cm5]\ndtoverlay=dwc2\n';
  assert.is(configFor(text, []), text);
  const added = configFor(text, [{ filter: 'pi4', lines: ['a=1', 'b=2'] }]);
  assert.is(added, 'dtparam=audio=on\n\n[cm5]\ndtoverlay=dwc2\n\n# What the role adds\n[pi4]\na=1\nb=2\n[all]\n');
});

test('fstab: the image’s options stay, the boot partition is root’s', () => {
  const before = `proc            /proc           proc    defaults          0       0
PARTUUID=1a2b3c4d-01  /boot/firmware  vfat    defaults,umask=0022,flush          0       2
PARTUUID=1a2b3c4d-02  /               ext4    defaults,noatime  0       1
# a swapfile is not a swap partition
`;
  const after = fstabFor(before, diskId);
  assert.is(
    after,
    `proc            /proc           proc    defaults          0       0
PARTUUID=0badcafe-01  /boot/firmware  vfat    defaults,flush,fmask=0077,dmask=0077          0       2
PARTUUID=0badcafe-02  /               ext4    defaults,noatime  0       1
# a swapfile is not a swap partition
`,
  );
  assert.is(fstabFor(after, diskId), after);
  const labels = 'LABEL=writable\t/\text4\tdiscard,errors=remount-ro\t0 1\n#LABEL=x / ext4 defaults 0 1\n';
  assert.is(
    fstabFor(labels, diskId),
    'PARTUUID=0badcafe-02\t/\text4\tdiscard,errors=remount-ro\t0 1\n#LABEL=x / ext4 defaults 0 1\n' +
      'PARTUUID=0badcafe-01 /boot/firmware vfat defaults,fmask=0077,dmask=0077 0 2\n',
  );
  assert.match(
    fstabFor('', diskId),
    /^PARTUUID=0badcafe-01 [^]*\nPARTUUID=0badcafe-02 \/ ext4 defaults,noatime 0 1\n$/,
  );
});

const entry = (path: string, type: LayerEntry['type'] = 'file'): LayerEntry => {
  return { path, type, mode: 0o644, uid: 0, gid: 0, size: 0 };
};
const layers: [path: string, type: LayerEntry['type'], touches: boolean][] = [
  ['usr/share/initramfs-tools/hooks/cryptroot', 'file', true],
  ['usr/lib/modules/6.12.1/extra/x.ko', 'file', true],
  ['etc/modprobe.d/60-piimg.conf', 'file', true],
  ['usr/lib/udev/rules.d/60-x.rules', 'whiteout', true],
  ['usr/share/initramfs-tools', 'directory', false],
  ['usr/bin/node', 'file', false],
  ['etc/default/keyboard', 'file', false],
];
for (const [path, type, touches] of layers) {
  test(`${type} /${path} ${touches ? 'goes' : 'does not go'} into the initramfs`, () => {
    assert.is(touchesInitramfs([[entry('etc/motd')], [entry(path, type)]]), touches);
  });
}

test.run();
