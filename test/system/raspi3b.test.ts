// `piimg test` on the image as the SD card of an emulated Raspberry Pi 3: its own device tree, SD controller, USB network card.
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { boardNamed } from '../../src/boot/firmware/boards.ts';
import { readDeviceTree } from '../../src/boot/firmware/device-tree.ts';
import { readBootFile } from '../../src/boot/firmware/partition.ts';
import { selectBootFiles } from '../../src/boot/firmware/select.ts';
import { loadMachine } from '../../src/boot/machine.ts';
import type { BootReport } from '../../src/boot/report.ts';
import { withBootPartition } from '../../src/cli/boot-partition.ts';
import { run } from '../../src/host/exec.ts';
import { packageRoot } from '../../src/host/package-root.ts';
import { builtWeb } from '../helpers/built.ts';
import { piimgCommand } from '../helpers/command.ts';
import { bootFiles } from '../helpers/qemu.ts';
import { digestOfFile } from '../../src/lib/digest.ts';

const { image, manifest, cacheDir } = await builtWeb();

const machine = await loadMachine('raspi3b', [path.join(packageRoot, 'qemu/machines')]);
const mac = machine.network?.macs[0] ?? 'none';

test('the kernel gets the device tree of the card with the address in it, taken by QEMU', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'piimg-raspi3b-'));
  try {
    const boot = await bootFiles(machine, image, folder);
    const dump = path.join(folder, 'dump.dtb');
    // QEMU's own library reads and completes it, writes it down and leaves.
    const dumping = ['-machine', `raspi3b,dumpdtb=${dump}`, '-m', String(machine.memory), '-display', 'none'];
    const starting = ['-kernel', boot.kernel, '-dtb', boot.deviceTree, '-append', boot.cmdline];
    await run(['qemu-system-aarch64', ...dumping, ...starting], { signal: AbortSignal.timeout(60_000) });
    const got = await readFile(dump);
    assert.is(readDeviceTree(got)?.bootargs, boot.cmdline);
    const address = Buffer.from(mac.replaceAll(':', ''), 'hex');
    assert.ok(got.includes(address));
    const own = await withBootPartition(image, async (partition) => {
      const { deviceTree } = await selectBootFiles(partition, boardNamed('pi3b'));
      const file = await partition.find(deviceTree.path);
      return file && (await readBootFile(file));
    });
    assert.is(own?.includes(address), false, "the card's own has none");
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('a Raspberry Pi 3 boots from the card, is healthy, and switches itself off', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'piimg-raspi3b-'));
  try {
    const command = [...piimgCommand(), 'test', image, '--machine', 'raspi3b', '--reports', folder, '--json'];
    const { stdout, stderr, exitCode } = await run(command, {
      cwd: path.dirname(path.dirname(image)),
      env: { PIIMG_CACHE: cacheDir },
      okCodes: [0, 1],
      signal: AbortSignal.timeout(25 * 60_000),
    });
    const { passed, tests } = JSON.parse(stdout) as { passed: boolean; tests: { report: BootReport }[] };
    const [{ report } = { report: undefined }] = tests;
    const boot = report?.boots[0];
    assert.ok(boot, stderr);
    const seen = boot.checks.map(({ name, status, seen: what }) => `${status}: ${name}: ${what}`).join('\n');
    assert.equal([passed, exitCode, tests.length, report?.reason], [true, 0, 1, undefined], `${seen}\n${stderr}`);
    assert.ok(boot.checks.every(({ status }) => status === 'passed'));
    const names = boot.checks.map(({ name }) => name);
    // One of the base, of the role, and of what is always asked.
    for (const name of [
      'ssh answers',
      'application calls itself ok',
      'root fills the card',
      'file systems are clean',
    ]) {
      assert.ok(names.includes(name), name);
    }
    assert.match(boot.console, 'Machine model: Raspberry Pi 3 Model B');
    // What the firmware tells the kernel: the address of the Ethernet card, and the memory, of which it keeps 64 MiB.
    assert.match(boot.console, ` smsc95xx.macaddr=${mac.toUpperCase()} `);
    assert.match(boot.console, new RegExp(`Memory: \\d+K/${(machine.memory - 64) * 1024}K available`));
    assert.match(boot.console, `root=PARTUUID=${manifest.disk.partitions[1]?.partuuid}`);
    assert.match(boot.console, /EXT4-fs \(mmcblk\dp2\): resized/);
    assert.match(boot.console, /Cloud-init v\. \S+ finished at .*Datasource DataSourceNoCloud/);
    assert.equal(boot.console.match(/^.*(\[(FAILED|DEPEND)\]|Kernel panic|fsck not present).*$/gm), null);
    assert.is(await digestOfFile(image), manifest.image.sha256);
    assert.equal((await readdir(folder)).sort(), ['web.raspi3b.html', 'web.raspi3b.junit.xml']);
    assert.match(await readFile(path.join(folder, 'web.raspi3b.html'), 'utf8'), 'web boots and is healthy on raspi3b');
  } finally {
    await rm(folder, { recursive: true });
  }
});

test.run();
