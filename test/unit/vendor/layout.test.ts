// Which partition is booted from, and which is the root: not by labels, not by numbers.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { chooseBoot, chooseRoot, rootOption } from '../../../src/vendor/layout.ts';
import type { Ext4Facts, Partition } from '../../../src/vendor/view.ts';
import { fakeView } from '../../helpers/vendor-view.ts';

const { layout, boot, root } = fakeView({}, {});
const fat = (partition: number, ...names: string[]) => ({ facts: { ...boot.facts, partition }, names });
const ext4 = (partition: number, more: Partial<Ext4Facts> = {}) => ({ facts: { ...root.facts, partition, ...more } });

test('the boot partition is the FAT with most of what the firmware looks for', () => {
  const data = fat(1, 'photos', 'README.TXT');
  assert.is(chooseBoot([data, fat(3, 'CONFIG.TXT', 'kernel8.img')]).chosen.facts.partition, 3);
  assert.is(chooseBoot([fat(1, 'autoboot.txt'), fat(2, 'config.txt', 'start4.elf')]).chosen.facts.partition, 2);
  assert.is(chooseBoot([fat(1, 'config.txt'), fat(2, 'config.txt')]).chosen.facts.partition, 1);
  assert.is(chooseBoot([fat(2, 'EFI')]).why, 'it has EFI');
  assert.throws(() => chooseBoot([data]), /holds what a Raspberry Pi boots/);
  assert.throws(() => chooseBoot([]), /no FAT partition/);
});

const choose = (
  cmdline: string,
  candidates = [ext4(2, { length: 100 }), ext4(3, { length: 300, label: 'data', uuid: 'abcd' })],
) => {
  const third: Partition = { number: 3, start: 0, sectors: 0, type: '0x83', partuuid: '1A2B3C4D-03' };
  const { chosen, why } = chooseRoot(candidates, { cmdline, partitions: [...layout.partitions, third] });
  return `${chosen.facts.partition} ${why}`;
};

test('the root is the one that the command line names, in any of the ways', () => {
  for (const value of [
    'PARTUUID=1a2b3c4d-02',
    '/dev/mmcblk0p2',
    '/dev/sda2',
    '/dev/nvme0n1p2',
    'LABEL=rootfs',
    `UUID=${root.facts.uuid}`,
  ])
    assert.is(choose(`quiet root=${value} rw`), `2 cmdline.txt says root=${value}`);
  assert.match(choose('root=PARTUUID=1a2b3c4d-03'), /^3 cmdline/);
  assert.match(choose('root=LABEL=rootfs root=LABEL=data'), /^3 cmdline/);
  assert.is(rootOption('xroot=a'), undefined);
});

test('where it names none of them, the largest, which is said', () => {
  assert.is(choose('quiet'), '3 the largest of 2 ext4: cmdline.txt names none');
  assert.is(
    choose('root=/dev/sda9'),
    '3 the largest of 2 ext4: cmdline.txt says root=/dev/sda9, which is none of them',
  );
  assert.is(choose('root=overlay', [ext4(2)]), '2 the only ext4: cmdline.txt says root=overlay, which is none of them');
  assert.throws(() => choose('', []), /no ext4 partition/);
});

test.run();
