// Look-alikes of Raspberry Pi OS, one of each era: what piimg reads from them is what the table of facts says, fact by fact.
import { open, readFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { boardNamed } from '../../../src/boot/firmware/boards.ts';
import { selectBootFiles } from '../../../src/boot/firmware/select.ts';
import { withBootPartition } from '../../../src/cli/boot-partition.ts';
import { withImageView } from '../../../src/cli/image-view.ts';
import { run } from '../../../src/host/exec.ts';
import { SECTOR } from '../../../src/image/mbr.ts';
import { readFacts } from '../../../src/vendor/facts.ts';
import { changeRoot, putOnBoot } from '../../fixtures/raspios/disk.ts';
import { ERAS, type Era } from '../../fixtures/raspios/eras.ts';
import { FACTS, factsTable } from '../../fixtures/raspios/facts.ts';
import { makeLookAlike } from '../../fixtures/raspios/make.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';

const folder = temporaryFolder();
const eras = Object.values(ERAS);
const images = new Map<Era, string>();
for (const era of eras) images.set(era, await makeLookAlike(era.name, { size: 'small', folder }));

/** The facts of an image by id, as `inspect --facts` reads them. */
async function factsOf(image: string): Promise<Record<string, string>> {
  const facts = await withImageView(image, (view) => readFacts(view));
  return Object.fromEntries(facts.map(({ id, value }) => [id, value]));
}

const documented = (era: Era): Record<string, string> =>
  Object.fromEntries(FACTS.map((fact) => [fact.id, fact.value(era)]));

for (const era of eras) {
  test(`${era.title}: every fact is as documented`, async () => {
    assert.equal(await factsOf(images.get(era) ?? ''), documented(era));
  });

  test(`${era.title}: both file systems are clean, and the firmware would start it`, async () => {
    const image = images.get(era) ?? '';
    const check = [
      'part() { dd if="$1" of="$1.part" bs=1M iflag=skip_bytes,count_bytes skip="$2" count="$3" conv=sparse status=none; }',
      'part "$1" "$2" 536870912; fsck.vfat -n "$1.part"; rm "$1.part"',
      'part "$1" "$3" 33554432; e2fsck -fn "$1.part"; rm "$1.part"',
    ];
    const places = [era.bootStart, era.rootStart].map((lba) => `${lba * SECTOR}`);
    await run(['sh', '-euc', check.join('\n'), 'sh', image, ...places]);
    const started = await withBootPartition(image, (partition) => selectBootFiles(partition, boardNamed('pi3b')));
    assert.is(started.kernel.path, 'kernel8.img');
    assert.equal(
      started.initramfs.map((file) => file.path),
      ['initramfs8'],
    );
    assert.is(started.deviceTree.path, 'bcm2710-rpi-3-b.dtb');
    assert.ok(started.cmdline.endsWith(`rootwait ${era.cmdline}`), started.cmdline);
  });
}

/** Changes an image in one place each, and which facts must differ then. */
const CHANGES: { what: string; facts: string[]; change: (image: string, era: Era) => Promise<unknown> }[] = [
  { what: 'a byte of the table', facts: ['p2-type'], change: (image) => poke(image, 466, 0x8e) },
  {
    what: 'a letter of a label',
    facts: ['p2-label'],
    change: (image, { rootStart }) => poke(image, rootStart * SECTOR + 1024 + 0x78, 0x42),
  },
  {
    what: 'the word resize',
    facts: ['cmdline', 'resize'],
    change: (image, era) => onBoot(image, era, 'cmdline.txt', (text) => text.replace(' resize', '')),
  },
  {
    what: 'a digit of config.txt',
    facts: ['config-auto-initramfs'],
    change: (image, era) => onBoot(image, era, 'config.txt', (text) => text.replace('initramfs=1', 'initramfs=0')),
  },
  {
    what: 'the templates of the seed, with the package that orders cloud-init',
    facts: ['meta-data', 'init-format'],
    change: async (image, era) => {
      await inRoot(image, era, 'rm /var/lib/dpkg/status');
      const disk = `${image}@@${era.bootStart * SECTOR}`;
      await run(['mdel', '-i', disk, '::user-data', '::meta-data'], { env: { MTOOLS_SKIP_CHECK: '1' } });
    },
  },
  {
    what: 'a unit',
    facts: ['first-boot-units'],
    change: (image, era) => inRoot(image, era, `rm ${WANTS}/sshswitch.service`),
  },
  { what: 'machine-id', facts: ['machine-id'], change: (image, era) => inRoot(image, era, 'rm /etc/machine-id') },
];
const WANTS = '/etc/systemd/system/multi-user.target.wants';

for (const { what, facts, change } of CHANGES) {
  test(`one thing is changed, and found: ${what}`, async () => {
    const era = ERAS['trixie-cloud-init'];
    const image = path.join(folder, 'changed.img');
    await run(['cp', '--sparse=always', images.get(era) ?? '', image]);
    await change(image, era);
    const [seen, expected] = [await factsOf(image), documented(era)];
    assert.equal(
      Object.keys(expected).filter((id) => seen[id] !== expected[id]),
      facts,
    );
  });
}

async function poke(image: string, at: number, byte: number): Promise<void> {
  const file = await open(image, 'r+');
  await file.write(Buffer.of(byte), 0, 1, at);
  await file.close();
}

async function onBoot(
  image: string,
  { bootStart }: Era,
  name: string,
  change: (text: string) => string,
): Promise<void> {
  const disk = `${image}@@${bootStart * SECTOR}`;
  const env = { MTOOLS_SKIP_CHECK: '1' };
  const { stdout } = await run(['mtype', '-i', disk, `::${name}`], { env });
  await putOnBoot(image, bootStart, { [name]: change(`${stdout}\n`) });
}

const inRoot = (image: string, { rootStart }: Era, command: string) => changeRoot(image, rootStart, [command]);

test('the table in the README is this one', async () => {
  const readme = await readFile(new URL('../../fixtures/raspios/README.md', import.meta.url), 'utf8');
  assert.ok(readme.includes(factsTable(eras)), `test/fixtures/raspios/README.md must have:\n${factsTable(eras)}`);
});

test.run();
