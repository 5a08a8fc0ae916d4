// Wrong names, broken locks, missing programs, scripts that fail: what is said, and with which exit code.
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { run } from '../../src/host/exec.ts';
import { quote } from '../../src/lib/quote.ts';
import { piimgCommand } from '../helpers/command.ts';
import { indexArchive } from '../helpers/bad-luck-archive.ts';
import { makeDeb, mustBuild, mustFail, withProject, writeRole } from '../helpers/bad-luck-project.ts';

const EVERY_CODE = Array.from({ length: 256 }, (_, code) => code);

test('names that nothing has: roles, bases, packages, versions', async () => {
  await withProject(async (project) => {
    await writeRole(project, 'tiny');
    await mustFail(project, ['--role', 'tinny'], 2, /There is no role `tinny`/, /Did you mean `tiny`\?/);
    await writeRole(project, 'lost', '', 'tinny');
    await mustFail(project, ['--role', 'lost'], 2, /tinny/, /did you mean `tiny`\?/);
    await mustFail(project, ['--role', 'tiny', '--base', 'tinny'], 2, /no base `tinny`/, /Did you mean `tiny`\?/);
    await writeRole(project, 'typo', 'packages: [tiny-bot]\n');
    await mustFail(
      project,
      ['--role', 'typo'],
      2,
      /typo\.yaml:4:12: error: no archive has a package `tiny-bot`$/m,
      /did you mean `tiny-boot`\?/,
    );
    await writeRole(project, 'future', 'packages: [tiny-boot=9.9]\n');
    await mustFail(
      project,
      ['--role', 'future'],
      2,
      /future\.yaml:4:12: error: `tiny-boot` has no version 9\.9 in the archive$/m,
      /allowed: 1\.0$/m,
    );
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
    const build = quote([...piimgCommand(), 'build', '--role', 'sour', '--shell-on-error', '--progress', 'log']);
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
    const script = ['sh', '-ec', hide, 'sh', real, ...piimgCommand(), 'build', '--role', 'tiny'];
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
