// Boot times in the cache: the newest passed run counts, tests at once lose nothing, the oldest go.
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { keepTimes, lastTimes } from '../../../src/boot/history.ts';
import { run } from '../../../src/host/exec.ts';
import { packageRoot } from '../../../src/host/package-root.ts';
import { passedReport, rebootedReport, unhealthyReport } from '../../helpers/boot-reports.ts';

async function withCache(work: (cache: string) => Promise<void>): Promise<void> {
  const cache = await mkdtemp(path.join(tmpdir(), 'piimg-history-'));
  try {
    await work(cache);
  } finally {
    await rm(cache, { recursive: true });
  }
}

const at = (started: number) => ({ ...passedReport, started });

async function filesIn(cache: string): Promise<string[]> {
  const all = await readdir(cache, { recursive: true, withFileTypes: true });
  return all.filter((entry) => entry.isFile()).map(({ name }) => name);
}

test('the last passed run is found, with its time and build', () =>
  withCache(async (cache) => {
    assert.is(await lastTimes(cache, passedReport), undefined);
    await keepTimes(cache, at(1_000_000_000));
    await keepTimes(cache, { ...rebootedReport, started: 2_000_000_000 });
    await keepTimes(cache, at(999_999_999));
    await keepTimes(cache, { ...unhealthyReport, started: 3_000_000_000 });
    assert.equal(await lastTimes(cache, passedReport), {
      ...rebootedReport.boots[0]?.times,
      started: 2_000_000_000,
      buildId: passedReport.image.buildId,
    });
  }));

test('another role, machine or accelerator is another history, and no name leads out of the cache', () =>
  withCache(async (cache) => {
    const { image, machine } = passedReport;
    await keepTimes(cache, passedReport);
    assert.is(await lastTimes(cache, { image: { role: 'base' }, machine }), undefined);
    assert.is(await lastTimes(cache, { image, machine: { ...machine, name: 'raspi3b' } }), undefined);
    assert.is(await lastTimes(cache, { image, machine: { ...machine, accelerator: 'kvm' } }), undefined);
    const outside = { ...passedReport, image: { ...image, role: '../../elsewhere' } };
    await keepTimes(cache, outside);
    assert.is((await lastTimes(cache, outside))?.started, passedReport.started);
    assert.is((await filesIn(cache)).length, 2);
  }));

test('a file that is damaged or still being written is passed over', () =>
  withCache(async (cache) => {
    await keepTimes(cache, at(1));
    const [folder] = await readdir(path.join(cache, 'boot-times'));
    for (const name of ['00000000002.000-1.json', '00000000003.000-1.json.part'])
      await writeFile(path.join(cache, 'boot-times', folder ?? '', name), '{"started":');
    assert.is((await lastTimes(cache, passedReport))?.started, 1);
  }));

test('tests at once keep all their times', () =>
  withCache(async (cache) => {
    const script = `
      const { keepTimes } = await import(process.argv[1]);
      const report = JSON.parse(process.argv[3]);
      for (let i = 0; i < 10; i++) await keepTimes(process.argv[2], { ...report, started: i });`;
    const module = path.join(packageRoot, 'src/boot/history.ts');
    const one = () =>
      run([
        process.execPath,
        '--import',
        'tsx',
        '--input-type=module',
        '-e',
        script,
        module,
        cache,
        JSON.stringify(passedReport),
      ]);
    await Promise.all([one(), one(), one()]);
    assert.is((await filesIn(cache)).length, 30);
  }));

test('a cache that cannot be written to is said, not thrown', () =>
  withCache(async (cache) => {
    const file = path.join(cache, 'file');
    await writeFile(file, '');
    assert.match((await keepTimes(file, passedReport)) ?? '', /ENOTDIR/);
    assert.is(await lastTimes(file, passedReport), undefined);
    assert.is(await keepTimes(cache, passedReport), undefined);
  }));

test('fifty runs are kept, the newest', () =>
  withCache(async (cache) => {
    for (let started = 0; started < 53; started++) await keepTimes(cache, at(started));
    const files = (await filesIn(cache)).sort();
    assert.is(files.length, 50);
    assert.match(files[0] ?? '', /^0+3\.000-/);
  }));

test.run();
