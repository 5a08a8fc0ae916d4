// Negative controls of what boots images and judges boots: neither calls a bad boot good, nor leaves a machine behind.
import { mkdir, mkdtemp, open, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { makeCard, readCard } from '../../src/boot/card.ts';
import { loadMachine } from '../../src/boot/machine.ts';
import { run } from '../../src/host/exec.ts';
import { quote } from '../../src/lib/quote.ts';
import { packageRoot } from '../../src/host/package-root.ts';
import { encodeHeader } from '../../src/image/header.ts';
import { HEADER_LBA } from '../../src/image/layout.ts';
import { encodeMbr, SECTOR } from '../../src/image/mbr.ts';
import { assertBooted } from '../helpers/booted.ts';
import { piimgCommand } from '../helpers/command.ts';
import { withQemu, type TestGuest } from '../helpers/qemu.ts';

test('a machine that never comes up is ended at its deadline, and said', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'piimg-qemu-'));
  const image = path.join(folder, 'empty.img');
  await writeFile(image, '');
  await truncate(image, 40 << 20);
  const kernel = path.join(folder, 'kernel');
  await writeFile(kernel, 'no program');
  const boot = { kernel, deviceTree: '', cmdline: 'root=none' };
  const place = path.join(folder, 'machine');
  const error = await withQemu({ machine: 'virt', image, folder: place, minutes: 0.05, boot }, async (guest) => {
    assert.is(guest.cmdline, 'root=none console=ttyAMA0');
    await guest.said(/Linux version/);
  }).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.match(
    (error as Error).message,
    /waiting for .*Linux version.* not done within 0\.05 minutes[^]*The console's last lines/,
  );
  const left = await run(['pgrep', '--full', '--', place], { okCodes: [0, 1] });
  assert.is(left.stdout, '', 'QEMU still runs');
  assert.is((await stat(image)).size, 40 << 20);
  await rm(folder, { recursive: true });
});

test('a QEMU that cannot start is told by what it said itself', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'piimg-qemu-'));
  const image = path.join(folder, 'empty.img');
  await writeFile(image, '');
  await truncate(image, 40 << 20);
  const boot = { kernel: path.join(folder, 'nowhere'), deviceTree: '', cmdline: '' };
  const reason = await withQemu({ machine: 'virt', image, folder, minutes: 1, boot }, async (guest) => guest.ended);
  assert.is(reason?.code, 'qemu');
  assert.match(reason?.message ?? '', "could not load kernel '");
  await rm(folder, { recursive: true });
});

test('the card takes patches and what it holds can be read; the image stays as it is, whatever its folder is called', async () => {
  const folder = path.join(await mkdtemp(path.join(tmpdir(), 'piimg-card-')), 'a, b');
  await mkdir(folder);
  const image = path.join(folder, 'small, good.img');
  await writeFile(image, Buffer.alloc(2 << 20, 'i'));
  const machine = await loadMachine('raspi3b', [path.join(packageRoot, 'qemu/machines')]);
  const card = await makeCard(machine, image, folder, [
    { offset: 512, content: Buffer.alloc(700, 'p') },
    { offset: 1 << 20, content: Buffer.from('!') },
  ]);
  const expected = Buffer.alloc(2 << 20, 'i')
    .fill('p', 512, 1212)
    .fill('!', 1 << 20, (1 << 20) + 1);
  const [all, part] = [path.join(folder, 'all.img'), path.join(folder, 'part.img')];
  await readCard(card, all);
  await readCard(card, part, 1 << 20);
  assert.is((await stat(all)).size, 2 ** 31);
  const disk = await open(all);
  const { buffer } = await disk.read(Buffer.alloc(2 << 20), 0, 2 << 20, 0);
  await disk.close();
  assert.ok(buffer.equals(expected));
  assert.ok((await readFile(part)).equals(expected.subarray(0, 1 << 20)));
  assert.ok((await readFile(image)).equals(Buffer.alloc(2 << 20, 'i')));
  await rm(path.dirname(folder), { recursive: true });
});

/** An image with an empty boot partition and nothing behind it. */
async function emptyCard(file: string): Promise<void> {
  const [start, sectors] = [16_384, (40 << 20) / SECTOR];
  const disk = await open(file, 'w');
  await disk.write(encodeMbr(1, [{ number: 1, type: 0x0c, start, sectors }]), 0, SECTOR, 0);
  const header = { buildId: 'b'.repeat(64), role: 'web', base: 'none', slots: [], partitions: [], created: 0 };
  const bytes = encodeHeader(header);
  await disk.write(bytes, 0, bytes.length, HEADER_LBA * SECTOR);
  await disk.truncate((start + sectors) * SECTOR);
  await disk.close();
  await run(['mkfs.vfat', '-F', '32', '-s', '1', '--offset', String(start), file, String((sectors * SECTOR) / 1024)]);
}

