// `npm run verify:raspios -- IMAGE`: for people who hold a real image of Raspberry Pi OS: is it what piimg takes it for, and does it boot?
//   npm run verify:raspios -- [--no-boot] [--minutes N] IMAGE
// Prints what `piimg inspect --facts` finds; then boots a copy-on-write card of it as QEMU's raspi3b, until somebody is asked to log in.
import { mkdtemp, rm } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { run } from '../../src/host/exec.ts';
import { EXIT, PiimgError } from '../../src/lib/errors.ts';
import { piimgCommand } from '../helpers/built.ts';
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
  const facts = await run([...piimgCommand(), 'inspect', '--facts', image], { okCodes: [0, 1] });
  console.log(facts.stdout.trimEnd());
  let passed = facts.exitCode === 0;
  if (!passed)
    console.log(
      '\nFACTS DIFFER: what piimg knows of these images is not all true of this one. Please report the table.',
    );
  if (!values['no-boot']) passed = (await boots(path.resolve(image), minutes)) && passed;
  console.log(passed ? '\nas documented' : '\nNOT as documented');
  if (!passed) process.exitCode = EXIT.failed;
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
