// Machine definitions: the shipped ones are valid and give the command lines kept as golden files; faulty ones get reports.
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { boardNamed } from '../../../src/boot/firmware/boards.ts';
import { commandLine, type MachineOptions } from '../../../src/boot/command-line.ts';
import { machineJsonSchema } from '../../../src/boot/machine-schema.ts';
import { cardSize, chooseAccelerator, loadMachine, notExercised, type Machine } from '../../../src/boot/machine.ts';
import { quote } from '../../../src/lib/quote.ts';
import { EXIT, PiimgError } from '../../../src/lib/errors.ts';
import { printReport, type Issue } from '../../../src/lib/yaml/report.ts';
import { golden, portable, root } from '../role/golden.ts';

const shipped = `${root}/qemu/machines`;
const invalid = `${root}/test/fixtures/machines/invalid`;
const names = readdirSync(shipped).map((file) => file.replace(/\.yaml$/, ''));

/** What stands for a host with each of the accelerators. */
const HOSTS = {
  kvm: { platform: 'linux', arch: 'arm64', kvm: true },
  hvf: { platform: 'darwin', arch: 'arm64', kvm: false },
  tcg: { platform: 'linux', arch: 'x64', kvm: true },
} as const;

const options = (machine: Machine, host: keyof typeof HOSTS): MachineOptions => ({
  accelerator: chooseAccelerator(machine, HOSTS[host]),
  boot: { kernel: 't/kernel', initramfs: 't/initramfs', deviceTree: 't/board.dtb', cmdline: 'root=PARTUUID=1-02 rw' },
  card: 't/card.qcow2',
  consoleLog: 't/console.log',
  control: 'process',
  ports: { 22: 40022, 3000: 43000 },
});

/** One option a line: differences can be read. */
const printed = (machine: Machine, given: MachineOptions): string =>
  `${quote(commandLine(machine, given)).replaceAll(' -', ' \\\n  -')}\n`;

test('there are the machines that piimg promises', () => {
  assert.equal(names.sort(), ['raspi3b', 'raspi4b', 'virt']);
});

for (const machine of await Promise.all(names.map((name) => loadMachine(name, [shipped])))) {
  const { name } = machine;
  test(`${name} is valid, names a board and the schema for editors`, () => {
    boardNamed(machine.firmware.board);
    const [first] = readFileSync(`${shipped}/${name}.yaml`, 'utf8').split('\n');
    assert.is(first, '# yaml-language-server: $schema=../../images/schemas/machine.schema.json');
  });

  for (const { name: host } of machine.accelerators) {
    test(`the command line of ${name} on a host with ${host}`, () => {
      golden(`${root}/test/golden/qemu/${name}-${host}.txt`, printed(machine, options(machine, host)));
    });
  }

  test(`the command line of ${name} with a second network, and in a terminal`, () => {
    const segment = { file: 't/segment', mac: machine.network?.macs[1] ?? '' };
    const second = printed(machine, { ...options(machine, 'tcg'), segment });
    const terminal = printed(machine, { ...options(machine, 'tcg'), control: 'terminal' });
    golden(`${root}/test/golden/qemu/${name}-more.txt`, `${second}\n${terminal}`);
  });
}

test('a comma in a path is no end of an option, and no initramfs is no -initrd', async () => {
  const machine = await loadMachine('virt', [shipped]);
  const given = options(machine, 'tcg');
  const boot = { kernel: 'kernel', deviceTree: 'dtb', cmdline: '' };
  const line = commandLine(machine, { ...given, card: 'a,b/card.qcow2', consoleLog: 'a,b/console', boot });
  assert.ok(line.includes('if=none,id=card,format=qcow2,cache=unsafe,file=a,,b/card.qcow2'));
  assert.ok(line.includes('null,id=console,logfile=a,,b/console'));
  assert.not(line.includes('-initrd'));
});

test('a card is as large as the machine takes it, and never smaller than the image', async () => {
  const [virt, raspi3b] = await Promise.all([loadMachine('virt', [shipped]), loadMachine('raspi3b', [shipped])]);
  const gib = 2 ** 30;
  assert.is(cardSize(virt, gib), 4 * gib);
  assert.is(cardSize(virt, 5 * gib + 512), 5 * gib + 512);
  assert.is(cardSize(raspi3b, gib), 2 * gib);
  assert.is(cardSize(raspi3b, 2 * gib + 512), 4 * gib);
});

test('KVM without access to /dev/kvm, or on another processor, is emulation', async () => {
  const machine = await loadMachine('virt', [shipped]);
  const chosen = (host: Parameters<typeof chooseAccelerator>[1]) => chooseAccelerator(machine, host).name;
  assert.is(chosen({ platform: 'linux', arch: 'arm64', kvm: false }), 'tcg');
  assert.is(chosen({ platform: 'darwin', arch: 'x64', kvm: false }), 'tcg');
  assert.is(chosen({ platform: 'win32', arch: 'arm64', kvm: true }), 'tcg');
});

test('an accelerator that nobody tried is said', async () => {
  const machine = await loadMachine('virt', [shipped]);
  const said = (host: keyof typeof HOSTS) =>
    notExercised(machine, chooseAccelerator(machine, HOSTS[host])).filter((sentence) => /never tested/.test(sentence));
  assert.equal(said('tcg'), []);
  assert.equal(said('kvm'), ['piimg itself was never tested with KVM, which ran here.']);
});

for (const file of readdirSync(invalid).filter((name) => name.endsWith('.yaml'))) {
  const name = file.replace(/\.yaml$/, '');
  test(`reports what is wrong with ${name}`, async () => {
    const error: unknown = await loadMachine(name, [invalid]).catch((caught: unknown) => caught);
    assert.instance(error, PiimgError);
    const { cause, exitCode, message } = error as PiimgError;
    assert.is(exitCode, EXIT.usage);
    golden(`${invalid}/${name}.expected.txt`, portable(`${message}\n\n${printReport(cause as Issue[], root)}\n`));
  });
}

test('an unknown machine is told with the nearest', async () => {
  const error: unknown = await loadMachine('raspi3', [shipped]).catch((caught: unknown) => caught);
  assert.is((error as PiimgError).hint, 'Did you mean `raspi3b`? Machines: raspi3b, raspi4b, virt.');
});

test('the committed JSON schema is the one of the code: `npm run schema` writes it', () => {
  const committed = readFileSync(`${root}/images/schemas/machine.schema.json`, 'utf8');
  assert.is(committed, `${JSON.stringify(machineJsonSchema(), null, 2)}\n`);
});

test.run();
