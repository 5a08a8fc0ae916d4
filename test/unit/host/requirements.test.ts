// The table of programs and the checks that set-up and doctor share.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  checkTool,
  compareVersions,
  findProgram,
  freeSubIdRange,
  hasSubIds,
  missingSubIds,
  namelessUser,
  packagesOf,
  type Purpose,
  searchPath,
  type ToolRow,
  tools,
  toolsFor,
} from '../../../src/host/requirements.mjs';
import { requireTools } from '../../../src/host/tools.ts';
import { EXIT, PiimgError } from '../../../src/lib/errors.ts';

test('every row says what for, where from, and a version only with its minimum', () => {
  for (const row of tools) {
    assert.ok(row.reason !== '' && row.for.length > 0, row.name);
    assert.ok(row.package !== null || row.hint !== undefined, row.name);
    assert.is(row.version === undefined, row.minimum === undefined, row.name);
  }
  assert.is(new Set(tools.map(({ name }) => name)).size, tools.length);
});

test('versions are compared by number', () => {
  assert.ok(compareVersions('2.9', '2.36') < 0);
  assert.ok(compareVersions('20.19', '20.19.0') === 0);
  assert.ok(compareVersions('22.0', '20.19') > 0);
});

test('root needs no maps to build, others do; the tests, in which root becomes another user, need them', () => {
  const names = (isRoot: boolean, ...purposes: Purpose[]) => toolsFor(purposes, isRoot).map(({ name }) => name);
  assert.ok(names(false, 'build').includes('newuidmap'));
  assert.not.ok(names(true, 'build').includes('newuidmap'));
  assert.ok(names(true, 'build', 'boot', 'test').includes('newuidmap'));
  assert.not.ok(names(true, 'build').includes('tmux'));
});

test('packages are named once, and rows without one are left out', () => {
  const rows = tools.filter(({ name }) => ['apt-get', 'apt-cache', 'npm', 'tar'].includes(name));
  assert.equal(packagesOf(rows), ['apt', 'tar']);
});

test('a program is found, asked its version and refused when too old', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'piimg-test-'));
  const row: ToolRow = {
    name: 'gadget',
    reason: 'x',
    package: 'gadget',
    version: ['-V'],
    minimum: '2.10',
    for: ['build'],
  };
  const folders = `${folder}:${searchPath()}`;
  const install = (script: string) =>
    writeFileSync(path.join(folder, 'gadget'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  assert.equal(checkTool(row, folders), { ok: false });
  const file = path.join(folder, 'gadget');
  install('echo gadget from util 2.9.1 >&2');
  assert.equal(checkTool(row, folders), { ok: false, path: file, version: '2.9.1' });
  install('echo gadget 2.10');
  assert.equal(checkTool(row, folders), { ok: true, path: file, version: '2.10' });
  install('exit 1');
  assert.equal(checkTool(row, folders), { ok: true, path: file, version: undefined });
  rmSync(folder, { recursive: true });
});

test('a folder or a file without x is no program; an absolute path is a file', () => {
  assert.is(findProgram('etc', '/'), undefined);
  assert.is(findProgram('passwd', '/etc'), undefined);
  assert.is(findProgram('/etc/passwd'), '/etc/passwd');
  assert.match(searchPath({ PATH: '/x' }), /^\/x:.*\/usr\/sbin/);
});

test('subordinate ids: a range of 65,536, by name or number, free of the others', () => {
  const text = 'alice:100000:65536\n1001:165536:65536\nbob:231072:100\n';
  assert.ok(hasSubIds(text, 'alice', 1000));
  assert.ok(hasSubIds(text, 'carol', 1001));
  assert.not.ok(hasSubIds(text, 'bob', 1002));
  assert.is(freeSubIdRange(''), '100000-165535');
  assert.is(freeSubIdRange(text), '231172-296707');
});

test('a user without a name gets no command that could not work, but is told what to do', () => {
  const nobody = (): never => {
    throw new Error('A system error occurred: uv_os_get_passwd returned ENOENT (no such file or directory)');
  };
  const getuid = process.getuid;
  process.getuid = () => 4711;
  try {
    assert.equal(missingSubIds(nobody), []);
    assert.is(namelessUser(nobody)?.name, 'a name for user 4711 in /etc/passwd');
    assert.is(
      namelessUser(() => ({ username: 'me' })),
      undefined,
    );
    process.getuid = () => 0;
    assert.is(namelessUser(nobody), undefined);
  } finally {
    Object.assign(process, { getuid });
  }
});

test('requireTools names what is missing, why it is needed and its package', () => {
  requireTools(['sh']);
  const error = (() => {
    try {
      requireTools(['sh', '/absent/gpgv']);
    } catch (thrown) {
      return thrown;
    }
  })();
  assert.instance(error, PiimgError);
  const { message, hint, exitCode } = error as PiimgError;
  assert.is(exitCode, EXIT.missingTool);
  assert.match(message, "/absent/gpgv was not found, which is needed to verify the archive's signatures");
  assert.match(hint ?? '', 'sudo apt-get install gpgv');
});

test.run();
