// SIGKILL at random instants of a build, and what must be true after each.
import { readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import * as assert from 'uvu/assert';
import {
  builtDigest,
  freshCache,
  leftParts,
  mustBuild,
  remains,
  removeTree,
  startPiimg,
  type Project,
} from './bad-luck-project.ts';

/** The share of builds that begin with nothing at all: every file has to be downloaded, the native tools to be made. */
const COLD = 0.4;

export const wait = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

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

/** Forgets what was built; with `all`, what was downloaded and the native tools as well. */
async function forget({ cache, dir }: Project, { all }: { all: boolean }): Promise<void> {
  for (const part of ['layers', 'stages', ...(all ? ['store', 'tools'] : [])]) {
    await removeTree(path.join(cache, part));
  }
  await rm(path.join(dir, 'out'), { recursive: true, force: true });
}

/** Milliseconds that a build of `role` takes from nothing, and how many of them until its first layer. */
async function timeCold(project: Project, role: string): Promise<{ whole: number; before: number }> {
  await forget(project, { all: true });
  const started = performance.now();
  const build = startPiimg(project, ['build', '--role', role]);
  await build.said('> essential packages');
  const before = performance.now() - started;
  const { code, stderr } = await build.ended;
  assert.is(code, 0, stderr);
  return { whole: performance.now() - started, before };
}

/**
 * Kills `count` builds of `role`, in a cache of their own, each at an instant that PIIMG_TEST_SEED gives again. After each one no
 * process, mount or half-made file is left, and the next build gives the image that an undisturbed one gave. Throws
 * AssertionError with the instant.
 */
export async function killAtInstants(shared: Project, role: string, count: number): Promise<void> {
  const seed = Number(process.env['PIIMG_TEST_SEED'] ?? Date.now() % 1_000_000);
  console.log(`seed ${seed} (PIIMG_TEST_SEED), ${count} instants`);
  const next = random(seed);
  const undisturbed = await mustBuild(shared, role);
  const project = await freshCache(shared, 'cache');
  const { whole, before } = await timeCold(project, role);
  assert.is(await builtDigest(project, role), undisturbed);

  for (let i = 0; i < count; i++) {
    const cold = next() < COLD;
    await forget(project, { all: cold });
    const build = startPiimg(project, ['build', '--role', role]);
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
    assert.is(await mustBuild(project, role), undisturbed, `after ${instant} ms`);
    assert.equal(await leftParts(path.join(project.dir, 'out')), []);
    assert.equal(await leftParts(path.join(project.cache, 'tools')), []);
    const work = (await readdir(path.join(project.cache, 'tmp'))).filter((name) => name !== 'partial');
    assert.equal(work, [], `after ${instant} ms`);
  }
}
