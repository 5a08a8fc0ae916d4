// Overlays: what is read from them, and what is refused.
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { sha256 } from '../../../src/lib/digest.ts';
import { parseRole } from '../../../src/role/load.ts';
import { readOverlay } from '../../../src/role/overlay.ts';
import { globToRegExp } from '../../../src/role/permissions.ts';
import type { OverlayEntry } from '../../../src/role/resolved.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';

const place = { text: parseRole('/role.yaml', 'version: 1\noverlays: [web]\n').text, path: ['overlays', 0] };

function overlay(files: Record<string, string>): string {
  const dir = join(temporaryFolder(), 'web');
  mkdirSync(dir);
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    writeFileSync(join(dir, path), content);
  }
  return dir;
}

async function read(
  dir: string,
  options: { data?: Record<string, string>; permissions?: { path: string; mode?: number; owner?: string }[] } = {},
): Promise<{ entries: OverlayEntry[]; messages: string[] }> {
  const permissions = (options.permissions ?? []).map((value) => ({ value, place }));
  const { entries, issues } = await readOverlay({ name: 'web', dir, place, data: options.data ?? {}, permissions });
  return { entries, messages: issues.map(({ message }) => message.replaceAll(dir, 'DIR')) };
}

test('maps rootfs, boot and node to their places', async () => {
  const dir = overlay({
    'rootfs/etc/motd': 'hello',
    'boot/overlays/x.dtbo': '',
    'node/site.conf.mustache': '{{later}}',
    'README.md': 'not copied',
  });
  const { entries, messages } = await read(dir);
  assert.equal(messages, []);
  assert.equal(
    entries.map(({ path, content }) => [path, content]),
    [
      ['boot/firmware/overlays/x.dtbo', undefined],
      ['etc/motd', undefined],
      ['usr/lib/piimg/node/web/site.conf.mustache', undefined],
    ],
  );
  const [, motd] = entries;
  assert.equal(motd?.source, { path: join(dir, 'rootfs/etc/motd'), sha256: sha256('hello'), size: 5 });
  assert.is(motd?.owner, 'root');
});

test('takes only the executable bit from the files, whatever the umask was', async () => {
  const dir = overlay({ 'rootfs/a': '', 'rootfs/b': '', 'rootfs/c': '', 'rootfs/etc/sudoers.d/web': '' });
  chmodSync(join(dir, 'rootfs/a'), 0o600);
  chmodSync(join(dir, 'rootfs/b'), 0o666);
  chmodSync(join(dir, 'rootfs/c'), 0o700);
  const { entries } = await read(dir);
  assert.equal(
    entries.map(({ path, mode }) => [path, mode.toString(8)]),
    [
      ['a', '644'],
      ['b', '644'],
      ['c', '755'],
      ['etc/sudoers.d/web', '440'],
    ],
  );
});

test('names folders only where they are empty or were given something', async () => {
  const dir = overlay({ 'rootfs/srv/data/.gitkeep': '', 'rootfs/srv/web/index.html': '', 'rootfs/etc/x': '' });
  const { entries } = await read(dir, { permissions: [{ path: '/srv/web', mode: 0o750, owner: 'web' }] });
  assert.equal(
    entries.map(({ path, type, mode, owner }) => [path, type, mode.toString(8), owner]),
    [
      ['etc/x', 'file', '644', 'root'],
      ['srv/data', 'directory', '755', 'root'],
      ['srv/web', 'directory', '750', 'web'],
      ['srv/web/index.html', 'file', '644', 'root'],
    ],
  );
});

test('applies permissions in their order, and modes of patterns to files only', async () => {
  const dir = overlay({ 'rootfs/srv/web/a.key': '', 'rootfs/srv/web/b': '' });
  const { entries, messages } = await read(dir, {
    permissions: [{ path: '/srv/**', mode: 0o640 }, { path: '/srv/*/*.key', mode: 0o600 }, { path: '/nowhere' }],
  });
  assert.equal(
    entries.map(({ path, mode }) => [path, mode.toString(8)]),
    [
      ['srv/web/a.key', '600'],
      ['srv/web/b', '640'],
    ],
  );
  assert.equal(messages, ['`/nowhere` matches nothing in the overlay']);
});

test('renders mustache files of rootfs and boot without their suffix', async () => {
  const dir = overlay({ 'rootfs/etc/a.conf.mustache': '{{name}} <&> "{{name}}"\n', 'boot/b.txt.mustache': '{{name}}' });
  const { entries } = await read(dir, { data: { name: "<b> & 'c'" } });
  assert.equal(
    entries.map(({ path, content }) => [path, content]),
    [
      ['boot/firmware/b.txt', "<b> & 'c'"],
      ['etc/a.conf', "<b> & 'c' <&> \"<b> & 'c'\"\n"],
    ],
  );
});

test('reports unknown names with the file and line of the template', async () => {
  const dir = overlay({ 'rootfs/etc/a.conf.mustache': 'one\ntwo {{ nmae }}\n' });
  const { issues } = await readOverlay({ name: 'web', dir, place, data: { name: 'x' }, permissions: [] });
  const [issue] = issues;
  assert.is(issue?.file, join(dir, 'rootfs/etc/a.conf.mustache'));
  assert.equal([issue?.line, issue?.column, issue?.suggestion], [2, 5, 'name']);
});

