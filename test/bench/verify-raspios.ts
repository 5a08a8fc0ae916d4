// `npm run verify:raspios -- IMAGE`: for people who hold a real image of Raspberry Pi OS: is it what piimg takes it for, and does it boot?
//   npm run verify:raspios -- [--no-boot] [--minutes N] IMAGE
// Compares the facts of `piimg inspect --facts` with the era of Raspberry Pi OS that is nearest; then boots a copy-on-write card of it as QEMU's raspi3b, until somebody is asked to log in.
import { mkdtemp, rm } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { withImageView } from '../../src/cli/image-view.ts';
import { EXIT, PiimgError } from '../../src/lib/errors.ts';
import { readFacts } from '../../src/vendor/facts.ts';
import { ERAS, type Era } from '../fixtures/raspios/eras.ts';
import { FACTS } from '../fixtures/raspios/facts.ts';
import { bootForeign } from '../helpers/foreign-boot.ts';
import { runMain } from './main.ts';

/** Third parties gave theirs 25 minutes (OpenVoiceOS/raspOVOS#166). */
const MINUTES = 30;

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    options: { 'no-boot': { type: 'boolean', default: false }, minutes: { type: 'string', default: `${MINUTES}` } },
    allowPositionals: true,
  });
  const [image, ...others] = positionals;
  const minutes = Number(values.minutes);
  if (image === undefined || others.length > 0 || !(minutes > 0)) {
    throw new PiimgError('One image has to be named', {
      exitCode: EXIT.usage,
      hint: 'npm run verify:raspios -- [--no-boot] [--minutes N] 2026-06-18-raspios-trixie-arm64-lite.img',
    });
  }
  let passed = await factsHold(path.resolve(image));
  if (!values['no-boot']) passed = (await boots(path.resolve(image), minutes)) && passed;
  console.log(passed ? '\nas documented' : '\nNOT as documented');
  if (!passed) process.exitCode = EXIT.failed;
}

/** Prints every fact. What was an inference from the start may differ: then it is known at last. */
async function factsHold(image: string): Promise<boolean> {
  const found = await withImageView(image, (view) => readFacts(view));
  const expected = (era: Era): Map<string, string> => new Map(FACTS.map((fact) => [fact.id, fact.value(era)]));
  const differing = (era: Era): string[] =>
    found.filter(({ id, value }) => expected(era).get(id) !== value).map(({ id }) => id);
  const [nearest] = Object.values(ERAS).sort((a, b) => differing(a).length - differing(b).length);
  if (nearest === undefined) return false;
  console.log(`nearest to: ${nearest.title}\n`);
  const different = differing(nearest);
  for (const { id, value, source } of found) {
    const fact = FACTS.find((each) => each.id === id);
    if (!different.includes(id)) console.log(`  as documented  ${id}: ${value}`);
    else
      console.log(
        `  ${fact?.kind === 'inference' ? 'differs' : 'DIFFERS'}  ${id}: ${value}\n    expected: ${expected(nearest).get(id)}\n    source: ${source}`,
      );
  }
  const wrong = different.filter((id) => FACTS.find((fact) => fact.id === id)?.kind !== 'inference');
  if (different.length > 0)
    console.log(`\n${different.length} differ: please report this table, with the name and digest of the image`);
  return wrong.length === 0;
}

/** The end of the console tells why not. */
async function boots(image: string, minutes: number): Promise<boolean> {
  const folder = await mkdtemp('/var/tmp/piimg-verify-');
  const started = Date.now();
  console.log(`\nbooting it as a Raspberry Pi 3 (QEMU raspi3b), at most ${minutes} minutes for each start …`);
  try {
    const { consoles } = await bootForeign({ machine: 'raspi3b', image, folder, minutes }, async () => {});
    const all = consoles.join('\n');
    const lines = all.match(/^.*(Machine model: .*|Linux version \S+|resized filesystem .*)$/gm) ?? [];
    console.log(lines.join('\n'));
    const seconds = Math.round((Date.now() - started) / 1000);
    console.log(`asks for a login after ${seconds} s and ${consoles.length} starts`);
    return true;
  } catch (error) {
    console.log(error instanceof Error ? error.message : String(error));
    return false;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

await runMain(main);
