// `npm run test:power`: a first boot whose power is cut at many instants; every cut card must become what the uncut one became.
//   npm run test:power -- [--seed N] [--per-region N] [--only TEXT] [--careless]
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { run } from '../../src/host/exec.ts';
import { builtWeb } from '../helpers/built.ts';
import { imageWith } from '../helpers/changed-image.ts';
import { carelessAgent } from './careless.ts';
import { chooseCuts } from './cuts.ts';
import { differences } from './differences.ts';
import { live } from './machine.ts';
import { record } from './recording.ts';
import { makeSubject } from './subject.ts';
import { replay, writesOf } from './write-log.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: String(Math.floor(Math.random() * 1e6)) },
    'per-region': { type: 'string', default: '20' },
    only: { type: 'string' },
    /** The negative control: an agent that flushes nothing. It passes when a cut is found that it does not survive. */
    careless: { type: 'boolean', default: false },
  },
});
const seed = Number(values.seed);
/** For one life: an emulated Pi on a busy computer. */
const MINUTES = 20;

const folder = await mkdtemp(path.join(tmpdir(), 'piimg-power-'));
try {
  const { image, manifest } = await builtWeb();
  const files = { 'usr/lib/piimg/piimg-firstboot': await carelessAgent(folder) };
  const booted = values.careless ? await imageWith(image, folder, 'web', { files }) : image;
  const subject = await makeSubject(booted, manifest, folder);
  console.log(`seed ${seed}: recording a boot`);
  const { expected, entries, log, regions, boundaries } = await record(subject, MINUTES, !values.careless);
  for (const { name, from, to } of regions) console.log(`${name}: entries ${from} to ${to} of ${entries.length}`);
  const all = chooseCuts(entries, { regions, boundaries, perRegion: Number(values['per-region']), seed });
  const cuts = all.filter(({ name }) => name.includes(values.only ?? ''));
  const player = await replay(subject.card, log, entries);
  let failed = 0;
  for (const [index, cut] of cuts.entries()) {
    await player.forwardTo(cut.entries);
    const life = path.join(folder, 'life');
    await mkdir(life);
    const started = Date.now();
    const patches = await writesOf(log, entries, cut.further);
    const found = await live(subject, { image: subject.card, folder: life, minutes: MINUTES, patches }).then(
      (outcome) => differences(expected, outcome),
      (error: Error) => [error.message],
    );
    const seconds = Math.round((Date.now() - started) / 1000);
    console.log(
      `${found.length === 0 ? 'equal  ' : 'DIFFERS'}  ${index + 1}/${cuts.length}  ${cut.name}  ${seconds} s`,
    );
    for (const line of found.slice(0, 40)) console.log(`         ${line}`);
    if (found.length > 0) failed++;
    await rm(life, { recursive: true });
  }
  await player.close();
  console.log(`${cuts.length - failed} passed, ${failed} failed (seed ${seed})`);
  if (values.careless) console.log(failed > 0 ? 'the careless agent was caught' : 'the careless agent was NOT caught');
  if (failed > 0 !== values.careless || cuts.length === 0) process.exitCode = 1;
} finally {
  await run(['rm', '-rf', folder]);
}
