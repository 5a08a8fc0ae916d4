// The example workflow, carried out on a machine that has nothing: each `run:` step as it stands there, what the actions around it do
// by hand, and once more with what the cache has kept. Only GitHub itself is missing.
import { execFileSync } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { run } from '../../src/host/exec.ts';
import { requireSpace } from '../../src/host/space.ts';
import type { ImageManifest } from '../../src/image/manifest.ts';
import { showDetail } from '../helpers/built.ts';
import { makeFreshDebian, runInside } from '../helpers/fresh-debian.ts';
import { readWorkflow, type Step } from '../helpers/workflow.ts';

const packageRoot = fileURLToPath(new URL('../..', import.meta.url));
const text = await readFile(path.join(packageRoot, '.github/workflows/images.yml'), 'utf8');
// One role will do: the steps are the same for all, and web builds on base.
const expressions = { 'matrix.role': 'web', 'github.run_id': '1' };

// As the runner names them in a container.
const WORKSPACE = '/__w/piimg/piimg';
const HOME = '/github/home';
const KEPT = '/kept.tar';

const folder = '/var/tmp';
await requireSpace([{ folder, bytes: 8 * 2 ** 30, what: 'a machine of its own, and two builds in it' }]);
const root = await mkdtemp(`${folder}/piimg-ci-example-`);
process.on('exit', () => void execFileSync('rm', ['-rf', '--one-file-system', root]));
await makeFreshDebian(root);
const workspace = path.join(root, WORKSPACE);
const pushed = path.join(root, 'pushed');
await push();

function inside(script: string, onLine?: (line: string) => void): Promise<{ stdout: string }> {
  const env = { HOME, CI: 'true', GITHUB_ACTIONS: 'true', GITHUB_WORKSPACE: WORKSPACE };
  const signal = AbortSignal.timeout(20 * 60_000);
  return runInside(root, script, { cwd: WORKSPACE, env, signal, ...(onLine && { onLine }) }).catch(showDetail);
}

/** What a job leaves: the lines its commands printed, and the folder with all that is uploaded. */
interface Job {
  lines: string[];
  uploaded: string;
}

/** Runs the steps of a job on the machine, with an empty home and workspace; `change` is what was pushed since. */
async function runJob(steps: Step[], change: () => Promise<void> = async () => {}): Promise<Job> {
  for (const dir of [WORKSPACE, HOME]) {
    await rm(path.join(root, dir), { recursive: true, force: true });
    await mkdir(path.join(root, dir), { recursive: true });
  }
  const uploaded = path.join(root, 'uploaded');
  await rm(uploaded, { recursive: true, force: true });
  const lines: string[] = [];
  let keep = async (): Promise<void> => {};
  for (const step of steps) {
    if ('run' in step) {
      console.log(`$ ${step.run}`);
      await inside(step.run, (line) => lines.push(line));
      continue;
    }
    const paths = step.with['path'] ?? '';
    switch (step.uses) {
      case 'actions/checkout@v4':
        await cp(pushed, workspace, { recursive: true });
        await change();
        break;
      case 'actions/setup-node@v4':
        // This machine's own stands in for it.
        assert.match((await inside('node --version; npm --version')).stdout, /^v\d+.*\n\d+/);
        break;
      case 'actions/cache@v4':
        keep = await cache(paths);
        break;
      case 'actions/upload-artifact@v4':
        await inside(`mkdir /uploaded; cp -a --parents ${paths.replaceAll(/\s+/g, ' ')} /uploaded`);
        break;
      default:
        throw new Error(`${step.uses}: what does it do?`);
    }
  }
  await keep();
  return { lines, uploaded };
}

/** Copies the working tree, uncommitted files too: once, so that all jobs get the same. */
async function push(): Promise<void> {
  const list = ['git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'];
  const { stdout } = await run(list, { cwd: packageRoot });
  for (const name of stdout.split('\0').filter((found) => found !== '')) {
    // A file may be deleted and not yet committed.
    await cp(path.join(packageRoot, name), path.join(pushed, name)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    });
  }
}

/** Unpacks what is kept; gives what keeps it at the end of the job, both with the options of tar that the action uses. */
async function cache(paths: string): Promise<() => Promise<void>> {
  await inside(`[ ! -e ${KEPT} ] || tar -xf ${KEPT} -P`);
  // The action packs with zstd where there is one, and finds only what was packed the same way: no step may install it.
  const zstd = async (): Promise<string> => (await inside('command -v zstd || true')).stdout;
  const before = await zstd();
  return async () => {
    assert.is(await zstd(), before);
    await inside(`tar --posix -cf ${KEPT} -P ${paths.replaceAll(/\s+/g, ' ')}`);
  };
}

