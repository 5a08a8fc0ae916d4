// The file systems of a card that was switched off: sound ones, and each fault that must be seen.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { lookAtCard } from '../../../../src/boot/checks/after.ts';
import type { Look } from '../../../../src/boot/retry.ts';
import { run } from '../../../../src/host/exec.ts';

const work = await mkdtemp(path.join(tmpdir(), 'piimg,after-'));
const MIB = 2 ** 20;
const [BOOT, ROOT] = [{ offset: MIB, length: 8 * MIB }, { offset: 9 * MIB }];

/** A qcow2 with both file systems after `damage`, which gets the raw card, and what is seen of it. */
async function lookAfter(damage: (raw: string) => Promise<unknown>): Promise<Look> {
  const [raw, card] = [path.join(work, 'card.img'), path.join(work, 'card.qcow2')];
  await rm(raw, { force: true });
  await run(['truncate', '-s', String(24 * MIB), raw]);
  await run([
    'mkfs.vfat',
    '-F',
    '16',
    '-s',
    '1',
    '--offset',
    String(BOOT.offset / 512),
    raw,
    String(BOOT.length / 1024),
  ]);
  await run(['mke2fs', '-q', '-t', 'ext4', '-F', '-E', `offset=${ROOT.offset}`, raw, '14m']);
  await damage(raw);
  await run(['qemu-img', 'convert', '-O', 'qcow2', raw, card]);
  return lookAtCard(card, { boot: BOOT, root: ROOT }, work);
}

const write = (raw: string, offset: number, bytes: string): Promise<unknown> =>
  run(['dd', `of=${raw}`, 'bs=1', `seek=${offset}`, 'conv=notrunc', 'status=none'], { input: bytes });
const debugfs = (raw: string, request: string): Promise<unknown> =>
  run(['debugfs', '-w', '-R', request, `${raw}?offset=${ROOT.offset}`]);

for (const [title, damage, seen] of [
  // Of FAT16 the dirty bit is bit 0 of byte 0x25 of the boot sector.
  ['a FAT that was not unmounted', (raw: string) => write(raw, BOOT.offset + 0x25, '\x01'), /^boot: “.*[Dd]irty bit/],
  ['no FAT', (raw: string) => write(raw, BOOT.offset, '\0'.repeat(512)), /^boot: /],
  [
    'an ext4 whose journal was not replayed',
    (raw: string) => debugfs(raw, 'feature needs_recovery'),
    /^root: “.*journal recovery/,
  ],
  ['an ext4 with an inode lost', (raw: string) => debugfs(raw, 'clri lost+found'), /^root: /],
  ['no ext4', (raw: string) => write(raw, ROOT.offset + 1024, '\0'.repeat(1024)), /^root: /],
] as const) {
  test(title, async () => {
    const found = await lookAfter(damage);
    assert.match(found.seen, seen);
    assert.is(found.ok, false);
  });
}

test('sound ones are clean', async () => {
  assert.equal(await lookAfter(async () => {}), { ok: true, seen: 'clean' });
});

test('the work is cleaned up', async () => {
  await rm(work, { recursive: true });
});

test.run();
