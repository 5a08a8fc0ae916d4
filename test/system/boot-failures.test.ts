// Cards that cannot boot, each damaged in one way: the reason is recognised, and nothing else before it.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { reasonOf } from '../../src/boot/firmware/would-not-boot.ts';
import { loadMachine } from '../../src/boot/machine.ts';
import type { Reason } from '../../src/boot/report.ts';
import { packageRoot } from '../../src/host/package-root.ts';
import { run } from '../../src/host/exec.ts';
import { builtWeb } from '../helpers/built.ts';
import { imageWith } from '../helpers/changed-image.ts';
import { partitionOf } from '../helpers/image-files.ts';
import { bootFiles, withQemu } from '../helpers/qemu.ts';

const { image } = await builtWeb();
const work = await mkdtemp(path.join(tmpdir(), 'piimg-failures-'));
const [boot, root] = [await partitionOf(image, 1), await partitionOf(image, 2)];

/** A copy of the image with a file of its boot partition changed, or removed when `change` gives nothing. */
async function cardWith(name: string, change: (text: string) => string | undefined): Promise<string> {
  const card = path.join(work, 'card.img');
  await run(['cp', '--sparse=always', '--reflink=auto', image, card]);
  const [fat, file] = [`${card}@@${boot.offset}`, path.join(work, 'file')];
  await run(['mcopy', '-n', '-o', '-i', fat, `::${name}`, file]);
  const text = change(await readFile(file, 'latin1'));
  await run(['mdel', '-i', fat, `::${name}`]);
  if (text !== undefined) {
    await writeFile(file, text, 'latin1');
    await run(['mcopy', '-i', fat, file, `::${name}`]);
  }
  return card;
}

/** What ends the boot of that card on `virt` first. */
function firstReason(card: string, patches: { offset: number; content: Buffer }[] = []): Promise<Reason | undefined> {
  const folder = path.join(work, 'virt');
  return withQemu({ machine: 'virt', image: card, folder, minutes: 6, patches }, async (guest) => guest.ended);
}

const cmdline = (words: string) => () => cardWith('cmdline.txt', (text) => `${text.trim()} ${words}\n`);

const faults: { fault: string; card: () => Promise<string>; zeros?: number; reason: Reason['code']; says: string }[] = [
  {
    fault: 'a root file system without its superblock',
    card: async () => image,
    zeros: root.offset + 1024,
    reason: 'root-damaged',
    says: 'cannot be mounted',
  },
  {
    fault: 'a PARTUUID that no partition has',
    card: () => cardWith('cmdline.txt', (text) => text.replace(/PARTUUID=\w+/, 'PARTUUID=deadbeef')),
    reason: 'no-root',
    says: 'root file system PARTUUID=deadbeef-02',
  },
  {
    // The kernel has no driver for the disk and waits for ever: known by silence and idle processors.
    fault: 'no initramfs',
    card: () => cardWith('config.txt', (text) => text.replace(/^initramfs .*$/m, '')),
    reason: 'no-root',
    says: 'The kernel did not find its root file system PARTUUID=',
  },
  {
    fault: 'a program that ends as process 1',
    card: cmdline('init=/bin/false'),
    reason: 'panic',
    says: 'Attempted to kill init',
  },
  {
    fault: 'emergency mode',
    card: cmdline('systemd.unit=emergency.target'),
    reason: 'emergency',
    says: 'emergency mode',
  },
  {
    fault: 'a switch-off',
    card: cmdline('systemd.unit=poweroff.target'),
    reason: 'power-off',
    says: 'switched itself off',
  },
];

for (const { fault, card, zeros, reason, says } of faults) {
  test(`${fault}: ${reason}`, async () => {
    const patches = zeros === undefined ? [] : [{ offset: zeros, content: Buffer.alloc(4096) }];
    const found = await firstReason(await card(), patches);
    assert.is(found?.code, reason, found?.message);
    assert.match(found?.message ?? '', says);
  });
}

for (const [name, file] of [
  ['the kernel', /^kernel=(.*)$/m],
  ['the device tree', 'bcm2837-rpi-3-b.dtb'],
] as const) {
  test(`without ${name} the firmware would not start the card`, async () => {
    const config = (await run(['mtype', '-i', `${image}@@${boot.offset}`, '::config.txt'])).stdout;
    const lost = typeof file === 'string' ? file : (file.exec(config)?.[1] ?? '');
    const card = await cardWith(lost, () => undefined);
    const machine = await loadMachine('raspi3b', [path.join(packageRoot, 'qemu/machines')]);
    const error: unknown = await bootFiles(machine, card, work).catch((caught: unknown) => caught);
    assert.is(reasonOf(error)?.code, 'would-not-boot');
    assert.match(reasonOf(error)?.message ?? '', lost);
  });
}

for (const { own, end } of [
  { own: true, end: 'asks who logs in' },
  { own: false, end: 'would be in emergency mode without nofail' },
]) {
  test(`a machine whose boot partition is gone ${end}`, async () => {
    const { stdout } = await run(['debugfs', '-R', 'cat /etc/fstab', `${image}?offset=${root.offset}`]);
    const [, options = ''] = /firmware vfat (\S+)/.exec(stdout) ?? [];
    const others = own ? options : options.replace('nofail,', '');
    assert.is(others === options, own);
    const fstab = stdout
      .replace(options, others.replace(/(device-timeout)=\w+/, '$1=5s'))
      .replace(/PARTUUID=\w+-01/, 'PARTUUID=deadbeef-01');
    const card = await imageWith(image, work, 'web', { files: { 'etc/fstab': fstab } });
    const boot = { machine: 'virt', image: card, folder: path.join(work, 'virt'), minutes: 8 };
    const found = await withQemu(boot, async (guest) => {
      await guest.said(/Timed out waiting for device .*deadbeef/);
      return Promise.race([guest.ended, guest.said(/login:/).then(() => undefined)]);
    });
    assert.is(found?.code, own ? undefined : 'emergency', found?.message);
  });
}

test('the work is cleaned up', async () => {
  await rm(work, { recursive: true });
});

test.run();