async function manifestIn({ uploaded }: Job): Promise<ImageManifest> {
  return JSON.parse(await readFile(path.join(uploaded, 'out/web.manifest.json'), 'utf8')) as ImageManifest;
}

async function assertUploaded({ uploaded }: Job): Promise<void> {
  const manifest = await manifestIn({ lines: [], uploaded });
  const found = await readdir(path.join(uploaded, 'out'));
  assert.equal(found.sort(), ['web.bmap', 'web.img', 'web.manifest.json']);
  const { stdout } = await run(['sha256sum', path.join(uploaded, 'out/web.img')]);
  assert.is(stdout.split(' ')[0], manifest.image.sha256);
  const reports = path.join(uploaded, 'reports');
  assert.equal((await readdir(reports)).sort(), ['web.virt.html', 'web.virt.junit.xml']);
  assert.match(await readFile(path.join(reports, 'web.virt.html'), 'utf8'), /^<!doctype html>/i);
  const junit = await readFile(path.join(reports, 'web.virt.junit.xml'), 'utf8');
  assert.match(junit, '<testcase');
  assert.not.match(junit, /<(failure|error)\b/);
}

/** Titles of the layers that were made, and of those that were there. */
function layersIn({ lines }: Job, { layers }: ImageManifest): { made: string[]; reused: string[] } {
  const titles = (how: RegExp): string[] =>
    layers.flatMap(({ title }) =>
      lines.some((line) => line.startsWith(`= ${title}: `) && how.test(line.slice(title.length + 4))) ? title : [],
    );
  return { made: titles(/^done/), reused: titles(/^reused/) };
}

test('a step that fails ends the job', async () => {
  const failing = text.replace(/run: npm start -- test .*/, 'run: exit 3');
  const { steps } = readWorkflow(failing, expressions);
  const error: unknown = await runJob(steps.filter((step) => 'run' in step)).catch((caught: unknown) => caught);
  assert.match(String(error), 'Command failed with status 3');
});

const foreign = {
  'an expression': text.replace('--reports reports', '--reports ${{ runner.temp }}'),
  'an action': text.replace('actions/setup-node@v4', 'actions/setup-python@v5'),
  'a setting of a step': text.replace(/( *)(- run: npm start -- test)/, '$1- shell: sh\n$1  run: npm start -- test'),
  'a setting of the job': text.replace('    strategy:', '    continue-on-error: true\n    strategy:'),
};
for (const [what, changed] of Object.entries(foreign)) {
  test(`${what} that is not known here is an error`, () => {
    assert.is.not(changed, text);
    assert.throws(() => readWorkflow(changed, expressions));
  });
}

test('every role is built', async () => {
  const { roles } = readWorkflow(text, expressions);
  const files = await readdir(path.join(packageRoot, 'images/roles'));
  const there = files.flatMap((file) => (file.endsWith('.yaml') ? path.basename(file, '.yaml') : []));
  assert.equal(roles.sort(), there.sort());
});

test('the job builds and boots; the next one, with a changed overlay, has all other layers from the cache', async () => {
  const { steps } = readWorkflow(text, expressions);
  const first = await runJob(steps);
  await assertUploaded(first);
  const before = await manifestIn(first);
  const { made, reused } = layersIn(first, before);
  assert.equal([made, reused], [before.layers.map(({ title }) => title), []]);

  const changed = path.join(workspace, 'overlays/base/rootfs/etc/systemd/journald.conf.d/10-piimg.conf');
  const second = await runJob(steps, async () => writeFile(changed, `# Changed.\n${await readFile(changed, 'utf8')}`));
  await assertUploaded(second);
  const after = await manifestIn(second);
  assert.equal(after.packages, before.packages, 'Debian has published packages in between: run this test again');
  const kept = after.layers.filter(({ key }) => before.layers.some((layer) => layer.key === key));
  const now = layersIn(second, after);
  assert.equal(
    now.reused,
    kept.map(({ title }) => title),
  );
  assert.equal(now.made, ['files', 'units', 'identity']);
  assert.ok(second.lines.some((line) => line.startsWith('= download: reused')));
  assert.ok(second.lines.some((line) => line.startsWith('= native tools: reused')));
  assert.equal(
    second.lines.filter((line) => /damaged|made anew/.test(line)),
    [],
  );
});

test.run();