test('refuses a pipe', async () => {
  const dir = overlay({ 'rootfs/etc/x': '' });
  execFileSync('mkfifo', [join(dir, 'rootfs/pipe')]);
  const { entries, messages } = await read(dir);
  assert.equal(messages, ['DIR/rootfs/pipe is a device, socket or pipe; overlays have files, folders and links']);
  assert.equal(
    entries.map(({ path }) => path),
    ['etc/x'],
  );
});

const LINKS: [target: string, accepted: boolean][] = [
  ['/etc/passwd', true],
  ['../b', true],
  ['../../x', true],
  ['../../../x', false],
  ['b/../../../../x', false],
  ['..', true],
];
for (const [target, accepted] of LINKS) {
  test(`${accepted ? 'takes' : 'refuses'} a link from etc/a/link to ${target}`, async () => {
    const dir = overlay({ 'rootfs/etc/a/x': '' });
    symlinkSync(target, join(dir, 'rootfs/etc/a/link'));
    const { entries, messages } = await read(dir);
    const link = entries.find(({ type }) => type === 'symlink');
    assert.is(link?.target, accepted ? target : undefined);
    assert.equal(messages, accepted ? [] : [`the link DIR/rootfs/etc/a/link → ${target} leaves the image`]);
  });
}

test('does not follow links: neither to the overlay, nor to rootfs, nor to a folder in it', async () => {
  const real = overlay({ 'rootfs/etc/secret': 'x' });
  const linked = join(dirname(overlay({})), 'linked');
  symlinkSync(real, linked);
  assert.match((await read(linked)).messages[0] ?? '', 'must be real ones');

  const rootfs = overlay({ 'boot/x': '' });
  symlinkSync(join(real, 'rootfs'), join(rootfs, 'rootfs'));
  assert.match((await read(rootfs)).messages[0] ?? '', 'must be real ones');

  const inside = overlay({ 'rootfs/x': '' });
  symlinkSync(join(real, 'rootfs/etc'), join(inside, 'rootfs/etc'));
  const { entries } = await read(inside);
  assert.equal(
    entries.map(({ path, type }) => [path, type]),
    [
      ['etc', 'symlink'],
      ['x', 'file'],
    ],
    'the link itself is copied, nothing behind it',
  );
});

test('refuses links for the first boot, control characters, and two files for one path', async () => {
  const dir = overlay({ 'node/x': '', 'rootfs/a\nb': '', 'rootfs/c': '', 'rootfs/c.mustache': '' });
  symlinkSync('x', join(dir, 'node/link'));
  const { messages } = await read(dir);
  assert.equal(messages.sort(), [
    'DIR/node/link is a link; node/ has files only',
    'the name of "DIR/rootfs/a\\nb" is not plain text in UTF-8',
    'the overlay web has two files for /c',
  ]);
});

test('refuses what is not UTF-8: names, where links lead, templates', async () => {
  const dir = overlay({ 'rootfs/etc/x': '' });
  const latin = (path: string): Buffer => Buffer.from(join(dir, path), 'latin1');
  writeFileSync(latin('rootfs/etc/f\xfcr'), '');
  symlinkSync(Buffer.from('f\xfcr', 'latin1'), join(dir, 'rootfs/etc/link'));
  writeFileSync(join(dir, 'rootfs/etc/t.mustache'), Buffer.from('one\ntwo \xfc\n', 'latin1'));
  writeFileSync(join(dir, 'rootfs/etc/binary'), Buffer.from('\xfc', 'latin1'));
  const { issues, entries } = await readOverlay({ name: 'web', dir, place, data: {}, permissions: [] });
  assert.equal(issues.map(({ message }) => message.replaceAll(dir, 'DIR')).sort(), [
    'the name of "DIR/rootfs/etc/f\uFFFDr" is not plain text in UTF-8',
    'this is not UTF-8, and a template has to be',
    'where the link DIR/rootfs/etc/link leads is not UTF-8',
  ]);
  const { line, column } = issues.find(({ file }) => file.endsWith('t.mustache')) ?? {};
  assert.equal([line, column], [2, 5]);
  assert.ok(
    entries.some(({ path }) => path === 'etc/binary'),
    'what is copied may be anything',
  );
});

const GLOBS: [glob: string, path: string, matches: boolean][] = [
  ['/etc/*', 'etc/a', true],
  ['/etc/*', 'etc/a/b', false],
  ['/etc/**', 'etc/a/b', true],
  ['/etc/**', 'etc', false],
  ['/**/*.key', 'a.key', true],
  ['/**/*.key', 'etc/ssl/a.key', true],
  ['/etc/?.conf', 'etc/a.conf', true],
  ['/etc/?.conf', 'etc/aXconf', false],
  ['/etc/a+b(c)', 'etc/a+b(c)', true],
];
for (const [glob, path, matches] of GLOBS) {
  test(`the pattern ${glob} ${matches ? 'matches' : 'does not match'} ${path}`, () => {
    assert.is(globToRegExp(glob).test(path), matches);
  });
}

test.run();
