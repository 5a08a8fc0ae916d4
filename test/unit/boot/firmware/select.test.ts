// The files a Raspberry Pi's firmware would start, by config.txt: a table of what its documentation says.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { BOARDS, boardNamed, type Board } from '../../../../src/boot/firmware/boards.ts';
import { selectBootFiles } from '../../../../src/boot/firmware/select.ts';
import { reasonOf } from '../../../../src/boot/firmware/would-not-boot.ts';
import { CARD, partitionOf } from './card.ts';
import type { Case } from './cases/case.ts';
import { CMDLINE, DEVICE_TREE, PREFIX } from './cases/device-tree.ts';
import { INITRAMFS, KERNEL } from './cases/files.ts';
import { FILE_FORMAT, FILTERS } from './cases/lines.ts';

/** What comes of a card; `fails` is the finding's message. */
async function outcome(card: Case, board: Board = boardNamed(card.board ?? 'pi3b')) {
  const files = { ...CARD, 'config.txt': card.config, ...card.with };
  const left = Object.entries(files).filter(([name]) => !card.without?.includes(name));
  try {
    return await selectBootFiles(partitionOf(Object.fromEntries(left)), board);
  } catch (error) {
    const reason = reasonOf(error);
    if (reason === undefined) throw error;
    assert.is(reason.code, 'would-not-boot');
    return { fails: reason.message };
  }
}

/** Where the outcome is not what the row says. */
async function differences(card: Case): Promise<string[]> {
  const actual = await outcome(card);
  if ('fails' in actual) return card.fails?.test(actual.fails) ? [] : [actual.fails];
  if (card.fails !== undefined) return [`boots ${actual.kernel.path}`];
  const { kernel, initramfs, deviceTree, cmdline, warnings } = actual;
  const wrong = (expected: string | undefined, seen: string): boolean => expected !== undefined && expected !== seen;
  return [
    ...(wrong(card.kernel, kernel.path) ? [`kernel ${kernel.path}`] : []),
    ...(wrong(card.initramfs?.join(), initramfs.map(({ path }) => path).join()) ? [JSON.stringify(initramfs)] : []),
    ...(wrong(card.deviceTree, deviceTree.path) ? [`device tree ${deviceTree.path}`] : []),
    ...(cmdline.includes(card.cmdline ?? '') ? [] : [`cmdline ${cmdline}`]),
    ...(card.warns === undefined ? warnings : warnings.some((text) => card.warns?.test(text)) ? [] : ['no warning']),
  ];
}

for (const card of [FILE_FORMAT, FILTERS, KERNEL, INITRAMFS, DEVICE_TREE, PREFIX, CMDLINE].flat()) {
  const on = card.board === undefined ? '' : ` (${card.board})`;
  test(`${card.source}${on}: ${JSON.stringify(card.config)}`, async () => {
    assert.equal(await differences(card), []);
  });
}

test('the table sees every kind of difference', async () => {
  const good: Case = { source: '', config: 'arm_64bit=1\ninitramfs a.gz' };
  assert.equal(await differences(good), []);
  const wrong: Partial<Case>[] = [
    { kernel: 'b.img' },
    { initramfs: [] },
    { deviceTree: 'my.dtb' },
    { cmdline: 'quiet' },
    { warns: /./ },
    { fails: /./ },
    { config: 'arm_64bit=1\ndtparam=i2c' },
    { without: ['kernel8.img'] },
    { without: ['kernel8.img'], fails: /initramfs/ },
  ];
  for (const change of wrong) assert.is((await differences({ ...good, ...change })).length, 1, JSON.stringify(change));
});

test('filters for what a machine is connected to', async () => {
  const board = { ...boardNamed('pi3b'), serial: 0x12345678, gpio: { 4: 0 as const }, edid: ['DEL-DELL_U2422H'] };
  for (const filter of ['0x12345678', 'gpio4=0', 'EDID=DEL-DELL_U2422H']) {
    const config = `arm_64bit=1\n[${filter}]\nkernel=b.img`;
    const chosen = await outcome({ source: '', config }, board);
    assert.is('kernel' in chosen && chosen.kernel.path, 'b.img', filter);
  }
});

test('every file says why it was chosen', async () => {
  const config = 'arm_64bit=1\nkernel=a.img\nauto_initramfs=1';
  const chosen = await outcome({ source: '', config });
  assert.ok('kernel' in chosen);
  assert.is(chosen.kernel.what, 'the kernel that config.txt line 2 names');
  assert.equal(chosen.initramfs, [
    { path: 'initramfs8', what: 'the initramfs for auto_initramfs=1 in config.txt line 3' },
  ]);
  assert.is(chosen.deviceTree.what, 'the device tree of a Raspberry Pi 3B');
});

test('an unknown board is refused, with the nearest name', () => {
  assert.is(boardNamed('pi4b'), BOARDS['pi4b']);
  assert.throws(
    () => boardNamed('pi3'),
    (error: { hint: string }) => error.hint === 'Did you mean pi3b?',
  );
});

test.run();
