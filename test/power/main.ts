// `npm run test:power`: a first boot whose power is cut at many instants; every cut card must become what the uncut one became.
//   npm run test:power -- [--seed N] [--per-region N] [--only TEXT] [--jobs N] [--minutes N] [--more-steps] [--careless]
import { mkdir, mkdtemp, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { run } from '../../src/host/exec.ts';
import { digestOf, digestOfFile } from '../../src/lib/digest.ts';
import { builtWeb } from '../helpers/built.ts';
import { imageWith, ROLE_FILE } from '../helpers/changed-image.ts';
import { carelessAgent } from './careless.ts';
import { chooseCuts } from './cuts.ts';
import { keptRecording } from './kept.ts';
import { liveAll } from './lives.ts';
import { MORE, withMoreSteps } from './more-steps.ts';
import { record } from './recording.ts';
import { makeSubject } from './subject.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: String(Math.floor(Math.random() * 1e6)) },
    'per-region': { type: 'string', default: '20' },
    /** Cuts whose names match this regular expression. */
    only: { type: 'string', default: '' },
    /** Machines at the same time. */
    jobs: { type: 'string', default: '2' },
    /** No machine is started later; another run goes on where this one stops. */
    minutes: { type: 'string', default: '600' },
    /** The role has more steps than its own: each kind that needs nothing else on the card; the seed has a peer and Wi-Fi. */
    'more-steps': { type: 'boolean', default: false },
    /** The negative control: an agent that flushes nothing. It passes when a cut is found that it does not survive. */
    careless: { type: 'boolean', default: false },
  },
});
const seed = Number(values.seed);
const until = Date.now() + Number(values.minutes) * 60_000;

const work = await mkdtemp(path.join(tmpdir(), 'piimg-power-'));
try {
  const { image, manifest, cacheDir } = await builtWeb();
  // Another judge, or another machine, has to look at all of them again.
  const judges = (await readdir('test/power')).map((file) => `test/power/${file}`);
  const files = [...judges.sort(), 'test/helpers/image-files.ts', 'qemu/machines/virt.yaml', 'src/seed/cloud-init.ts'];
  const digests = await Promise.all(files.map(digestOfFile));
  const key = digestOf([manifest.image.sha256, ...digests, values.careless, values['more-steps']]);
  const name = key.slice(0, 16);
  const folder = path.join(cacheDir, 'test/power', name);
  await mkdir(folder, { recursive: true });
  const { subject, recording } = await keptRecording(folder, async () => {
    console.log('recording a boot');
    const files = {
      ...(values.careless && { 'usr/lib/piimg/piimg-firstboot': await carelessAgent(work) }),
      ...(values['more-steps'] && { [ROLE_FILE]: await withMoreSteps(image) }),
    };
    const changed = Object.keys(files).length > 0 ? await imageWith(image, work, 'web', { files }) : image;
    const made = await makeSubject(changed, manifest, folder, values['more-steps'] ? MORE : {});
    return { subject: made, recording: await record(made, !values.careless) };
  });
  const { entries, regions, boundaries } = recording;
  for (const { name, from, to } of regions) console.log(`${name}: entries ${from} to ${to} of ${entries.length}`);
  const all = chooseCuts(entries, { regions, boundaries, perRegion: Number(values['per-region']), seed });
  const cuts = all.filter((cut) => new RegExp(values.only).test(cut.name));
  const { passed, failed, left, booted } = await liveAll(cuts, {
    subject,
    recording,
    work,
    jobs: Number(values.jobs),
    until,
  });
  console.log(`${booted} cards booted in this run, for ${cuts.length} cuts; ${left} cuts left for another run`);
  console.log(`${passed} passed, ${failed} failed (seed ${seed})`);
  if (values.careless) console.log(failed > 0 ? 'the careless agent was caught' : 'the careless agent was NOT caught');
  if (failed > 0 !== values.careless || left > 0 || cuts.length === 0) process.exitCode = 1;
} finally {
  await run(['rm', '-rf', work]);
}
