// A build is killed, interrupted and started twice at random instants: nothing stays behind, and the next build works.
import { readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  builtDigest,
  freshCache,
  leftParts,
  mustBuild,
  piimg,
  processesOf,
  remains,
  removeTree,
  startPiimg,
  withProject,
  writeRole,
  type Project,
} from '../helpers/bad-luck-project.ts';

/** All of them take a quarter of an hour. */
const INSTANTS = Number(process.env['PIIMG_TEST_INSTANTS'] ?? (process.env['PIIMG_TEST_ALL'] === undefined ? 2 : 20));

/** The share of builds that begin with nothing at all: every file has to be downloaded, the native tools to be made. */
const COLD = 0.4;

/** Numbers in [0, 1) that a seed gives again (mulberry32). */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const wait = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Forgets what was built; with `all`, what was downloaded and the native tools as well. */
async function forget({ cache, dir }: Project, { all }: { all: boolean }): Promise<void> {
  for (const part of ['layers', 'stages', ...(all ? ['store', 'tools'] : [])]) {
    await removeTree(path.join(cache, part));
  }
  await rm(path.join(dir, 'out'), { recursive: true, force: true });
}

/** Milliseconds that a build takes from nothing, and how many of them until its first layer. */
async function timeCold(project: Project): Promise<{ whole: number; before: number }> {
  await forget(project, { all: true });
  const started = performance.now();
  const build = startPiimg(project, ['build', '--role', 'tiny']);
  await build.said('> essential packages');
  const before = performance.now() - started;
  const { code, stderr } = await build.ended;
  assert.is(code, 0, stderr);
  return { whole: performance.now() - started, before };
}

test('killed at random instants, a build leaves no process and no mount, and the next one gives the same image', async () => {
  const seed = Number(process.env['PIIMG_TEST_SEED'] ?? Date.now() % 1_000_000);
  console.log(`seed ${seed} (PIIMG_TEST_SEED), ${INSTANTS} instants`);
  const next = random(seed);
  await withProject(async (shared) => {
    await writeRole(shared, 'tiny');
    const undisturbed = await mustBuild(shared, 'tiny');
    const project = await freshCache(shared, 'cache');
    const { whole, before } = await timeCold(project);
    assert.is(await builtDigest(project, 'tiny'), undisturbed);

    for (let i = 0; i < INSTANTS; i++) {
      const cold = next() < COLD;
      await forget(project, { all: cold });
      const build = startPiimg(project, ['build', '--role', 'tiny']);
      const instant = Math.round(next() * (cold ? whole : whole - before));
      await Promise.race([wait(instant), build.ended]);
      build.kill('SIGKILL');
      await build.ended;
      const step = build
        .output()
        .match(/(?<=^> ).*$/gm)
        ?.at(-1);
      console.log(`${cold ? 'cold, ' : ''}killed after ${instant} ms, last step begun: ${step}`);
      assert.equal(await remains(build.pid, project.dir), [], `after ${instant} ms`);
      assert.is(await mustBuild(project, 'tiny'), undisturbed, `after ${instant} ms`);
      assert.equal(await leftParts(path.join(project.dir, 'out')), []);
      assert.equal(await leftParts(path.join(project.cache, 'tools')), []);
      const work = (await readdir(path.join(project.cache, 'tmp'))).filter((name) => name !== 'partial');
      assert.equal(work, [], `after ${instant} ms`);
    }
  });
});

test('whoever looks for what remains sees a running build', async () => {
  await withProject(async (shared) => {
    await writeRole(shared, 'tiny');
    await mustBuild(shared, 'tiny');
    const project = await freshCache(shared, 'cache');
    const build = startPiimg(project, ['build', '--role', 'tiny']);
    await build.said('> essential packages');
    await wait(1000);
    const seen = await processesOf(build.pid, project.dir);
    build.kill('SIGKILL');
    await build.ended;
    assert.ok(
      seen.some((line) => /dpkg|unshare|tar/.test(line)),
      seen.join('\n'),
    );
  });
});

test('Ctrl-C ends a build in order: 130, nothing left, and the next one goes on', async () => {
  await withProject(async (shared) => {
    await writeRole(shared, 'tiny');
    const undisturbed = await mustBuild(shared, 'tiny');
    const project = await freshCache(shared, 'cache');
    for (const moment of ['> essential packages', '> image']) {
      const build = startPiimg(project, ['build', '--role', 'tiny']);
      await build.said(moment);
      await wait(300);
      build.kill('SIGINT');
      const { code, stderr } = await build.ended;
      assert.is(code, 130, stderr);
      assert.match(stderr, /Interrupted\.$/m);
      assert.equal(await remains(build.pid, project.dir), []);
      assert.equal(await readdir(path.join(project.dir, 'out')).catch(() => []), []);
      assert.equal(
        (await readdir(path.join(project.cache, 'tmp'))).filter((name) => name !== 'partial'),
        [],
      );
    }
    assert.is(await mustBuild(project, 'tiny'), undisturbed);
  });
});

test('two builds at once in one cache: of one role, and of two', async () => {
  await withProject(async (shared) => {
    await writeRole(shared, 'tiny');
    const undisturbed = await mustBuild(shared, 'tiny');
    const project = await freshCache(shared, 'cache');
    await rm(path.join(project.dir, 'images/roles/tiny.lock.json'));
    await writeRole(project, 'other', 'files: [{ path: /etc/motd, content: other }]\n');
    const builds = ['tiny', 'tiny', 'other'].map((role) => piimg(project, ['build', '--role', role]));
    for (const { code, stderr } of await Promise.all(builds)) assert.is(code, 0, stderr);
    assert.is(await builtDigest(project, 'tiny'), undisturbed);
    const other = await builtDigest(project, 'other');
    assert.is.not(other, undisturbed);
    assert.is(await mustBuild(project, 'other', ['--no-cache']), other);
  });
});

test.run();
