// `piimg seed` on a real image and on a card: in place after another computer was at the boot partition, by the stock tools' own eyes.
import { copyFile, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import { withCard, findSlots } from '../../src/cli/seed-card.ts';
import { EXIT } from '../../src/lib/errors.ts';
import { run } from '../../src/host/exec.ts';
import { mountPointsOf } from '../../src/host/mounted.ts';
import { minimalSeed, SLOT_LENGTHS } from '../../src/seed/minimal.ts';
import { piimgCommand } from '../helpers/command.ts';
import { BUILD_ID, SCHEMAS } from '../helpers/seed-image.ts';
import { keyLine } from '../helpers/ssh-keys.ts';
import { withLoop, withRootMounted } from '../helpers/loop.ts';
import { assemble, BOOT, judge, ROOT, sh, work } from '../helpers/small-image.ts';
import { piimg } from '../unit/cli/piimg.ts';

const image = join(work, 'web.img');
const bootFiles = Object.entries(SCHEMAS).map(([name, schema]) => ({
  path: `piimg/${name}`,
  content: gzipSync(JSON.stringify(schema)),
}));
const cmdline = { path: 'cmdline.txt', content: Buffer.from('root=PARTUUID=1a2b3c4d-02\n') };
await assemble('web.img', undefined, {
  buildId: BUILD_ID,
  seed: minimalSeed(BUILD_ID),
  bootFiles: [cmdline, ...bootFiles],
});
await writeFile(join(work, 'me.pub'), `${keyLine()}\n`);

const seed = (...args: string[]) => piimg(['seed', ...args], { cwd: work });
const mtools = (disk: string, program: string, ...args: string[]) =>
  run([program, '-i', `${disk}@@${BOOT}`, ...args], { env: { MTOOLS_SKIP_CHECK: '1' } });
const slotText = async (disk: string, name: string) => (await mtools(disk, 'mtype', `::${name}`)).stdout;
const NODE = ['--node', 'pi-web1', '--ssh-key', 'me.pub', '--set', 'port=3000'];

/** A copy of the image for one test. */
async function card(name: string): Promise<string> {
  await sh('cp --sparse=always "$1" "$2"', image, join(work, name));
  return join(work, name);
}

/** The seed of a node is there, every file of it at its full length, and the boot partition is sound. */
async function proveSeeded(disk: string): Promise<void> {
  assert.is((parse(await slotText(disk, 'user-data')) as { hostname: string }).hostname, 'pi-web1');
  assert.match(await slotText(disk, 'meta-data'), /"instance-id": "piimg-pi-web1-[0-9a-f]{16}"/);
  assert.is((JSON.parse(await slotText(disk, 'piimg.json')) as { buildId: string }).buildId, BUILD_ID);
  assert.is((parse(await slotText(disk, 'network-config')) as { version: number }).version, 2);
  await withCard(disk, {}, async (found) => {
    for (const { name, entry } of await findSlots(found)) assert.is(entry?.size, SLOT_LENGTHS[name], name);
  });
  await sh(FSCK, disk);
}

const FSCK = `
dd if="$1" of="$1.part" bs=1M iflag=skip_bytes,count_bytes skip=${BOOT} count=$((1048576 * 512)) conv=sparse status=none
fsck.vfat -n "$1.part"; rm "$1.part"
`;

test('a copy differs from the image in its seed slots only, and both are sound', async () => {
  const { exitCode, stderr, stdout } = await seed('web.img', '--out', 'pi.img', ...NODE);
  assert.is(exitCode, 0, stderr);
  assert.match(stdout, "with cloud-init's schemas");
  await proveSeeded(join(work, 'pi.img'));
  await judge(join(work, 'pi.img'));
  const [before, after] = await Promise.all([image, join(work, 'pi.img')].map((file) => withoutSlots(file)));
  assert.is(after, before);
  const [source, copy] = await Promise.all([stat(image), stat(join(work, 'pi.img'))]);
  assert.is(copy.size, source.size);
  assert.ok(copy.blocks <= source.blocks, 'holes are holes');
});

test('another identity takes the result of the one before off the card', async () => {
  const disk = await card('used.img');
  const told = JSON.stringify({
    version: 1,
    status: 'applied',
    node: 'before',
    role: 'web',
    seconds: 1,
    steps: [],
    notes: [],
  });
  await writeFile(join(work, 'told'), told.padEnd(16 * 1024, '\n'));
  await mtools(disk, 'mcopy', join(work, 'told'), '::piimg-result.json');
  assert.match((await piimg(['result', disk])).stdout, 'before is web');
  assert.is((await seed(disk, '--in-place', ...NODE)).exitCode, 0);
  await proveSeeded(disk);
  const { exitCode, stderr } = await piimg(['result', disk]);
  assert.is(exitCode, EXIT.failed);
  assert.match(stderr, 'has no result yet');
});

/** The digest of an image with zeros where its slots are. */
async function withoutSlots(file: string): Promise<string> {
  const blank = `${file}.blank`;
  await sh('cp --sparse=always "$1" "$2"', file, blank);
  const slots = await withCard(file, {}, (found) => Promise.resolve(found.header.slots));
  for (const { offset, length } of slots) {
    const where = [`seek=${offset}`, `count=${length}`, 'oflag=seek_bytes', 'iflag=count_bytes', 'conv=notrunc'];
    await run(['dd', 'if=/dev/zero', `of=${blank}`, 'bs=4096', 'status=none', ...where]);
  }
  return sh('sha256sum < "$1"; rm "$1"', blank);
}

/** What another computer may have done to the boot partition. */
const changes: Record<string, (disk: string) => Promise<unknown>> = {
  nothing: () => Promise.resolve(),
  'a file was moved: removed, something else put in its place, written anew': async (disk) => {
    await mtools(disk, 'mdel', '::user-data');
    await writeFile(join(work, 'filler'), Buffer.alloc(5000, 'f'));
    await mtools(disk, 'mcopy', join(work, 'filler'), '::filler');
    await writeFile(join(work, 'user-data'), minimalSeed(BUILD_ID)[0]?.content ?? '');
    await mtools(disk, 'mcopy', join(work, 'user-data'), '::user-data');
    await mtools(disk, 'mdel', '::filler');
  },
  'an editor cut the padding off': async (disk) => {
    await writeFile(join(work, 'cut'), '#cloud-config\nhostname: by-hand\n');
    await mtools(disk, 'mcopy', '-o', join(work, 'cut'), '::user-data');
  },
  'an editor made a file longer': async (disk) => {
    await writeFile(join(work, 'long'), `#cloud-config\n${'# more\n'.repeat(12_000)}`);
    await mtools(disk, 'mcopy', '-o', join(work, 'long'), '::user-data');
  },
  'all four files were removed': (disk) =>
    mtools(disk, 'mdel', '::user-data', '::meta-data', '::network-config', '::piimg.json'),
  'another system gave the name in capitals': async (disk) => {
    await mtools(disk, 'mren', '::piimg.json', '::PIIMG.JSN');
    await mtools(disk, 'mren', '::PIIMG.JSN', '::PIIMG.JSON');
  },
  'an empty file': async (disk) => {
    await writeFile(join(work, 'empty'), '');
    await mtools(disk, 'mcopy', '-o', join(work, 'empty'), '::meta-data');
  },
};
for (const [name, change] of Object.entries(changes)) {
  test(`in place: ${name}`, async () => {
    const disk = await card('card.img');
    await change(disk);
    const { exitCode, stderr } = await seed('card.img', '--in-place', ...NODE);
    assert.is(exitCode, 0, stderr);
    await proveSeeded(disk);
    assert.match((await seed('show', 'card.img')).stdout, /^node +pi-web1$/m);
  });
}

test('negative control: the judge sees a file that is not as long as its slot', async () => {
  const disk = await card('card.img');
  await changes['an editor cut the padding off']?.(disk);
  const problem: unknown = await proveSeeded(disk).catch((error: unknown) => error);
  assert.instance(problem, assert.Assertion);
});

test('a folder in the place of a file is refused, and nothing is written', async () => {
  const disk = await card('card.img');
  await mtools(disk, 'mdel', '::network-config');
  await mtools(disk, 'mmd', '::network-config');
  const before = await sh('sha256sum < "$1"', disk);
  const { exitCode, stderr } = await seed('card.img', '--in-place', ...NODE);
  assert.match(stderr, 'network-config is a folder');
  assert.is(exitCode, EXIT.failed);
  assert.is(await sh('sha256sum < "$1"', disk), before);
});

/** As root, as devices are. */
const seedAsRoot = (...args: string[]): Promise<string> =>
  sh('cd "$1"; shift; "$@"', work, ...piimgCommand(), 'seed', ...args);

test('a card is written, also where a file has to be made anew', async () => {
  const disk = await card('card.img');
  await changes['an editor cut the padding off']?.(disk);
  await withLoop(disk, async (device) => {
    assert.match(await seedAsRoot(device, '--in-place', ...NODE), `pi-web1: written to ${device}`);
    assert.match(await seedAsRoot('show', device), /^node +pi-web1$/m);
  });
  await proveSeeded(disk);
});

test('a mounted card is refused, and not a byte of it changes', async () => {
  const disk = await card('card.img');
  const mount = join(work, 'mounted here');
  const sectors = ((await stat(disk)).size - ROOT) / 512;
  const digest = () => sh('sha256sum < "$1"', disk);
  await withLoop(disk, async (device) => {
    await withRootMounted(device, { place: mount, start: ROOT / 512, sectors }, async () => {
      const before = await digest();
      const error: unknown = await seedAsRoot(device, '--in-place', ...NODE).catch((caught: unknown) => caught);
      assert.match((error as { all: string }).all, /in use|is mounted at/);
      assert.is((error as { exitCode: number }).exitCode, EXIT.refused);
      assert.equal(await mountPointsOf(device), [mount]);
      assert.is(await digest(), before);
    });
    assert.match(await seedAsRoot(device, '--in-place', ...NODE), 'pi-web1: written to', 'negative control');
  });
});

test('a card that piimg has not made is refused', async () => {
  const disk = join(work, 'strange.img');
  await sh('truncate -s 64M "$1"; mkfs.vfat -F 32 "$1"', disk);
  const before = await readFile(disk);
  await withLoop(disk, async (device) => {
    const error: unknown = await seedAsRoot(device, '--in-place', ...NODE).catch((caught: unknown) => caught);
    assert.is((error as { exitCode: number }).exitCode, EXIT.refused);
    assert.match((error as { all: string }).all, 'no image or card that piimg has made');
  });
  assert.ok((await readFile(disk)).equals(before));
});

test('Ctrl-C leaves no copy and no part of one', async () => {
  await copyFile(image, join(work, 'source.img'));
  const line = 'piimg seed source.img --out stopped.img --node pi & sleep 0.9; kill -INT $!; wait $!';
  const main = new URL('../../src/cli/main.ts', import.meta.url).pathname;
  const command = line.replace('piimg', `"$0" --import "$2" "$3"`);
  const { exitCode } = await run(
    ['sh', '-c', `cd "$1"; ${command}`, process.execPath, work, import.meta.resolve('tsx'), main],
    { okCodes: [0, EXIT.interrupted] },
  );
  const left = await sh('ls "$1"', work);
  assert.not.match(left, '.part');
  assert.is(left.includes('stopped.img'), exitCode === 0);
});

test.run();
