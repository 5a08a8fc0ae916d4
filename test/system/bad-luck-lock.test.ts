// The lock beside a role: broken, stale, old, of another machine; what is said, and what stays as it is.
import { cp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { indexArchive } from '../helpers/bad-luck-archive.ts';
import {
  makeDeb,
  mustBuild,
  mustFail,
  piimg,
  withProject,
  writeRole,
  type Project,
} from '../helpers/bad-luck-project.ts';

interface LockFile {
  created: string;
  checked?: string;
  tools: Record<string, unknown>;
  basePackages: { name: string; version: string }[];
}

const lockFile = ({ dir }: Project, role: string): string => path.join(dir, `images/roles/${role}.lock.json`);

async function readLock(project: Project, role: string): Promise<LockFile> {
  return JSON.parse(await readFile(lockFile(project, role), 'utf8')) as LockFile;
}

test('locks: broken, stale, of another machine', async () => {
  await withProject(async (project) => {
    await writeRole(project, 'tiny');
    const digest = await mustBuild(project, 'tiny');
    const whole = await readFile(lockFile(project, 'tiny'), 'utf8');

    await writeFile(lockFile(project, 'tiny'), whole.slice(0, 1000));
    await mustFail(
      project,
      ['--role', 'tiny'],
      1,
      /tiny\.lock\.json is not whole: it is no JSON/,
      /^hint: .*delete it/m,
    );
    await writeFile(lockFile(project, 'tiny'), whole.replace('"version": 1', '"version": 2'));
    await mustFail(project, ['--role', 'tiny'], 1, /not a lock file of this version of piimg/, /version: /);

    const tomorrow = new Date(Date.now() + 86_400_000).toISOString();
    await writeFile(
      lockFile(project, 'tiny'),
      JSON.stringify({ ...(JSON.parse(whole) as LockFile), created: tomorrow }),
    );
    await mustFail(
      project,
      ['--role', 'tiny'],
      1,
      /tiny\.lock\.json is of \S+, and this computer's clock says/,
      /Set the clock/,
    );

    const updated = await piimg(project, ['update', '--role', 'tiny']);
    assert.is(updated.code, 0, updated.stderr);
    assert.is(await mustBuild(project, 'tiny'), digest);

    // Another host architecture's tools only: these are added, nothing else changes, nor does the image.
    const lock = JSON.parse(whole) as LockFile;
    const [[name, tools] = ['', []]] = Object.entries(lock.tools);
    const elsewhere = { ...lock, tools: { riscv64: tools } };
    await writeFile(lockFile(project, 'tiny'), JSON.stringify(elsewhere));
    await mustFail(project, ['--role', 'tiny', '--locked'], 1, /names no build tools for this machine/);
    assert.is(await mustBuild(project, 'tiny'), digest);
    assert.equal(await readLock(project, 'tiny'), { ...lock, tools: { riscv64: tools, [name]: tools } });

    await mustFail(project, ['--role', 'absent', '--locked'], 2, /There is no role/);
    await writeRole(project, 'other');
    await mustFail(
      project,
      ['--role', 'other', '--locked'],
      1,
      /There is no \S+other\.lock\.json/,
      /Build once without/,
    );
    // The role asks for more: its part is resolved, the base and its clock stay.
    await writeRole(project, 'tiny', 'packages: [zlib1g]\n');
    await mustFail(project, ['--role', 'tiny', '--locked'], 1, /does not fit: the role asks for other packages now/);
    await mustBuild(project, 'tiny');
    const after = await readLock(project, 'tiny');
    assert.equal([after.created, after.basePackages], [lock.created, lock.basePackages]);
    await mustBuild(project, 'tiny', ['--locked', '--out', 'out/locked.img']);
  });
});

const daysAgo = (days: number): string => new Date(Date.now() - days * 86_400_000).toISOString();

test('an old lock is said, also where there is nothing to do; `piimg update` makes it young, and the image stays the same', async () => {
  await withProject(async (project) => {
    await writeRole(project, 'tiny');
    const digest = await mustBuild(project, 'tiny');
    const lock = await readLock(project, 'tiny');
    await writeFile(lockFile(project, 'tiny'), JSON.stringify({ ...lock, checked: daysAgo(40) }));
    const requests = project.server.requests.length;
    const old = await piimg(project, ['build', '--role', 'tiny']);
    assert.match(old.stderr, /the lock is 40 days old: `piimg update`/);
    assert.not.match(old.stderr, /^> image$/m);
    assert.is(project.server.requests.length, requests, 'nothing changed: nobody is asked');

    // Another machine's cache does not know when these packages were first seen.
    const bases = path.join(project.cache, 'bases');
    await rename(bases, `${bases}.away`);
    try {
      const updated = await piimg(project, ['update', '--role', 'tiny']);
      assert.match(updated.stdout, /^Nothing changed: /, updated.stderr);
    } finally {
      await rm(bases, { recursive: true, force: true });
      await rename(`${bases}.away`, bases);
    }
    const young = await readLock(project, 'tiny');
    assert.equal({ ...young, checked: lock.checked }, lock);
    assert.ok(Date.now() - Date.parse(young.checked ?? '') < 3600_000);
    assert.is(await mustBuild(project, 'tiny'), digest);
  });
});

test('waiting security updates are said, again where there is nothing to do, without asking anybody', async () => {
  await withProject(async (project) => {
    const { archive, server } = project;
    await writeRole(project, 'tiny');
    await mustBuild(project, 'tiny');
    const quiet = await piimg(project, ['build', '--role', 'tiny', '--out', 'out/quiet.img']);
    assert.not.match(quiet.stderr, /security updates|days old/);

    // The same base with a security archive, in which tiny-boot has a newer version.
    const pool = path.join(archive.dir, 'pool');
    const base = path.join(project.dir, 'images/bases/tiny.yaml');
    await writeFile(
      base,
      (await readFile(base, 'utf8')).replace(/^archives: \[(.*)\]$/m, (_, first: string) => {
        return `archives: [${first}, { name: tiny-security, suites: [tiny-security], components: [main] }]`;
      }),
    );
    const dists = path.join(archive.dir, 'dists');
    await cp(path.join(dists, 'tiny'), path.join(dists, 'tiny-security'), { recursive: true });
    try {
      await mustBuild(project, 'tiny', ['--out', 'out/with-security.img']);
      const deb = await makeDeb(pool, { name: 'tiny-boot', version: '1.1' }, {});
      await indexArchive(archive);
      await rm(path.join(dists, 'tiny-security'), { recursive: true });
      await cp(path.join(dists, 'tiny'), path.join(dists, 'tiny-security'), { recursive: true });
      await rm(deb);
      await indexArchive(archive);

      // As if a day had passed.
      for (const asked of ['apt', 'updates']) await rm(path.join(project.cache, asked), { recursive: true });
      const { code, stderr } = await piimg(project, ['build', '--role', 'tiny', '--out', 'out/late.img']);
      assert.is(code, 0, stderr);
      assert.match(stderr, /security updates are waiting: tiny-boot 1\.1; `piimg update`/);
      const requests = server.requests.length;
      const again = await piimg(project, ['build', '--role', 'tiny', '--out', 'out/late.img']);
      assert.match(again.stderr, /security updates are waiting: tiny-boot 1\.1; `piimg update`/);
      assert.is(server.requests.length, requests, 'nothing changed: nobody is asked');
    } finally {
      await rm(path.join(dists, 'tiny-security'), { recursive: true, force: true });
      await indexArchive(archive);
    }
  });
});

test.run();
