// `npm run test:power`: a first boot whose power is cut at many instants; every cut card must become what the uncut one became.
//   npm run test:power -- [--seed N] [--per-region N] [--only TEXT] [--jobs N] [--careless]
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { run } from '../../src/host/exec.ts';
import { builtWeb } from '../helpers/built.ts';
import { imageWith } from '../helpers/changed-image.ts';
import { carelessAgent } from './careless.ts';
import { chooseCuts } from './cuts.ts';
import { liveAll } from './lives.ts';
import { record } from './recording.ts';
import { makeSubject } from './subject.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: String(Math.floor(Math.random() * 1e6)) },
    'per-region': { type: 'string', default: '20' },
    only: { type: 'string' },
    /** Machines at the same time. */
    jobs: { type: 'string', default: '2' },
    /** The negative control: an agent that flushes nothing. It passes when a cut is found that it does not survive. */
    careless: { type: 'boolean', default: false },
  },
});
const seed = Number(values.seed);

const folder = await mkdtemp(path.join(tmpdir(), 'piimg-power-'));
try {
  const { image, manifest } = await builtWeb();
  const files = { 'usr/lib/piimg/piimg-firstboot': await carelessAgent(folder) };
  const booted = values.careless ? await imageWith(image, folder, 'web', { files }) : image;
  const subject = await makeSubject(booted, manifest, folder);
  console.log(`seed ${seed}: recording a boot`);
  const recording = await record(subject, !values.careless);
  const { entries, regions, boundaries } = recording;
  for (const { name, from, to } of regions) console.log(`${name}: entries ${from} to ${to} of ${entries.length}`);
  const all = chooseCuts(entries, { regions, boundaries, perRegion: Number(values['per-region']), seed });
  const cuts = all.filter(({ name }) => name.includes(values.only ?? ''));
  const { passed, failed, booted: lives } = await liveAll(cuts, subject, recording, Number(values.jobs));
  console.log(`${lives} cards booted, for ${cuts.length} cuts`);
  console.log(`${passed} passed, ${failed} failed (seed ${seed})`);
  if (values.careless) console.log(failed > 0 ? 'the careless agent was caught' : 'the careless agent was NOT caught');
  if (failed > 0 !== values.careless || cuts.length === 0) process.exitCode = 1;
} finally {
  await run(['rm', '-rf', folder]);
}
