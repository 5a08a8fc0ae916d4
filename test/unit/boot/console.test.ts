// What is recognised on a console: recorded boots, each with the reason it must give; silence; and what must not be taken for a failure.
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { consoleText, NOTHING_SEEN, observe, type Observation, type Watched } from '../../../src/boot/console.ts';
import type { Reason } from '../../../src/boot/report.ts';
import { root } from '../role/golden.ts';

const folder = `${root}/test/fixtures/console`;
const recorded = (name: string): string => readFileSync(`${folder}/${name}.log`, 'utf8');

/** What is left out has nothing to say: no text, busy processors. */
const watch = (observations: Partial<Observation>[]): Watched =>
  observations.reduce<Watched>(
    (watched, seen, index) => observe(watched, { at: index, text: '', busy: 1, mayGoOff: false, ...seen }),
    NOTHING_SEEN,
  );

/** Reasons of a text that arrives at once, and in pieces. */
function reasonOf(text: string): Reason | undefined {
  const atOnce = watch([{ text }]);
  const { quiet, ...inPieces } = watch((text.match(/[^]{1,7}/g) ?? []).map((piece) => ({ text: piece })));
  assert.equal({ ...inPieces, quiet: atOnce.quiet }, atOnce);
  assert.is(quiet.busy, 0);
  return atOnce.reason;
}

/** By recorded boot: the reason, its message and the first marked line. */
const BOOTS: Record<string, [code: Reason['code'], message: string, marked: string] | undefined> = {
  good: undefined,
  'wrong-partuuid': [
    'no-root',
    'The initramfs did not find the root file system PARTUUID=deadbeef-02',
    'Begin: Running /scripts/local-block ... done.',
  ],
  'no-superblock': [
    'root-damaged',
    'The root file system /dev/vda2 cannot be mounted: Warning: Type of root file system is unknown, so skipping check.',
    'Warning: Type of root file system is unknown, so skipping check.',
  ],
  'fsck-refuses': [
    'root-damaged',
    'The root file system on /dev/vda2 is damaged: fsck cannot repair it by itself: rootfs: UNEXPECTED INCONSISTENCY; RUN fsck MANUALLY.',
    'rootfs: UNEXPECTED INCONSISTENCY; RUN fsck MANUALLY.',
  ],
  'no-init': [
    'root-damaged',
    'The root file system holds no system: it has no /sbin/init',
    'mount: No such file or directory',
  ],
  panic: [
    'panic',
    'Kernel panic: Attempted to kill init! exitcode=0x00000100',
    'rootfs: clean, 22415/69120 files, 187753/276480 blocks',
  ],
  emergency: [
    'emergency',
    'systemd stopped in emergency mode: [ TIME ] Timed out waiting for device dev-d…evice - /dev/disk/by-label/nothere.',
    '[ TIME ] Timed out waiting for device dev-d…evice - /dev/disk/by-label/nothere.',
  ],
  'no-initramfs': undefined,
};

test('every recorded boot has its reason here', () => {
  const names = readdirSync(folder).map((file) => file.replace(/\.log$/, ''));
  assert.equal(names.sort(), Object.keys(BOOTS).sort());
});

for (const [name, expected] of Object.entries(BOOTS)) {
  test(`a recorded boot: ${name}`, () => {
    const text = recorded(name);
    const reason = reasonOf(text);
    const watched = watch([{ text }]);
    const [from = 0, to = 0] = watched.marked ?? [];
    const marked = consoleText(watched).split('\n').slice(from, to);
    assert.equal(reason && [reason.code, reason.message, marked[0]], expected);
    assert.not(/(?![\t\n])\p{Cc}/u.test(consoleText(watched)));
  });
}

