// A first boot whose power is cut, at instants that a seed draws: each cut card must become what the uncut one became. All of them:
// `npm run test:power`.
import { mkdir, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { run } from '../../src/host/exec.ts';
import { builtWeb } from '../helpers/built.ts';
import { chooseCuts } from '../power/cuts.ts';
import { liveAll } from '../power/lives.ts';
import { record } from '../power/recording.ts';
import { makeSubject } from '../power/subject.ts';

const { image, manifest } = await builtWeb();
const seed = Number(process.env.PIIMG_SEED ?? Math.floor(Math.random() * 1e6));

console.log(`seed ${seed} (PIIMG_SEED)`);

test('cut at two instants of its first boot, it becomes its role all the same', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'piimg-power-'));
  try {
    const kept = path.join(folder, 'recorded');
    await mkdir(kept);
    const subject = await makeSubject(image, manifest, kept);
    const recording = await record(subject, true);
    const { entries, regions } = recording;
    const drawn = chooseCuts(entries, { regions, boundaries: [], perRegion: 1, seed });
    // Any, another one each time; and the one that an agent without flushes never survives.
    const sample = [
      ...drawn.slice(seed % drawn.length).slice(0, 1),
      ...recording.boundaries.filter(({ name, torn }) => torn !== undefined && name.startsWith('piimg.json')),
    ].sort((a, b) => a.entries - b.entries);
    assert.is(sample.length, 2, JSON.stringify(drawn));
    const lives = { subject, recording, work: folder, jobs: 2, until: Infinity };
    const { failed, passed } = await liveAll(sample, lives);
    assert.equal({ failed, passed }, { failed: 0, passed: sample.length }, `seed ${seed}: see the lines above`);
  } finally {
    await run(['rm', '-rf', folder]);
  }
});

test.run();
