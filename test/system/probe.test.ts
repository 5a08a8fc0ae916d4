// `piimg probe` on real block devices: counterfeits of every kind, an honest one, a slow one, one with a flipped bit, one that hangs.
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ProbeResult } from '../../src/flash/probe/types.ts';
import { run } from '../../src/host/exec.ts';
import { scriptAsRoot } from '../helpers/as-root.ts';
import { agreed, MIB, piimg, startPiimg, type Said } from '../helpers/flashing.ts';
import type { Behaviour } from '../helpers/rig/behaviour.ts';
import { withCard, type Card } from '../helpers/rig/card.ts';
import { temporaryFolder } from '../helpers/temporary.ts';

const SIZE = 64 * MIB;

const probe = (card: Card, ...options: string[]): Promise<Said> =>
  piimg(temporaryFolder(), 'probe', card.path, ...agreed([card]), ...options);

async function resultOf(card: Card, ...options: string[]): Promise<ProbeResult & { code: number }> {
  const { stdout, stderr, code } = await probe(card, '--json', ...options);
  assert.ok(stdout.startsWith('{'), `exit status ${code}\n${stdout}\n${stderr}`);
  return { ...(JSON.parse(stdout) as ProbeResult), code };
}

const COUNTERFEITS: [string, Behaviour, Partial<ProbeResult>][] = [
  ['wraps', { real: 23 * MIB + 512 * 7, beyond: 'wrap' }, { kind: 'wraps', real: 23 * MIB + 512 * 7 }],
  ['loses what is beyond', { real: 21 * MIB, beyond: 'lost' }, { kind: 'loses', real: 21 * MIB }],
  ['lies a little', { real: 60 * MIB, beyond: 'lost' }, { kind: 'loses', real: 60 * MIB }],
  ['fails beyond', { real: 33 * MIB, beyond: 'EIO' }, { kind: 'fails', real: 33 * MIB }],
  ['has no room beyond', { real: 32 * MIB, beyond: 'ENOSPC' }, { kind: 'fails', real: 32 * MIB }],
];
for (const [habit, behaviour, expected] of COUNTERFEITS) {
  test(`a card that ${habit} is found out, with what it really has`, () =>
    withCard({ size: SIZE, content: 'random', ...behaviour }, async (card) => {
      const { code, verdict, size, real, kind, firstWrong } = await resultOf(card);
      assert.equal({ code, verdict, size, real, kind }, { code: 1, verdict: 'fake', size: SIZE, ...expected });
      assert.is(firstWrong?.offset, expected.real);
    }));
}

test('for people: a counterfeit by its name, and what to do', () =>
  withCard({ size: SIZE, real: 16 * MIB, beyond: 'lost' }, async (card) => {
    const { code, stdout, stderr } = await probe(card);
    assert.is(code, 1);
    assert.match(stderr, /All that is on it is lost/);
    assert.match(stdout, /FAKE: it says 67\.1 MB and has 16\.8 MB/);
    assert.match(
      stdout,
      /lost, without a word\n +16777216 bytes are real; first wrong at byte 16777216 \(sector 32768\)/,
    );
    assert.match(stdout, /hint: Give it back/);
  }));

test('an honest card is good, its speed is told, and nothing leads anywhere on it afterwards', () =>
  withCard({ size: SIZE, content: 'random', sectorSize: 4096 }, async (card) => {
    const { code, verdict, real, speed, bad, emptied, everyBlock } = await resultOf(card);
    assert.equal(
      { code, verdict, real, bad, emptied },
      { code: 0, verdict: 'good', real: SIZE, bad: [], emptied: true },
    );
    assert.is(everyBlock, undefined);
    for (const name of ['sequentialWrite', 'sequentialRead', 'randomWrite', 'randomRead'] as const)
      assert.ok((speed?.[name] ?? 0) > 0, name);
    for (const offset of [0, SIZE - MIB]) assert.ok((await card.read(offset, MIB)).equals(Buffer.alloc(MIB)));
  }));

test('a slow card: as slow as it is', () =>
  withCard({ size: SIZE, bytesPerSecond: 8 * MIB }, async (card) => {
    const { verdict, speed } = await resultOf(card);
    assert.is(verdict, 'good');
    // No less is asserted: this computer may be busy.
    assert.ok(
      (speed?.sequentialWrite ?? 0) < 8.5 * MIB && (speed?.sequentialRead ?? 0) < 8.5 * MIB,
      JSON.stringify(speed),
    );
    assert.ok((speed?.randomRead ?? 0) < (8.5 * MIB) / 4096);
  }));

