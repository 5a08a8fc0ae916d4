// Which mount points are of a device, from the kernel's own list.
import { stat } from 'node:fs/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { mountPointsIn, mountPointsOf } from '../../../src/host/mounted.ts';

const mountinfo = `21 1 8:2 / / rw,relatime shared:1 - ext4 /dev/sda2 rw
40 21 179:1 / /media/me/boot\\040fs rw,nosuid shared:9 - vfat /dev/mmcblk0p1 rw
41 21 179:2 / /media/me/rootfs rw,nosuid shared:10 - ext4 /dev/mmcblk0p2 rw
42 21 0:25 / /proc rw - proc proc rw
43 21 0:51 /@ /media/me/backup rw shared:11 - btrfs /dev/sdb1 rw
44 21 0:51 /@snapshots /media/me/snapshots rw shared:12 master:3 - btrfs /dev/sdb1 rw
`;

test('mount points of a device and its partitions, with spaces in their names', () => {
  assert.equal(mountPointsIn(mountinfo, ['179:0', '179:1', '179:2']), ['/media/me/boot fs', '/media/me/rootfs']);
  assert.equal(mountPointsIn(mountinfo, ['8:2']), ['/']);
  assert.equal(mountPointsIn(mountinfo, ['8:20', '79:1']), []);
  assert.equal(mountPointsIn(mountinfo, ['8:17', '/dev/sdb1']), ['/media/me/backup', '/media/me/snapshots']);
});

test('a file is no device, and nowhere mounted', async () => {
  assert.not.ok((await stat('package.json')).isBlockDevice());
  if (process.platform === 'linux') assert.equal(await mountPointsOf('package.json'), []);
});

test.run();
