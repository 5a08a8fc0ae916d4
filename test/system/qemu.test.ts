// Negative controls of what boots images and judges boots: neither calls a bad boot good, nor leaves a machine behind.
import { mkdtemp, open, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { run } from '../../src/host/exec.ts';
import { encodeMbr } from '../../src/image/mbr.ts';
import { assertBooted } from '../helpers/booted.ts';
import { withQemu, type Guest } from '../helpers/qemu.ts';

/** A card of 40 MiB whose kernel is no program. */
async function deadCard(folder: string): Promise<string> {
  const image = path.join(folder, 'dead.img');
  const start = 2048;
  await writeFile(image, encodeMbr(1, [{ number: 1, type: 0x0c, start, sectors: 79_872 }]));
  await truncate(image, 40 << 20);
  await run(['mkfs.vfat', '-F', '32', '-s', '1', '--offset', String(start), image, '39936']);
  const files = {
    'config.txt': '[pi5]\nkernel=other\n[all]\nkernel=kernel\ninitramfs initrd followkernel\n',
    'cmdline.txt': 'root=none\n',
    kernel: 'no program',
    initrd: 'no archive',
    'bcm2837-rpi-3-b.dtb': 'no tree',
  };
  for (const [name, content] of Object.entries(files)) {
    const source = path.join(folder, `source-${name}`);
    await writeFile(source, content);
    await run(['mcopy', '-i', `${image}@@${start * 512}`, source, `::${name}`]);
  }
  return image;
}

test('a machine that never comes up is ended at its deadline, and said', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'piimg-qemu-'));
  const image = await deadCard(folder);
  const place = path.join(folder, 'machine');
  const boot = withQemu({ machine: 'virt', image, folder: place, forward: [3000], minutes: 0.05 }, async (guest) => {
    assert.match(guest.cmdline, /^root=none console=ttyAMA0/);
    await guest.said(/Linux version/);
  });
  const error = await boot.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.match(
    (error as Error).message,
    /waiting for .*Linux version.* not done within 0\.05 minutes[^]*The console's last lines/,
  );
  const left = await run(['pgrep', '--full', '--', place], { okCodes: [0, 1] });
  assert.is(left.stdout, '', 'QEMU still runs');
  const file = await open(image);
  assert.is((await file.stat()).size, 40 << 20);
  await file.close();
  await rm(folder, { recursive: true });
});

const GOOD = `Machine model: linux,dummy-virt
[  OK  ] Reached target multi-user.target - Multi-User System.
[   81.8] EXT4-fs (vda2): resized filesystem to 915451
[  101.8] cloud-init[412]: Cloud-init v. 25.1.4 finished at Sat, 21 Nov 2026 02:48:48 +0000. Datasource DataSourceNoCloud [seed=x].  Up 101.80 seconds
`;

/** A machine that has said `console` and answers with `body`. */
function guestThat(console: string, body = 'ok\n'): Guest {
  const answer = { status: 200, text: body };
  return {
    card: '',
    cmdline: '',
    ports: {},
    console: async () => console,
    said: async (pattern) => pattern.exec(console) ?? Promise.reject(new Error(`never said ${pattern}`)),
    until: async () => answer as never,
    off: async () => {},
  };
}

test('a good boot is called good', async () => {
  await assertBooted(guestThat(GOOD));
});

for (const [fault, guest] of [
  ['no end of cloud-init', guestThat(GOOD.replace('finished', 'running'))],
  ['no seed', guestThat(GOOD.replace('DataSourceNoCloud', 'DataSourceNone'))],
  ['a failed unit', guestThat(`${GOOD}[FAILED] Failed to start web.service - A web application.\n`)],
  ['a root file system that did not grow', guestThat(GOOD.replace('resized', 'mounted'))],
  ['an unchecked root file system', guestThat(`${GOOD}Warning: fsck not present, so skipping root file system\n`)],
  ['another answer', guestThat(GOOD, 'no')],
] as const) {
  test(`a boot with ${fault} is not`, async () => {
    const error = await assertBooted(guest).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    assert.instance(error, Error);
  });
}

test.run();
