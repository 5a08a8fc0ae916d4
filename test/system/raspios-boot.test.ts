// Look-alikes of Raspberry Pi OS as SD cards of an emulated Raspberry Pi 3, without a seed: their own first boot runs, and leaves what it should.
import { mkdtemp, open, rm } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { withBootPartition } from '../../src/cli/boot-partition.ts';
import { withImageView } from '../../src/cli/image-view.ts';
import { run } from '../../src/host/exec.ts';
import { hex32 } from '../../src/image/ids.ts';
import { parseMbr, SECTOR } from '../../src/image/mbr.ts';
import { readerOf } from '../../src/image/ranges.ts';
import { removeTrees } from '../../src/layers/cache.ts';
import { userconfEdits } from '../../src/seed/formats/userconf.ts';
import { NODE_SLOTS } from '../../src/seed/node-slots.ts';
import { readFacts } from '../../src/vendor/facts.ts';
import { readBootFile } from '../../src/boot/firmware/partition.ts';
import { changeRoot, putOnBoot } from '../fixtures/raspios/disk.ts';
import { ERAS, type EraName } from '../fixtures/raspios/eras.ts';
import { FACTS } from '../fixtures/raspios/facts.ts';
import { makeLookAlike } from '../fixtures/raspios/make.ts';
import { askAnn, bootForeign } from '../helpers/foreign-boot.ts';
import { factsOf, nodeOf } from '../helpers/format-nodes.ts';
import { testSandbox } from '../helpers/image-tools.ts';
import { assembled, headersOf, imageRecipe, layersOf, treeOf } from '../helpers/rebuilt.ts';

/** What the card says after the first boot. */
async function look(card: string): Promise<{ diskId: string; end: number; sectors: number; cmdline: string }> {
  const file = await open(card);
  try {
    const { size } = await file.stat();
    const { diskId, entries } = parseMbr(await readerOf(file)(0, SECTOR));
    const last = entries.at(-1);
    const cmdline = await withBootPartition(card, async (partition) => {
      const found = await partition.find('cmdline.txt');
      return found ? (await readBootFile(found)).toString().trim() : '';
    });
    return { diskId: hex32(diskId), end: (last?.start ?? 0) + (last?.sectors ?? 0), sectors: size / SECTOR, cmdline };
  } finally {
    await file.close();
  }
}

test('the bootable look-alike of trixie has every fact of its era', async () => {
  const folder = await mkdtemp('/var/tmp/piimg-raspios-');
  try {
    const image = await makeLookAlike('trixie-512', { size: 'bootable', folder });
    const found = await withImageView(image, (view) => readFacts(view));
    assert.equal(
      found.map(({ id, value }) => `${id}: ${value}`),
      FACTS.map((fact) => `${fact.id}: ${fact.value(ERAS['trixie-512'])}`),
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test('with no role, the bootable look-alike becomes the same tree again', async () => {
  const folder = await mkdtemp('/var/tmp/piimg-raspios-');
  const sandbox = await testSandbox();
  try {
    const image = await makeLookAlike('trixie-512', { size: 'bootable', folder });
    const kitchen = { sandbox, cacheDir: path.join(folder, 'cache'), epoch: Math.floor(Date.now() / 1000) + 1 };
    const layers = await layersOf(kitchen, [await imageRecipe(kitchen, image)]);
    const rebuilt = await assembled(kitchen, layers, path.join(folder, 'again.img'));
    // The seed's files are piimg's own.
    const ofBoot = (name: string): boolean => !NODE_SLOTS.some((slot) => slot === name);
    const [before, after] = [await headersOf(image, ofBoot), await headersOf(rebuilt, ofBoot)];
    assert.ok(before.length > 20_000, `${before.length} files`);
    const lines = new Set(before);
    assert.equal(after.filter((line) => !lines.has(line)).slice(0, 5), []);
    assert.is(after.length, before.length);
    assert.is(await treeOf(rebuilt), await treeOf(image));
    await changeRoot(rebuilt, ERAS['trixie-512'].rootStart, ['set_inode_field /etc/hostname mode 0100600']);
    assert.is.not(await treeOf(rebuilt), await treeOf(image), 'negative control');
  } finally {
    // What is in layers belongs to ids that only exist inside the sandbox.
    await removeTrees(sandbox, [path.join(folder, 'cache')]);
    await rm(folder, { recursive: true, force: true });
  }
});

/** Of ann, whom userconf.txt names. */
const PASSWORD = 'correct horse';

/** One answer a line: the account of number 1000, the host keys, bytes of the root file system, what is left of the files that told it. */
const ASK = `id -un 1000; ls /etc/ssh/ssh_host_*_key | wc -l; findmnt -bno SIZE /; cd /boot/firmware; ls | grep -cxE 'userconf.txt|ssh' || true`;

/** Its own first boot, told by userconf.txt and ssh. */
async function assertFirstBoot(era: EraName): Promise<string> {
  const folder = await mkdtemp('/var/tmp/piimg-raspios-');
  try {
    const image = await makeLookAlike(era, { size: 'bootable', folder });
    const { stdout: hash } = await run(['openssl', 'passwd', '-6', '-stdin'], { input: PASSWORD });
    const node = nodeOf({ users: [{ name: 'ann', passwordHash: hash.trim() }] }, 'raspberrypi');
    const edits = userconfEdits(node, factsOf('userconf', { network: 'NetworkManager' }));
    const files = edits.map((edit) => [edit.path, 'content' in edit ? edit.content.toString() : '']);
    await putOnBoot(image, ERAS[era].bootStart, Object.fromEntries(files) as Record<string, string>);
    const login = { password: PASSWORD, folder };
    const { result, consoles, card } = await bootForeign({ machine: 'raspi3b', image, folder, minutes: 25 }, (guest) =>
      guest.until('ssh', () => askAnn(guest, login, ASK)),
    );
    const console = consoles.join('\n');
    assert.match(console, 'Machine model: Raspberry Pi 3 Model B');
    assert.not.match(console, /Kernel panic|emergency mode/);
    const { diskId, end, sectors, cmdline } = await look(card);
    assert.is.not(diskId, hex32(ERAS[era].diskId), 'the disk has an id of its own');
    assert.match(cmdline, `root=PARTUUID=${diskId}-02 `);
    assert.not.match(cmdline, /\b(resize|init=)/);
    assert.is(end, sectors, 'the root partition ends with the card');
    const [user, hostKeys, bytes, left] = result.split('\n');
    assert.equal([user, left], ['ann', '0']);
    assert.ok(Number(hostKeys) >= 2, `${hostKeys} host keys`);
    const partition = (sectors - ERAS[era].rootStart) * SECTOR;
    assert.ok(Number(bytes) > partition * 0.9, `the file system fills it: ${bytes} of ${partition}`);
    return console;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

test('trixie: the initramfs grows the partition and changes the id, systemd grows the file system', async () => {
  assert.match(await assertFirstBoot('trixie-cloud-init'), /EXT4-fs \(mmcblk\dp2\): resized filesystem/);
});

test("bookworm's layout: firstboot is process 1, restarts, and the system comes up from what it left", async () => {
  await assertFirstBoot('bookworm');
});

test.run();
