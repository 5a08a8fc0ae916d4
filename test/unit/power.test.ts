// The tools of the power tests: a log of writes is read and played back, cuts are chosen, and what differs is found.
import { mkdir, open, readFile, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { chooseCuts, random } from '../power/cuts.ts';
import { differences, EXCEPTIONS, UNIT_EXCEPTIONS } from '../power/differences.ts';
import type { Outcome } from '../power/machine.ts';
import { recoveredDigest } from '../power/recovered.ts';
import { findText, flushedBy, readWriteLog, replay, writesOf } from '../power/write-log.ts';
import { temporaryFolder } from '../helpers/temporary.ts';
import { run } from '../../src/host/exec.ts';
import { sha256 } from '../../src/lib/digest.ts';

const folder = temporaryFolder();

/** What QEMU itself logs of these commands, on a disk of 1 MiB. */
async function logged(commands: string[]): Promise<{ log: string; disk: string }> {
  const [log, disk] = [path.join(folder, 'log'), path.join(folder, 'disk')];
  for (const file of [log, disk]) await writeFile(file, '');
  await truncate(disk, 1 << 20);
  const image = `driver=blklogwrites,file.driver=file,file.filename=${disk},log.driver=file,log.filename=${log},log-sector-size=512`;
  const asked = commands.flatMap((command) => ['-c', command]);
  await run(['qemu-io', '--image-opts', ...asked, image], { signal: AbortSignal.timeout(30_000) });
  return { log, disk };
}

test('the log of QEMU: every entry, and the disk as of any of them', async () => {
  const { log, disk } = await logged([
    'write -P 0x61 0 4k',
    'flush',
    'write -P 0x62 2k 4k',
    'write -P 0x63 64k 512',
    'flush',
  ]);
  const entries = await readWriteLog(log);
  assert.equal(entries.map(({ kind, offset, length }) => `${kind} ${offset} ${length}`).slice(0, 5), [
    'write 0 4096',
    'flush 0 0',
    'write 2048 4096',
    'write 65536 512',
    'flush 0 0',
  ]);
  assert.equal(
    [0, 1, 2, 3, 4, 5].map((count) => flushedBy(entries, count)),
    [0, 0, 2, 2, 2, 5],
  );
  assert.is(await findText(log, entries, /b{4096}/), 2);
  assert.is(await findText(log, entries, /d/), undefined);

  const card = path.join(folder, 'card');
  await writeFile(card, Buffer.alloc(1 << 20));
  const player = await replay(card, log, entries);
  await player.forwardTo(1);
  const first = await readFile(card);
  assert.equal([first[0], first[4095], first[4096]], [0x61, 0x61, 0]);
  await player.forwardTo(3);
  const third = await readFile(card);
  assert.equal([third[0], third[2048], third[6143], third[65536]], [0x61, 0x62, 0x62, 0]);
  await player.forwardTo(entries.length);
  assert.ok((await readFile(card)).equals(await readFile(disk)));
  await player.close();
  const further = await writesOf(log, entries, [0, 2], 1024);
  assert.equal(
    further.map(({ offset, content }) => [offset, content.length]),
    [
      [0, 4096],
      [2048, 1024],
    ],
  );
});

test('a file that is no log is refused; one that is cut has the entries that are whole', async () => {
  const other = path.join(folder, 'other');
  await writeFile(other, Buffer.alloc(1024));
  let message = '';
  await readWriteLog(other).catch((error: Error) => (message = error.message));
  assert.match(message, 'is no log of writes');
  const { log } = await logged(['write -P 0x61 0 4k', 'flush', 'write -P 0x62 0 4k']);
  await truncate(log, 512 + 512 + 4096 + 512 + 512 + 100);
  assert.is((await readWriteLog(log)).length, 2);
});

test('cuts: the same seed gives the same, each once, in order, inside the regions or where nothing was left unflushed', () => {
  const kinds = fc.array(fc.constantFrom('write', 'flush'), { minLength: 10, maxLength: 200 });
  fc.assert(
    fc.property(kinds, fc.nat(), fc.integer({ min: 1, max: 20 }), (all, seed, perRegion) => {
      const entries = all.map((kind) => ({ kind, offset: 0, length: kind === 'write' ? 4096 : 0, at: 0 }));
      const regions = [{ name: 'a', from: 2, to: all.length - 2 }];
      const boundaries = [{ entries: 1, further: [], name: 'boundary' }];
      const choose = () => chooseCuts(entries, { regions, boundaries, perRegion, seed });
      const cuts = choose();
      assert.equal(choose(), cuts);
      const at = cuts.map((cut) => cut.entries);
      const sorted = [...at].sort((a, b) => a - b);
      assert.equal(at, sorted);
      const states = cuts.map((cut) => `${cut.entries} ${cut.further.join()} ${cut.torn}`);
      assert.is(new Set(states).size, states.length);
      for (const { entries: count, further, torn, name } of cuts) {
        assert.is(torn !== undefined, all[further.at(-1) ?? NaN] === 'write', name);
        if (torn !== undefined) assert.ok(torn % 512 === 0 && torn < 4096, name);
        const whole = !/flushed/.test(name);
        if (whole) assert.ok(name === 'boundary' || (count > 2 && count <= all.length - 2), name);
        else assert.ok(count === 0 || all[count - 1] === 'flush', name);
        for (const index of further) assert.ok(index >= count && all[index] !== undefined, name);
      }
    }),
  );
  assert.is.not(random(1)(), random(2)());
});

const file = (change: object = {}) => ({
  type: 'file',
  mode: 0o644,
  owner: '0:0',
  target: undefined,
  capability: undefined,
  sha256: 'a',
  machine: undefined,
  ...change,
});
const outcome = (change: Partial<Outcome> = {}): Outcome => ({
  root: new Map([
    ['/etc/web/node.env', file()],
    ['/etc/machine-id', file()],
  ]),
  boot: new Map([
    ['user-data', 'a'],
    ['piimg-result.json', 'a'],
  ]),
  units: ['web.service running'],
  result: { status: 'applied' },
  ...change,
});

test('two machines are equal but for what is excepted, and every other difference is told', () => {
  const root = (entries: [string, ReturnType<typeof file>][]) => new Map([...outcome().root, ...entries]);
  const same = [
    outcome(),
    outcome({ root: root([['/etc/machine-id', file({ sha256: 'b' })]]) }),
    outcome({ root: root([['/var/log/syslog', file()]]) }),
    outcome({ root: root([['/etc/apt/sources.list', file({ sha256: sha256('') })]]) }),
    outcome({ boot: new Map([...outcome().boot, ['piimg-result.json', 'b']]) }),
  ];
  for (const other of same) assert.equal(differences(outcome(), other), []);
  const others: [Outcome, string][] = [
    [outcome({ root: root([['/etc/web/node.env', file({ sha256: 'b' })]]) }), '/etc/web/node.env has other content'],
    [outcome({ root: root([['/etc/web/node.env', file({ mode: 0o600 })]]) }), '/etc/web/node.env is file 600'],
    [outcome({ root: root([['/etc/passwd.lock', file()]]) }), '/etc/passwd.lock is more'],
    [outcome({ root: root([['/etc/apt/sources.list', file()]]) }), '/etc/apt/sources.list is more'],
    [outcome({ root: new Map([['/etc/machine-id', file()]]) }), '/etc/web/node.env is missing'],
    [outcome({ root: root([['/etc/machine-id', file({ mode: 0o600 })]]) }), '/etc/machine-id is file 600'],
    [outcome({ units: [] }), 'unit web.service running is missing'],
    [outcome({ units: ['web.service running', 'x.service failed'] }), 'unit x.service failed is more'],
    [outcome({ boot: new Map([['user-data', 'b']]) }), 'boot: user-data differs'],
    [outcome({ boot: new Map([...outcome().boot, ['FSCK0000.REC', 'b']]) }), 'boot: FSCK0000.REC is more'],
    [outcome({ result: { status: 'failed', failure: { message: 'no' } } }), 'result: failed no'],
  ];
  for (const [other, said] of others) {
    const found = differences(outcome(), other);
    assert.is(found.length, 1, found.join());
    assert.ok(found[0]?.startsWith(said), found[0]);
  }
  const rules = (date: string, rule: string): Outcome => {
    const text = `# Created by cloud-init v. 25.1.4 on ${date} +0000\n\n${rule}\n`;
    return outcome({ root: root([['/etc/sudoers.d/90-cloud-init-users', file({ sha256: sha256(text), text })]]) });
  };
  assert.equal(differences(rules('Fri, 27 Nov 2026 15:31:00', 'a'), rules('Sat, 28 Nov 2026 01:02:03', 'a')), []);
  assert.is(differences(rules('Fri, 27 Nov 2026 15:31:00', 'a'), rules('Fri, 27 Nov 2026 15:31:00', 'a a')).length, 1);
  const first = outcome({ units: ['ldconfig.service exited', 'web.service running'] });
  assert.equal(differences(first, outcome()), []);
  assert.is(differences(outcome(), first).length, 1, 'more than there was is told all the same');
  for (const { why } of [...EXCEPTIONS, ...UNIT_EXCEPTIONS]) assert.ok(why.length > 10);
});

/** A card with a boot partition of noise and a root that holds a file of four blocks; byte where the root begins. */
async function smallCard(): Promise<{ card: string; root: number; mended: string }> {
  const [card, mended] = [path.join(folder, 'small.img'), path.join(folder, 'mended')];
  await mkdir(path.join(folder, 'tree'), { recursive: true });
  await mkdir(mended, { recursive: true });
  await writeFile(path.join(folder, 'tree/file'), 'content '.repeat(2048));
  await writeFile(card, '');
  await truncate(card, 24 << 20);
  const signal = AbortSignal.timeout(60_000);
  await run(['sfdisk', '-q', card], { signal, input: 'label: dos\nstart=2048,size=2048,type=c\nstart=4096,type=83\n' });
  const options = ['-q', '-F', '-t', 'ext4', '-b', '4096', '-O', '^metadata_csum', '-d', path.join(folder, 'tree')];
  await run(['mke2fs', ...options, '-E', `offset=${4096 * 512}`, card, '5000'], { signal });
  return { card, root: 4096 * 512, mended };
}

test('cards that come to the same have one digest: what no file has does not count, everything else does', async () => {
  const { card, root, mended } = await smallCard();
  const digest = () => recoveredDigest(card, mended);
  const block = async (command: string) => {
    const { stdout } = await run(['debugfs', '-R', command, `${card}?offset=${root}`]);
    return Number(/\d+/.exec(stdout)?.[0]);
  };
  const write = async (at: number): Promise<void> => {
    const disk = await open(card, 'r+');
    await disk.write('changed', at);
    await disk.close();
  };
  const before = await digest();
  assert.ok(before);
  await write(root + (await block('ffb 1 3000')) * 4096);
  assert.is(await digest(), before, 'a free block');
  await write(root + (await block('blocks <8>')) * 4096 + 8192);
  assert.is(await digest(), before, 'the journal');
  await write(root + (await block('blocks file')) * 4096);
  const changed = await digest();
  assert.is.not(changed, before, 'a file');
  await write(2048 * 512 + 5000);
  assert.is.not(await digest(), changed, 'the boot partition');
});

test.run();