for (const [line, code] of [
  ['[    0.9] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)', 'no-root'],
  ['No root device specified. Boot arguments must include a root= parameter.', 'no-root'],
  ['Failed to mount PARTUUID=1-02 as root file system.', 'root-damaged'],
  ['You are in rescue mode. After logging in, type "journalctl -xb" to view', 'emergency'],
  ['[    9.1] systemd[1]: Freezing execution.', 'emergency'],
  ['[   30.2] reboot: Power down', 'power-off'],
  ['[   30.2] reboot: Restarting system', 'power-off'],
  // What a program says about such lines is none.
  ['cloud-init[412]: the word is Kernel panic - not syncing: none', undefined],
  ['web[7]: (initramfs) is what the shell says', undefined],
  ['[   30.2] reboot: something else', undefined],
] as const) {
  test(`${code ?? 'nothing'}: ${line}`, () => {
    assert.is(reasonOf(`${line}\r\n`)?.code, code);
  });
}

test('an unfinished line is waited for, a prompt is not', () => {
  assert.is(watch([{ text: '[ 1.0] Kernel panic - not syncing: Attem' }]).reason, undefined);
  assert.is(watch([{ text: '(initramfs) ' }]).reason?.code, 'emergency');
});

test('the first reason stays', () => {
  const text = `${recorded('wrong-partuuid')}\n[ 40.0] Kernel panic - not syncing: late\n`;
  assert.is(watch([{ text }, { text: '[ 41.0] reboot: Power down\n' }]).reason?.code, 'no-root');
});

test('a machine that was asked to may switch itself off, and still not panic', () => {
  const off = { text: '[ 50.0] reboot: Power down\n', mayGoOff: true };
  assert.is(watch([off]).reason, undefined);
  assert.is(watch([{ text: '[ 49.0] Kernel panic - not syncing: x\n', mayGoOff: true }, off]).reason?.code, 'panic');
});

test('a machine that was asked to switch itself off restarts or halts', () => {
  for (const [line, message] of [
    ['[ 50.0] reboot: Restarting system\n', 'The machine restarted by itself'],
    ['[ 50.0] reboot: System halted\n', 'The machine halted, but stays switched on'],
  ] as const) {
    assert.equal(watch([{ text: line, mayGoOff: true }]).reason, { code: 'power-off', message });
  }
});

/** A second each, `count` times. */
const seconds = (count: number, seen: Partial<Observation>): Partial<Observation>[] =>
  Array.from({ length: count }, () => seen);

test('two minutes of silence and idle processors are a hang', () => {
  const text = 'Begin: Mounting root file system ...\n';
  assert.is(watch([{ text }, ...seconds(120, { busy: 0.03 })]).reason?.code, 'silent');
  assert.is(watch([{ text }, ...seconds(119, { busy: 0.03 })]).reason, undefined);
  assert.match(watch(seconds(121, { busy: 0 })).reason?.message ?? '', /never said a word/);
});

test('a slow machine that is busy never hangs, nor one of which nobody knows, nor one that is up', () => {
  for (const busy of [0.15, 1, undefined]) assert.is(watch(seconds(10_000, { busy })).reason, undefined);
  for (const text of ['raspberrypi login: ', recorded('good')]) {
    assert.is(watch([{ text }, ...seconds(1000, { busy: 0 })]).reason, undefined);
  }
});

test('a word now and then is no silence', () => {
  const spoken = Array.from({ length: 20 }, () => [{ text: '.', busy: 0 }, ...seconds(100, { busy: 0 })]).flat();
  assert.is(watch(spoken).reason, undefined);
});

test('a kernel that waits for its root for ever has none, whatever asking for it takes', () => {
  for (const busy of [0, 0.2, 1]) {
    const watched = watch([{ text: recorded('no-initramfs') }, ...seconds(120, { busy })]);
    assert.is(watched.reason?.code, 'no-root');
    assert.match(watched.reason?.message ?? '', 'PARTUUID=b45224c1-02');
  }
  assert.is(watch([{ text: recorded('no-initramfs') }, ...seconds(119, { busy: 1 })]).reason, undefined);
});

test.run();
