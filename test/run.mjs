// The test runner behind `npm test`: checks of the sources, unit tests, system tests; ends in `N passed, N failed`.
//   node test/run.mjs [--all] [check|unit|system|part of a file's path]…
// It stops after the first group with a failure; --all goes on. Without arguments everything runs.
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { stripVTControlCharacters } from 'node:util';
import { countUvu } from './helpers/uvu-summary.mjs';

/** Files of test/system in the order they run, the cheap ones first. A file that is not named here is an error. */
const SYSTEM = [
  'report',
  'qemu',
  'native-dpkg',
  'capture',
  'image-base',
  'image',
  'stage',
  'seed',
  'customize',
  'drives',
  'rig',
  'probe',
  'flash-file',
  'flash-guard',
  'flash-changing',
  'flash',
  'flash-foreign',
  'flash-user',
  'flash-choose',
  'flash-bad-cards',
  'flash-sources',
  'flash-resume',
  'flash-root',
  'web',
  'readme',
  'role-language',
  'reproducible',
  'card',
  'raspi3b',
  'power',
  'bad-luck-input',
  'bad-luck-lock',
  'bad-luck-download',
];

/** Long proofs, after all others: run by `npm run test:all`, and when they are asked for by name. */
const LONG = [
  'cloud-init-schema',
  'surroundings',
  'bad-luck-cache',
  'bad-luck-kill',
  'boot-raspi4b',
  'boot-failures',
  'boot-slow',
  'boot-unhealthy',
  'boot-again',
  'boot-first-boot',
  'boot-alone',
  'raspios-boot',
  'raspios-customize',
  'raspios-base',
  'ci-example',
  'kill-web',
];

/** Files of unit tests to a process: starting one for each would take longer than the tests, and of two that share all one would be slower. */
const SHARE = 16;

/** No process of a test lasts longer, in minutes; tests have shorter limits of their own. */
const LIMIT = 60;

const root = fileURLToPath(new URL('..', import.meta.url));
process.chdir(root);
const words = process.argv.slice(2);
const goOn = words.includes('--all');
const selectors = words.filter((word) => word !== '--all');
const unknown = selectors.find((word) => word.startsWith('-'));
if (unknown !== undefined) refuse(`unknown option ${unknown}`);

const unitFiles = testFiles('test/unit');
const systemFiles = orderedSystemFiles();
const groups = [
  { name: 'check', jobs: isSelected('check') ? checks() : [] },
  { name: 'unit', jobs: unitJobs(unitFiles.filter((file) => isSelected('unit', file))) },
  { name: 'system', jobs: systemFiles.filter(isWanted).map(systemJob) },
];

const total = { passed: 0, failed: 0 };
for (const { name, jobs } of groups) {
  for (const job of jobs) {
    console.log(`\n## ${name}: ${job.title}`);
    const started = Date.now();
    const { passed, failed } = await job.run();
    total.passed += passed;
    total.failed += failed;
    console.log(
      `## ${job.title}: ${failed > 0 ? `${failed} FAILED, ` : ''}${passed} passed (${((Date.now() - started) / 1000).toFixed(1)} s)`,
    );
  }
  if (total.failed > 0 && !goOn) break;
}
if (total.passed + total.failed === 0) console.log(`Nothing ran: no test fits ${selectors.join(' ')}`);
process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : 0;
console.log(`${total.passed} passed, ${total.failed} failed`);

/** The runner itself is wrong or misused: that is a failure too. */
function refuse(message) {
  console.log(`${message}\n0 passed, 1 failed`);
  process.exit(1);
}

function testFiles(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true })
    .map((file) => path.join(folder, file))
    .filter((file) => file.endsWith('.test.ts'))
    .sort();
}

function orderedSystemFiles() {
  const ordered = [...SYSTEM, ...LONG].map((name) => `test/system/${name}.test.ts`);
  const unordered = testFiles('test/system').filter((file) => !ordered.includes(file));
  if (unordered.length > 0) refuse(`test/run.mjs does not name ${unordered.join(', ')}`);
  const absent = ordered.filter((file) => !existsSync(file));
  if (absent.length > 0) refuse(`test/run.mjs names ${absent.join(', ')}, which do not exist`);
  return ordered;
}

/** A group's name selects all of it, any other word the files whose path has it. */
function isSelected(group, file = '') {
  return selectors.length === 0 || selectors.some((word) => word === group || (file !== '' && file.includes(word)));
}

function isWanted(file) {
  const long = LONG.find((name) => file.endsWith(`/${name}.test.ts`));
  if (long === undefined || process.env.PIIMG_TEST_ALL !== undefined) return isSelected('system', file);
  return selectors.some((word) => long.includes(word));
}

/** Every command of `npm run check` counts as one test. */
function checks() {
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8'));
  return scripts.check.split(' && ').map((command) => ({
    title: command,
    run: async () =>
      (await execute('sh', ['-c', command], { live: true })).code === 0
        ? { passed: 1, failed: 0 }
        : { passed: 0, failed: 1 },
  }));
}

/** A process a core, which takes a share of the files, and then the next one. */
function unitJobs(files) {
  if (files.length === 0) return [];
  const cores = Math.min(availableParallelism(), files.length);
  const count = Math.max(cores, Math.ceil(files.length / SHARE));
  const shares = Array.from({ length: count }, (_, share) => files.filter((_file, index) => index % count === share));
  const run = async () => {
    const sum = { passed: 0, failed: 0 };
    const work = async () => {
      for (let share = shares.shift(); share !== undefined; share = shares.shift()) {
        const { passed, failed } = await uvu('test/unit', share, { live: cores === 1 });
        sum.passed += passed;
        sum.failed += failed;
      }
    };
    await Promise.all(Array.from({ length: cores }, work));
    return sum;
  };
  return [{ title: files.length === unitFiles.length ? 'all' : files.join(' '), run }];
}

function systemJob(file) {
  return { title: file, run: () => uvu('test/system', [file], { live: true }) };
}

async function uvu(folder, files, { live }) {
  const pattern = `^(${files.map((file) => path.relative(folder, file).replaceAll(/[.+]/g, '\\$&')).join('|')})$`;
  const colour = process.stdout.isTTY ? [] : ['--no-color'];
  const uvuItself = ['--import', 'tsx', 'node_modules/uvu/bin.js', ...colour, folder, pattern];
  const { code, output } = await execute(process.execPath, uvuItself, { live });
  return countUvu(output, code);
}

/** Runs a program, shows its output, `live` or when it has ended, and keeps the end of it without colours. */
function execute(program, args, { live }) {
  return new Promise((resolve) => {
    const env = { ...process.env, PATH: `${path.join(root, 'node_modules/.bin')}:${process.env.PATH}` };
    const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    const unseen = [];
    const keep = (chunk, to) => {
      if (live) to.write(chunk);
      else unseen.push(chunk);
      output = (output + stripVTControlCharacters(chunk.toString())).slice(-20_000);
    };
    child.stdout.on('data', (chunk) => keep(chunk, process.stdout));
    child.stderr.on('data', (chunk) => keep(chunk, process.stderr));
    const timer = setTimeout(() => {
      console.log(`## ended after ${LIMIT} minutes`);
      child.kill('SIGKILL');
    }, LIMIT * 60_000);
    child.on('error', (error) => console.log(error.message));
    child.on('close', (code) => {
      clearTimeout(timer);
      process.stdout.write(Buffer.concat(unseen));
      resolve({ code, output });
    });
  });
}
