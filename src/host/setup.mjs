// Gets a clone ready and goes on with `npm start` or `npm test`: dependencies, compiled code, Debian packages. Silent when nothing is missing.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { compareVersions, minimumNode, missingFor, repair } from './requirements.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
/** Exit code for something missing that set-up could not provide. */
const MISSING = 4;

const [verb, ...args] = process.argv.slice(2);
if (verb !== 'start' && verb !== 'test') stop('usage: setup.mjs start|test [arguments]', 2);
process.chdir(root);
checkNode();
installDependencies();
compile();
// Most people only build: an emulator is for those who boot what they built.
const boots = verb === 'test' || args[0] === 'test' || args[0] === 'boot';
installPackages([
  'build',
  ...(boots ? ['boot'] : []),
  ...(args[0] === 'seed' || args[0] === 'customize' ? ['seed'] : []),
  ...(verb === 'test' ? ['test'] : []),
]);
await goOn();

function checkNode() {
  if (compareVersions(process.versions.node, minimumNode) >= 0) return;
  stop(
    `piimg needs Node.js ${minimumNode} or later; this is ${process.versions.node}. See https://nodejs.org.`,
    MISSING,
  );
}

/** `npm ci`, when there is no node_modules made from this very package-lock.json. */
function installDependencies() {
  const stamp = 'node_modules/.piimg-lock';
  const lock = createHash('sha256').update(readFileSync('package-lock.json')).digest('hex');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === lock) return;
  say('installing: npm packages');
  // npm's own limits let it try for minutes without a word where there is no network.
  const retries = ['--fetch-retries=2', '--fetch-retry-mintimeout=1000', '--fetch-retry-maxtimeout=5000'];
  const options = ['--include=dev', '--no-audit', '--no-fund', '--loglevel=error', ...retries];
  const result = spawnSync('npm', ['ci', ...options], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  if (result.error?.code === 'ENOENT')
    stop('npm was not found; it comes with Node.js. See https://nodejs.org.', MISSING);
  if (result.status !== 0) {
    // npm begins with what matters and goes on with pages of help.
    process.stderr.write(`${`${result.stdout}${result.stderr}`.split('\n').slice(0, 12).join('\n')}\n`);
    stop('npm ci failed (above). It needs the package registry once; afterwards piimg works without.', 1);
  }
  writeFileSync(stamp, lock);
}

/** The compiler, when a file it reads has changed since it last ran without errors. */
function compile() {
  const stamp = 'dist/.piimg-sources';
  const sources = ['src', 'firstboot', 'images/schemas']
    .flatMap((folder) => readdirSync(folder, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name));
  const facts = [...sources, 'package.json', 'package-lock.json', 'tsconfig.json'].sort().map((file) => {
    const { mtimeMs, size } = statSync(file);
    return `${file} ${mtimeMs} ${size}`;
  });
  const state = createHash('sha256').update(facts.join('\n')).digest('hex');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === state) return;
  say('compiling');
  const result = spawnSync('npm', ['run', '--silent', 'compile'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  if (result.status !== 0) {
    process.stderr.write(`${result.stdout}${result.stderr}`);
    stop('Compiling failed (its output is above).', 1);
  }
  writeFileSync(stamp, state);
}

function installPackages(purposes) {
  const { packages, subIds, byHand } = missingFor(purposes);
  for (const row of byHand) stop(`${row.name} was not found, which is needed to ${row.reason}. ${row.hint}`, MISSING);
  const rest = repair(packages, subIds, say);
  if (rest === undefined) return;
  if (rest.output !== undefined) process.stderr.write(`${rest.output}\n`);
  stop(`Debian packages are missing; run: ${rest.command}`, MISSING);
}

/** Goes on in this process: signals and exit code are then the program's own, without forwarding. */
async function goOn() {
  const program = path.join(root, verb === 'test' ? 'test/run.mjs' : 'dist/cli/main.js');
  const given = verb === 'start' && args.length === 0 ? ['build', '--role', 'web'] : args;
  process.argv = [process.argv[0], program, ...given];
  // Compiled by now: tests start that (test/helpers/command.ts).
  if (verb === 'test') process.env.PIIMG_TEST_BUILT = '1';
  await import(program);
}

function say(line) {
  process.stderr.write(`${line}\n`);
}

function stop(line, code) {
  say(line);
  process.exit(code);
}
