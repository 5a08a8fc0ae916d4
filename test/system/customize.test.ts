// `piimg customize` on a card: a loop device that is free, one that is mounted, one that only root may open; and Ctrl-C amid a copy.
import { chmod, mkdir, readdir, readFile, statfs, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EXIT } from '../../src/lib/errors.ts';
import { run } from '../../src/host/exec.ts';
import { piimgCommand } from '../helpers/command.ts';
import { asRoot, scriptAsRoot } from '../helpers/as-root.ts';
import { checkFat, START, textsOf } from '../helpers/fat-image.ts';
import { BOOT, foreignImage, ROOT_SIZE } from '../helpers/foreign-image.ts';
import { withLoop, withRootMounted } from '../helpers/loop.ts';
import { keyLine } from '../helpers/ssh-keys.ts';

const image = await foreignImage('systemd');
const folder = dirname(image);
await writeFile(join(folder, 'me.pub'), `${keyLine()}\n`);
/** LBA and sectors of the root partition. */
const ROOT = { start: BOOT.start + BOOT.sectors, sectors: ROOT_SIZE * 2048 };
const NODE = ['--node', 'pi1', '--ssh-key', 'me.pub'];

async function sh(script: string, ...args: string[]): Promise<string> {
  const [program = '', ...command] = asRoot(['sh', '-euc', script, 'sh', ...args]);
  return (await execa(program, command, { timeout: 60_000 })).stdout;
}

/** As root, as devices are. */
async function customize(...args: string[]): Promise<{ exitCode: number; all: string }> {
  const [program = '', ...command] = asRoot([...piimgCommand(), 'customize', ...args]);
  const { exitCode = -1, all } = await execa(program, command, {
    cwd: folder,
    reject: false,
    all: true,
    timeout: 60_000,
  });
  return { exitCode, all };
}

test('a mounted card is refused, and not a byte of it changes; unmounted it is written, whole and sound', async () => {
  const mount = join(folder, 'mounted here');
  await withLoop(image, async (device) => {
    await withRootMounted(device, { place: mount, ...ROOT }, async () => {
      const before = await readFile(image);
      const { exitCode, all } = await customize(device, '--in-place', ...NODE);
      assert.is(exitCode, EXIT.refused, all);
      assert.match(all, /in use|is mounted at/);
      assert.ok((await readFile(image)).equals(before));
    });
    const { exitCode, all } = await customize(device, '--in-place', ...NODE);
    assert.is(exitCode, 0, all);
    const copy = await customize(device, '--out', 'x.img', ...NODE);
    assert.is(copy.exitCode, EXIT.usage);
    await sh('sync; blockdev --flushbufs "$1"', device);
  });
  const [script, cmdline] = await textsOf(image, ['firstrun.sh', 'cmdline.txt']);
  assert.match(script ?? '', 'step set_hostname pi1');
  assert.match(cmdline ?? '', 'systemd.run=/boot/firmware/firstrun.sh');
  const { exitCode, stdout } = await checkFat(image);
  assert.is(exitCode, 0, stdout);
});

/** As a desktop does that mounts a card as soon as it is let go. */
const HELD = `
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
const [, sources, device, offset] = process.argv;
const load = (file) => import(new URL(file, sources));
const [{ readBack }, { digestOf }] = [await load('cli/boot-write.ts'), await load('cli/boot-copy.ts')];
const [{ openFat }, { readerOf }] = [await load('image/fat.ts'), await load('image/ranges.ts')];
const before = await open(device);
const sound = await digestOf(await openFat(readerOf(before), Number(offset)));
await before.close();
const nothing = { changes: [], offset: Number(offset), sound };
await readBack(device, true, nothing);
await open(device, constants.O_RDONLY | constants.O_EXCL);
await readBack(device, true, nothing).catch((error) => console.log(error.exitCode, error.message));
process.exit();
`;

test('a card that something has by the time it is to be read back: no bug, and what was done is said', async () => {
  await withLoop(image, async (device) => {
    const sources = new URL('../../src/', import.meta.url).href;
    const [program = '', ...command] = scriptAsRoot(HELD, sources, device, String(START));
    const { stdout } = await execa(program, command, { timeout: 60_000 });
    assert.match(stdout, /^1 .* was written, but not read back: something has mounted or opened it since/);
  });
});

test('only root may open a card: the command through sudo is named', async () => {
  // Root, who runs the tests perhaps, may open everything: somebody else tries.
  const tool = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups'];
  await sh('chmod 711 "$1" "$2"', dirname(folder), folder);
  await chmod(join(folder, 'me.pub'), 0o644);
  await withLoop(image, async (device) => {
    await sh('chmod 600 "$1"', device);
    const [program = '', ...command] = asRoot([...tool, ...piimgCommand(), 'customize', device, '--in-place', ...NODE]);
    const { exitCode, all } = await execa(program, command, { cwd: folder, reject: false, all: true, timeout: 60_000 });
    assert.is(exitCode, EXIT.refused, all);
    assert.match(all, /Only root may open[\s\S]*sudo/);
  });
});

