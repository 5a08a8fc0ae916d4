// Wrong names, broken locks, missing programs, scripts that fail: what is said, and with which exit code.
import { cp, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { quote, run } from '../../src/host/exec.ts';
import { indexArchive } from '../helpers/bad-luck-archive.ts';
import {
  makeDeb,
  mustBuild,
  piimg,
  withProject,
  writeRole,
  type Ended,
  type Project,
} from '../helpers/bad-luck-project.ts';

const EVERY_CODE = Array.from({ length: 256 }, (_, code) => code);

/** A build that must fail with `code` and say all of `said`. */
async function mustFail(project: Project, args: string[], code: number, ...said: RegExp[]): Promise<Ended> {
  const ended = await piimg(project, ['build', ...args]);
  assert.is(ended.code, code, ended.stderr);
  for (const words of said) assert.match(ended.stderr, words);
  assert.not.match(ended.stderr, /^ {4}at /m, 'a stack is for bugs');
  return ended;
}

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

test('names that nothing has: roles, bases, packages, versions', async () => {
  await withProject(async (project) => {
    await writeRole(project, 'tiny');
    await mustFail(project, ['--role', 'tinny'], 2, /There is no role `tinny`/, /Did you mean `tiny`\?/);
    await writeRole(project, 'lost', '', 'tinny');
    await mustFail(project, ['--role', 'lost'], 2, /tinny/, /did you mean `tiny`\?/);
    await mustFail(project, ['--role', 'tiny', '--base', 'tinny'], 2, /no base `tinny`/, /Did you mean `tiny`\?/);
    await writeRole(project, 'typo', 'packages: [tiny-bot]\n');
    await mustFail(project, ['--role', 'typo'], 2, /No archive has a package “tiny-bot”/, /Did you mean tiny-boot\?/);
    await writeRole(project, 'future', 'packages: [tiny-boot=9.9]\n');
    await mustFail(project, ['--role', 'future'], 2, /tiny-boot has no version 9\.9/, /It has: 1\.0/);
  });
});

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

test('a maintainer script that fails: the package, its last lines, and a shell on the spot', async () => {
  await withProject(async (project) => {
    await writeRole(project, 'tiny');
    const digest = await mustBuild(project, 'tiny');
    const roles = path.join(project.dir, 'images/roles');
    const postinst = '#!/bin/sh\necho about to fail >&2\ntouch /etc/half-way\nexit 1\n';
    await makeDeb(roles, { name: 'sour', version: '1.0' }, { scripts: { postinst } });
    await writeRole(project, 'sour', 'debs: [sour_1.0.deb]\n');
    await mustFail(
      project,
      ['--role', 'sour'],
      1,
      /^error: The package sour cannot be configured: a script of it failed$/m,
      /^ {2}\| about to fail$/m,
      /^hint: .*--shell-on-error/m,
    );

    // script(1) gives it a terminal; what is typed goes to the shell.
    const command = [process.execPath, '--import', import.meta.resolve('tsx'), path.resolve('src/cli/main.ts')];
    const build = quote([...command, 'build', '--role', 'sour', '--shell-on-error', '--progress', 'log']);
    const { stdout, exitCode } = await run(['script', '-qec', build, '/dev/null'], {
      input: 'ls /etc/half-way && echo the image is $(uname -m)\nexit\n',
      cwd: project.dir,
      env: { PIIMG_CACHE: project.cache, PIIMG_MIRROR: project.server.url, no_proxy: '127.0.0.1' },
      okCodes: EVERY_CODE,
      signal: AbortSignal.timeout(3 * 60_000),
    });
    assert.is(exitCode, 1, stdout);
    assert.match(stdout, /leave it with `exit`/);
    assert.match(stdout, /^\/etc\/half-way\r?$/m);
    assert.match(stdout, /^the image is aarch64\r?$/m);
    assert.is(await mustBuild(project, 'tiny', ['--out', 'out/after.img']).then(() => digest), digest);
  });
});

test('a preinst that fails names its package too', async () => {
  await withProject(async (project) => {
    const scripts = { preinst: '#!/bin/sh\necho never >&2\nexit 1\n' };
    await makeDeb(path.join(project.dir, 'images/roles'), { name: 'bitter', version: '1.0' }, { scripts });
    await writeRole(project, 'bitter', 'debs: [bitter_1.0.deb]\n');
    await mustFail(
      project,
      ['--role', 'bitter'],
      1,
      /^error: The package bitter cannot be unpacked: its preinst script failed$/m,
      /^ {2}\| never$/m,
    );
  });
});

test('a prerm or postrm that fails on removal names its package too', async () => {
  await withProject(async (project) => {
    const { archive, dir } = project;
    const bases = path.join(dir, 'images/bases');
    const tiny = await readFile(path.join(bases, 'tiny.yaml'), 'utf8');
    await writeFile(
      path.join(bases, 'clingy.yaml'),
      tiny.replace('[tiny-boot]', '[tiny-boot, clingy-prerm, clingy-postrm]'),
    );
    const debs: string[] = [];
    try {
      for (const script of ['prerm', 'postrm']) {
        const scripts = { [script]: `#!/bin/sh\necho ${script} $1: never\nexit 1\n` };
        debs.push(
          await makeDeb(path.join(archive.dir, 'pool'), { name: `clingy-${script}`, version: '1.0' }, { scripts }),
        );
      }
      await indexArchive(archive);
      await rm(path.join(project.cache, 'apt'), { recursive: true });
      for (const script of ['prerm', 'postrm']) {
        await writeRole(project, script, `remove: [clingy-${script}]\n`, 'clingy');
        await mustFail(
          project,
          ['--role', script],
          1,
          new RegExp(`^error: The package clingy-${script} cannot be removed: a script of it failed$`, 'm'),
          new RegExp(`^ {2}\\| ${script} (remove|purge): never$`, 'm'),
          /^hint: .*--shell-on-error/m,
        );
      }
    } finally {
      for (const deb of debs) await rm(deb);
      await indexArchive(archive);
    }
  });
});

test('a run step that fails names itself and shows its last lines', async () => {
  await withProject(async (project) => {
    await writeRole(project, 'tiny', 'run: [{ name: break, script: "echo so far so good; false" }]\n');
    await mustFail(project, ['--role', 'tiny'], 1, /The run step “break” failed/, /^ {2}\| so far so good$/m);
  });
});

test('a program that is not installed is named with its package before work begins', async () => {
  await withProject(async (project) => {
    await writeRole(project, 'tiny');
    const real = path.join(project.dir, 'bin');
    await mkdir(real);
    // /usr/bin of a mount namespace: links to all that is in the real one, without gpgv.
    const hide =
      'mount --bind /usr/bin "$1"; mount -t tmpfs tmpfs /usr/bin; "$1/ln" -s "$1"/* /usr/bin/; "$1/rm" /usr/bin/gpgv; shift; exec "$@"';
    const asRoot = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user', '--map-auto'];
    const command = [process.execPath, '--import', import.meta.resolve('tsx'), path.resolve('src/cli/main.ts')];
    const script = ['sh', '-ec', hide, 'sh', real, ...command, 'build', '--role', 'tiny'];
    const { stderr, exitCode } = await run(['unshare', ...asRoot, '--mount', ...script], {
      cwd: project.dir,
      env: { PIIMG_CACHE: path.join(project.dir, 'empty'), FORCE_COLOR: '0' },
      okCodes: EVERY_CODE,
      signal: AbortSignal.timeout(60_000),
    });
    assert.is(exitCode, 4, stderr);
    assert.match(stderr, /^error: gpgv was not found, which is needed to verify the archive's signatures$/m);
    assert.match(stderr, /^hint: sudo apt-get install gpgv/m);
    assert.not.match(stderr, /^> lock$/m);
  });
});

test.run();