test('piimg test on cards that would not boot: steps that failed, exit code 1, a report for each', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'piimg-cards-'));
  const images = ['a/web.img', 'b/web.img'].map((name) => path.join(folder, name));
  for (const image of images) {
    await mkdir(path.dirname(image));
    await emptyCard(image);
  }
  const piimg = (reports: string) =>
    run([...piimgCommand(), 'test', '--machine', 'virt', ...images, '--progress', 'log', '--reports', reports], {
      env: { PIIMG_CACHE: path.join(folder, 'cache') },
      okCodes: [0, 1, 2],
      signal: AbortSignal.timeout(60_000),
    });
  const { stdout, stderr, exitCode } = await piimg(path.join(folder, 'r'));
  assert.is(exitCode, 1, stderr);
  assert.match(stdout, 'would-not-boot: this card would not boot: there is no start4.elf');
  assert.equal(
    stderr.match(/^\S.*virt.*$/gm)?.map((line) => line.replace(/\(.*/, '')),
    ['> web.img on virt', '! web.img on virt: FAILED ', '> web.img on virt', '! web.img on virt: FAILED '],
  );
  assert.not.match(stderr, / at |would-not-boot|rror/);
  const names = ['web-2.virt', 'web.virt'].flatMap((name) => [`${name}.html`, `${name}.junit.xml`]);
  assert.equal((await readdir(path.join(folder, 'r'))).sort(), names);
  const refused = await piimg(path.join(images[0] ?? '', 'r'));
  assert.equal([refused.exitCode, refused.stdout], [2, '']);
  assert.match(refused.stderr, /^error: Reports cannot be written to .*ENOTDIR/);
  await rm(folder, { recursive: true });
});

/** Starts a machine whose kernel is no program, says so, and would wait for ever. */
const FOREVER = `
import { withQemu } from './test/helpers/qemu.ts';
const [folder, image, kernel] = process.argv.slice(1);
const boot = { kernel, deviceTree: '', cmdline: '' };
await withQemu({ machine: 'virt', image, folder, minutes: 5, boot }, async () => {
  console.log('started');
  await new Promise(() => setInterval(() => {}, 1000));
});
`;

test('QEMU dies with its parent, also on SIGKILL', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'piimg-qemu-'));
  const [image, kernel] = [path.join(folder, 'empty.img'), path.join(folder, 'kernel')];
  await writeFile(kernel, 'no program');
  await writeFile(image, '');
  await truncate(image, 40 << 20);
  const node = [process.execPath, '--import', 'tsx', '--input-type=module', '--eval', FOREVER];
  const running = (): Promise<string> =>
    run(['pgrep', '--full', '--', `file=${folder}/card`], { okCodes: [0, 1] }).then(({ stdout }) => stdout);
  const parent = run([...node, folder, image, kernel], { cwd: packageRoot, onLine: () => parent.kill('SIGKILL') });
  const error = await parent.then(
    () => undefined,
    (caught: unknown) => caught as Error,
  );
  assert.match(error?.message ?? '', 'ended by SIGKILL');
  for (let tries = 0; tries < 50 && (await running()) !== ''; tries++) await sleep(100);
  assert.is(await running(), '');
  await rm(folder, { recursive: true });
});

/** Starts such a machine in the terminal. */
const IN_TERMINAL = `
import { bootInTerminal } from './src/boot/qemu.ts';
import { loadMachine } from './src/boot/machine.ts';
const [folder, kernel] = process.argv.slice(1);
const machine = await loadMachine('virt', ['qemu/machines']);
const boot = { kernel, deviceTree: '', cmdline: '' };
const files = { card: folder + '/card.qcow2', consoleLog: folder + '/console.log' };
const accelerator = machine.accelerators.at(-1);
await bootInTerminal(machine, { accelerator, boot, ...files, ports: {} }, new AbortController().signal);
console.log('back');
`;

test('Ctrl-A X leaves the terminal of a machine', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'piimg-qemu-'));
  const kernel = path.join(folder, 'kernel');
  await writeFile(kernel, 'no program');
  await run(['qemu-img', 'create', '-q', '-f', 'qcow2', path.join(folder, 'card.qcow2'), '40M']);
  const node = [process.execPath, '--import', 'tsx', '--input-type=module', '--eval', IN_TERMINAL, folder, kernel];
  const { stdout } = await run(['script', '--quiet', '--return', '--command', quote(node), '/dev/null'], {
    input: '\u0001x',
    cwd: packageRoot,
    signal: AbortSignal.timeout(60_000),
  });
  assert.match(stdout, /QEMU: Terminated[^]*back/);
  await rm(folder, { recursive: true });
});

const GOOD = `Machine model: linux,dummy-virt
Welcome to Debian GNU/Linux 13 (trixie)!
[   81.8] EXT4-fs (vda2): resized filesystem to 915451
[  101.8] cloud-init[412]: Cloud-init v. 25.1.4 finished at Sat, 21 Nov 2026 02:48:48 +0000. Datasource DataSourceNoCloud [seed=x].  Up 101.80 seconds
`;

/** A machine that has said `console` and answers with `body`. */
function guestThat(console: string, body = 'ok\n'): TestGuest {
  const answer = { status: 200, text: body };
  return {
    card: '',
    cmdline: '',
    ports: {},
    poweredOn: 0,
    ended: new Promise(() => {}),
    powerOff: async () => 0,
    console: async () => console,
    said: async (pattern) => pattern.exec(console) ?? Promise.reject(new Error(`never said ${pattern}`)),
    until: async () => answer as never,
  };
}

test('a good boot is called good', async () => {
  await assertBooted(guestThat(GOOD));
});

for (const [fault, guest] of [
  ['no end of cloud-init', guestThat(GOOD.replace('finished', 'running'))],
  ['no seed', guestThat(GOOD.replace('DataSourceNoCloud', 'DataSourceNone'))],
  ['another system', guestThat(GOOD.replace('Debian', 'Alpine'))],
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