test('one flipped bit, one sector that cannot be read: --full finds both, the quick look need not', () =>
  withCard(
    { size: SIZE, flips: [21 * MIB + 12_345], badReads: [{ offset: 40 * MIB + 8192, length: 1 }] },
    async (card) => {
      const { code, verdict, bad, everyBlock } = await resultOf(card, '--full');
      assert.equal([code, verdict, everyBlock?.bytes], [1, 'damaged', SIZE]);
      assert.equal(bad, [
        { offset: 21 * MIB + 12_345 - (12_345 % 512), length: 512, what: 'changed' },
        { offset: 40 * MIB + 8192, length: 4096, what: 'error', code: 'EIO' },
      ]);
    },
  ));

test('--full on an honest card: all right', () =>
  withCard({ size: SIZE, plain: true }, async (card) => {
    const { code, stdout } = await probe(card, '--full');
    assert.is(code, 0);
    assert.match(stdout, /every block: 67\.1 MB written in .*, all right/);
  }));

test('a card that is pulled midway is a result', () =>
  withCard({ size: SIZE, after: { written: 8 * MIB, turns: { pulled: true } } }, async (card) => {
    const { code, verdict, problem } = await resultOf(card);
    assert.equal([code, verdict], [1, 'failed']);
    assert.match(problem ?? '', /^failed at byte \d+ \(sector \d+\): EIO$/);
  }));

/** Of root: probes a disk that has two seconds for each answer. */
const IMPATIENT = `
const [, sources, disk, size] = process.argv;
const load = (file) => import(new URL(file, sources));
const [{ identifyDisk, openDisk }, { startProber }] = [await load('host/open-disk.ts'), await load('flash/probe/prober.ts')];
const [{ probeThrough }, { createProgress }] = [await load('flash/probe/probe.ts'), await load('ui/progress.ts')];
const handle = await openDisk(await identifyDisk(disk), true);
const prober = startProber(handle.fd, { signal: AbortSignal.timeout(60_000), silence: 2 });
const job = { name: disk, size: Number(size), full: false };
const { verdict, problem } = await probeThrough(prober.ask, job, createProgress('silent').progress);
console.log(verdict, problem);
// What is asked of it still never ends.
process.exit();
`;

test('a card that does not answer is a result, too', () =>
  withCard({ size: SIZE, after: { written: 4 * MIB, turns: { hangs: true } } }, async (card) => {
    const sources = new URL('../../src/', import.meta.url).href;
    const probing = run(scriptAsRoot(IMPATIENT, sources, card.path, String(SIZE)), {
      signal: AbortSignal.timeout(60_000),
      onLine: () => void card.behave({ hangs: false }),
    });
    const { stdout } = await probing;
    assert.match(stdout, /^failed did not answer at byte \d+ \(sector \d+\) for 2 seconds$/m);
  }));

test('Ctrl-C while it hangs: exit status 130, as soon as the kernel lets go', () =>
  withCard({ size: SIZE, after: { written: 4 * MIB, turns: { hangs: true } } }, async (card) => {
    const args = ['probe', card.path, ...agreed([card]), '--progress', 'log'];
    const probing = startPiimg(temporaryFolder(), args);
    for (;;) {
      const written = (await card.requests()).filter(({ kind }) => kind === 'write');
      if (written.reduce((sum, { length }) => sum + length, 0) >= 4 * MIB) break;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    probing.kill('SIGINT');
    await new Promise((resolve) => setTimeout(resolve, 1000));
    await card.behave({ hangs: false });
    const { exitCode, stderr, stdout } = await probing;
    assert.is(exitCode, 130, stderr);
    assert.match(stderr, /Interrupted\.$/m);
    assert.is(stdout, '');
  }));

test('the guard is that of flash: not card-like, nobody to agree, a partition, a file', () =>
  withCard({ size: SIZE, content: 'random' }, async (card) => {
    const before = await card.read(0, SIZE);
    const folder = temporaryFolder();
    for (const [options, reason] of [
      [[], /not what cards look like/],
      [['--allow-fixed', '--yes'], /Nobody is there to agree that loop\d+ is overwritten/],
      [['--confirm', path.basename(card.path)], /not what cards look like/],
    ] as const) {
      const { code, stderr } = await piimg(folder, 'probe', card.path, ...options);
      assert.is(code, 3, stderr);
      assert.match(stderr, reason);
    }
    assert.is((await piimg(folder, 'probe', 'none')).code, 2);
    assert.is((await piimg(folder, 'probe', process.execPath, '--yes')).code, 3);
    assert.ok((await card.read(0, SIZE)).equals(before), 'it was touched');
  }));

test.run();