test('where the file system can, a copy shares the blocks of the image', async () => {
  const noisy = await foreignImage('systemd', { noise: 64, rootSize: 96 });
  const disk = join(dirname(noisy), 'xfs.img');
  await sh('truncate -s 512M "$1"; mkfs.xfs -q "$1"', disk);
  const mount = join(dirname(noisy), 'xfs');
  await sh('mkdir "$1"; mount -o loop "$2" "$1"; chmod 777 "$1"', mount, disk);
  try {
    await run(['cp', noisy, join(folder, 'me.pub'), mount]);
    /** MiB that a command takes there. */
    const takes = async (command: string[]): Promise<number> => {
      const before = await statfs(mount);
      await run(command, { cwd: mount });
      await sh('sync -f "$1"', mount);
      return ((before.bfree - (await statfs(mount)).bfree) * before.bsize) / 2 ** 20;
    };
    const command = [...piimgCommand(), 'customize', 'card.img', '--out', 'pi1.img', ...NODE];
    const shared = await takes(command);
    assert.ok(shared < 16, `${shared} MiB`);
    const whole = await takes(['cp', '--reflink=never', 'card.img', 'whole.img']);
    assert.ok(whole > 60, `${whole} MiB`);
    const text = await textsOf(join(mount, 'pi1.img'), ['firstrun.sh']);
    assert.match(text.join(''), 'step set_hostname pi1');
  } finally {
    await sh('umount "$1"', mount);
  }
});

test('Ctrl-C amid a copy leaves nothing of it', async () => {
  const large = await foreignImage('systemd', { noise: 500, rootSize: 600 });
  const names = await readdir(dirname(large));
  // From when the copy has begun.
  const line =
    '"$@" --out stopped.img --node pi1 & until [ -s stopped.img.*.part/stopped.img ]; do sleep 0.01; done; kill -INT $!; wait $!';
  const { exitCode } = await run(
    ['sh', '-c', `cd "$0"; ${line}`, dirname(large), ...piimgCommand(), 'customize', 'card.img'],
    {
      okCodes: [0, EXIT.interrupted],
      signal: AbortSignal.timeout(60_000),
    },
  );
  assert.is(exitCode, EXIT.interrupted);
  assert.equal(await readdir(dirname(large)), names);
});

test('a disk that becomes full amid the copy is told, whatever language cp speaks, and nothing stays', async () => {
  const noisy = await foreignImage('systemd', { noise: 64, rootSize: 96 });
  const [from, place] = [dirname(noisy), join(dirname(noisy), 'small')];
  // Somebody else takes the room that there was.
  const CP = `case $LC_ALL in C) ;; *) echo "cp: Auf dem Gerät ist kein Speicherplatz mehr verfügbar" >&2; exit 1 ;; esac
head -c 60M /dev/zero >'${place}/taken'; exec /bin/cp "$@"`;
  await mkdir(join(from, 'bin'));
  await writeFile(join(from, 'bin/cp'), `#!/bin/sh\n${CP}\n`, { mode: 0o755 });
  await sh('mkdir "$1"; mount -t tmpfs -o size=110M,mode=777 none "$1"', place);
  try {
    const command = [...piimgCommand(), 'customize', noisy, '--out', join(place, 'x.img'), '--node', 'pi1'];
    const { exitCode, stderr } = await run(command, {
      env: { PATH: `${join(from, 'bin')}:${process.env['PATH']}`, LC_ALL: 'de_DE.UTF-8' },
      okCodes: [EXIT.failed],
      signal: AbortSignal.timeout(60_000),
    });
    assert.is(exitCode, EXIT.failed);
    assert.match(stderr, /^error: The disk is full: .*small has .* left; this needs about/m);
    assert.match(stderr, /^hint: Make room/m);
    assert.equal(await readdir(place), ['taken']);
  } finally {
    await sh('umount "$1"', place);
  }
});

test('a copy is begun before the node is known: one that is none ends it, and nothing stays', async () => {
  const large = await foreignImage('systemd', { noise: 500, rootSize: 600 });
  const [from, names] = [dirname(large), await readdir(dirname(large))];
  const line = `cd "$0"; "$@" & until [ -d x.img.*.part ]; do sleep 0.001; done; wait $!`;
  for (const [wanted, pattern] of [
    [['--node', 'no name'], /host name/],
    [['--node', 'pi1', '--set', 'port=80'], /variables/],
  ] as const) {
    const command = [...piimgCommand(), 'customize', 'card.img', '--out', 'x.img', ...wanted];
    const { exitCode, stderr } = await run(['sh', '-c', line, from, ...command], {
      okCodes: [EXIT.usage],
      signal: AbortSignal.timeout(60_000),
    });
    assert.is(exitCode, EXIT.usage);
    assert.match(stderr, pattern);
    assert.equal(await readdir(from), names);
  }
});

test.run();
