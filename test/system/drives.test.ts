// `piimg drives` on real block devices: loops that are empty, mounted, swapped to, below an overlay, behind the folder one is in.
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Judgement } from '../../src/flash/judge.ts';
import { run } from '../../src/host/exec.ts';
import { asRoot } from '../helpers/as-root.ts';
import { piimgCommand } from '../helpers/command.ts';

/** Mounts are seen by nobody else and end with it; `look` prints what drives says, behind the loop's name. */
const STAGES = `
cd "$1"; shift
truncate -s 64M file; truncate -s 64M other
disk=$(losetup --find --show file); swap=$(losetup --find --show other)
end() {
  swapoff $swap $upper 2>/dev/null || :; cd /
  umount -R "$here/over" "$here/at" "$here/above" "$here/top" 2>/dev/null || :; losetup -d $upper $disk $swap
}
here=$PWD; upper=; trap end EXIT
look() { printf '%s %s ' $1 $2; "\${@:3}" drives --json | tr -d '\\n'; echo; }
look empty $disk "$@"
mkfs.ext4 -q $disk; mkdir at over top; mount $disk at; mkdir at/lower
look mounted $disk "$@"
cd at; look inside $disk "$@"; cd ..
# Nothing but the lower folder is on the disk.
mount -t tmpfs tmpfs top; mkdir top/upper top/work
mount -t overlay overlay -o lowerdir=$here/at/lower,upperdir=$here/top/upper,workdir=$here/top/work over
look below $disk "$@"
cd over; look overlay $disk "$@"; cd ..
mkswap $swap >/dev/null; swapon $swap
look swap $swap "$@"
swapoff $swap
look unused $swap "$@"
upper=$(losetup --find --show $swap)
look lower $swap "$@"
mkswap $upper >/dev/null; swapon $upper
look swap-above $swap "$@"
swapoff $upper; mkfs.ext4 -q $upper; mkdir above; mount $upper above
cd above; look inside-above $swap "$@"; cd ..
`;

test('loops: empty, mounted, with the folder one is in, below an overlay, as swap, below another loop', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'piimg-drives-'));
  try {
    const script = ['unshare', '--mount', '--propagation', 'private', 'bash', '-euc', STAGES, 'bash', folder];
    const { stdout } = await run(asRoot([...script, ...piimgCommand()]), { signal: AbortSignal.timeout(5 * 60_000) });
    const said = Object.fromEntries(
      stdout
        .trim()
        .split('\n')
        .map((line) => {
          const [, stage = '', disk = '', json = ''] = /^(\S+) (\S+) (.*)$/.exec(line) ?? [];
          const found = (JSON.parse(json) as Judgement[]).find(({ device }) => device.path === disk);
          return [stage, found];
        }),
    );
    const told = (stage: string): string => `${said[stage]?.verdict}: ${said[stage]?.reason}`;
    assert.is(told('empty'), 'fixed: a file as a disk (loop)');
    assert.is(said.empty?.device.size, 64 << 20);
    assert.is(told('mounted'), 'fixed: a file as a disk (loop)');
    assert.equal(said.mounted?.device.mounts, [path.join(folder, 'at')]);
    assert.is(told('inside'), 'refused: holds the folder you are in');
    assert.is(told('below'), 'fixed: a file as a disk (loop)', 'the control: one is elsewhere');
    assert.is(told('overlay'), 'refused: holds the folder you are in');
    assert.is(told('swap'), 'refused: is used as swap');
    assert.is(told('unused'), 'fixed: a file as a disk (loop)');
    assert.match(told('lower'), /^refused: holds \/dev\/loop\d+$/);
    assert.is(told('swap-above'), 'refused: holds swap');
    assert.match(told('inside-above'), /^refused: holds \/dev\/loop\d+$/);
  } finally {
    await run(asRoot(['rm', '-rf', folder]));
  }
});

test.run();
