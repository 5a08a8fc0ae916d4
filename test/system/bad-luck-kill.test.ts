// A build is killed, interrupted and started twice at random instants: nothing stays behind, and the next build works.
import { readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  builtDigest,
  freshCache,
  mustBuild,
  piimg,
  processesOf,
  remains,
  startPiimg,
  withProject,
  writeRole,
} from '../helpers/bad-luck-project.ts';
import { killAtInstants, wait } from '../helpers/kills.ts';

test('killed at random instants, a build leaves no process and no mount, and the next one gives the same image', async () => {
  await withProject(async (project) => {
    await writeRole(project, 'tiny');
    await killAtInstants(project, 'tiny', 2);
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
