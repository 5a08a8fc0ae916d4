// The plan: what it looks like, what a change alters in it and what not.
import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { digestOf } from '../../../src/lib/digest.ts';
import { planBuild, type Plan } from '../../../src/plan/plan.ts';
import { touchesBoot } from '../../../src/plan/boot.ts';
import type { ResolvedRole } from '../../../src/role/resolved.ts';
import {
  HOST_FOLDER,
  lockedPackage,
  overlayFile,
  smallBase,
  smallDeb,
  smallLock,
  smallRole,
} from '../../helpers/plan-inputs.ts';
import { golden, root } from '../role/golden.ts';

const TOOLS = 'tools';
const AGENT = overlayFile('usr/lib/piimg/piimg-firstboot', 'agent');
const planOf = (role: Partial<ResolvedRole> = {}, lock = smallLock(), tools = TOOLS): Plan =>
  planBuild({ ...smallRole(), ...role }, smallBase(), lock, { tools, debs: [smallDeb()], agent: [AGENT] }).plan;

const RUN = { name: 'greet', script: 'echo hello >/etc/greeting', network: false, env: {} };

/** Titles of the layers of `after` that `before` does not have, by key. */
function altered(before: Plan, after: Plan): string[] {
  const keys = new Set(before.layers.map(({ key }) => key));
  return after.layers.filter(({ key }) => !keys.has(key)).map(({ title }) => title);
}

const PACKAGE_LAYERS = planOf()
  .layers.map(({ title }) => title)
  .filter((title) => /^(essential|base|packages)/.test(title));

test('the plan of a small role is the golden file', () => {
  golden(`${root}/test/golden/plan-web.json`, `${JSON.stringify(planOf({ run: [RUN] }), null, 1)}\n`);
});

test('the order of layers', () => {
  assert.equal(
    planOf({ run: [RUN] }).layers.map(({ title }) => title),
    [
      'essential packages',
      'essential packages configured',
      'base files',
      'base packages',
      'base packages configured',
      'base: services',
      'packages',
      'packages configured',
      'accounts',
      'npm: /opt/web',
      'artifacts',
      'settings',
      'first boot',
      'files',
      'run: greet',
      'units',
      'initramfs',
      'boot files',
    ],
  );
  assert.is(PACKAGE_LAYERS.length, 8);
});

test('essential packages come first and in the order of the lock, each package once', () => {
  const unpacked = planOf().layers.flatMap(({ spec }) => (spec.kind === 'unpack' ? [spec.packages] : []));
  assert.equal(
    unpacked.map((packages) => packages.map(({ name }) => name)),
    [
      ['libc6', 'base-files'],
      ['systemd-sysv', 'linux-image-arm64'],
      ['nginx', 'own'],
    ],
  );
});

const content = fc.string({ minLength: 1, maxLength: 40 }).filter((text) => text !== 'Welcome\n');
const path = fc
  .array(fc.stringMatching(/^[a-z][a-z0-9._-]{0,9}$/), { minLength: 1, maxLength: 4 })
  .map((parts) => `opt/${parts.join('/')}`);

test('the build id is the digest of all else in the plan: no file of the image changes without it', () => {
  const { buildId, finish, ...others } = planOf();
  const without = finish.map((file) =>
    file.content === undefined ? file : { ...file, content: file.content.replaceAll(buildId, '') },
  );
  assert.is(buildId, digestOf({ ...others, finish: without }));
});

test("an overlay's file alters files, settings and identity, and no package", () => {
  fc.assert(
    fc.property(path, content, content, (name, one, two) => {
      fc.pre(one !== two);
      const [before, after] = [one, two].map((text) => planOf({ files: [overlayFile(name, text)] })) as [Plan, Plan];
      assert.equal(altered(before, after), ['files', 'units']);
      assert.is.not(before.buildId, after.buildId);
      assert.is.not(JSON.stringify(before.finish), JSON.stringify(after.finish));
    }),
  );
});

test("with run steps, which may read it, an overlay's file alters them and what they may have changed", () => {
  fc.assert(
    fc.property(content, (text) => {
      const after = planOf({ run: [RUN], files: [overlayFile('etc/motd', text)] });
      const titles = altered(planOf({ run: [RUN] }), after);
      assert.equal(titles, ['files', 'run: greet', 'units', 'initramfs', 'boot files']);
      assert.not(titles.some((title) => PACKAGE_LAYERS.includes(title)));
    }),
  );
});

for (const name of [
  'etc/modprobe.d/x.conf',
  'usr/lib/modprobe.d/x.conf',
  'etc/initramfs-tools/modules',
  'etc/modules-load.d/x.conf',
  'etc/modules',
  'etc/depmod.d/x.conf',
  'usr/local/lib/depmod.d/x.conf',
  'etc/dropbear/initramfs/authorized_keys',
  'etc/kernel/postinst.d/z50-raspi-firmware',
  'usr/share/plymouth/themes/own/own.script',
  'usr/bin/busybox',
  'etc/udev/rules.d/1.rules',
  'usr/lib/firmware/x.bin',
  'etc/crypttab',
  'etc/default/keyboard',
  'etc/ld.so.conf.d/x.conf',
  'etc/fstab.d/x.fstab',
  'usr/lib/linux-image-6.12/broadcom/x.dtb',
  'boot/vmlinuz-6.12',
]) {
  test(`${name} alters the initramfs`, () => {
    assert.equal(altered(planOf(), planOf({ files: [overlayFile(name, 'x')] })), [
      'files',
      'units',
      'initramfs',
      'boot files',
    ]);
  });
}
for (const name of [
  'etc/motd',
  'etc/systemd/system/web.service',
  'etc/systemd/journald.conf.d/x.conf',
  'etc/ssh/sshd_config.d/x.conf',
  'etc/sudoers.d/010-pi',
  'etc/nginx/nginx.conf',
  'opt/etc/modules',
  'var/www/html/index.html',
]) {
  test(`${name} does not`, () => assert.not(touchesBoot({ path: name, type: 'file' })));
}

test('a folder with a mode of its own alters the initramfs, whose layer holds the folders it writes in', () => {
  const folder = (mode: number) => ({ ...overlayFile('etc/default', ''), type: 'directory' as const, mode });
  const titles = altered(planOf({ files: [folder(0o755)] }), planOf({ files: [folder(0o700)] }));
  assert.equal(titles, ['files', 'units', 'initramfs', 'boot files']);
});

test('initramfs and boot files are stable, unless a run step may have read the files', () => {
  const stable = (plan: Plan) => plan.layers.filter(({ key }) => plan.stable.includes(key)).map(({ title }) => title);
  const without = stable(planOf({ run: [] }));
  assert.equal(without.slice(-2), ['initramfs', 'boot files']);
  assert.equal(
    ['files', 'units'].filter((title) => without.includes(title)),
    [],
  );
  assert.equal(stable(planOf({ run: [RUN] })), without.slice(0, -2));
});

const changes: [what: string, role: Partial<ResolvedRole>, titles: string[]][] = [
  ['a unit', { units: { enable: [], disable: [], mask: [] } }, ['units']],
  ['the time zone', { timezone: 'Asia/Tokyo' }, ['settings', 'files', 'units']],
  ['a health check', { health: [{ check: 'unit', unit: 'x.service' } as ResolvedRole['health'][number]] }, []],
  ['the summary', { summary: 'Another' }, []],
  ['a line of config.txt', { config: [] }, ['boot files']],
  ['a word of cmdline.txt', { cmdline: [] }, ['boot files']],
  ['a user', { users: [] }, ['npm: /opt/web', 'artifacts', 'settings', 'files', 'units']],
  ['an npm application', { npm: [] }, ['artifacts', 'settings', 'files', 'units']],
  ['an artifact', { artifacts: [] }, ['settings', 'files', 'units']],
];
for (const [what, role, titles] of changes) {
  test(`${what} alters ${titles.join(', ') || 'identity only'}`, () => {
    const [before, after] = [planOf(), planOf(role)];
    assert.equal(altered(before, after), titles);
    assert.is.not(before.buildId, after.buildId);
  });
}

test('a package of the role alters nothing of the base, its clock or its tools alter everything', () => {
  const more = { ...smallLock(), rolePackages: [...smallLock().rolePackages, lockedPackage('vim')] };
  const base = altered(planOf(), planOf({}, more)).filter((title) => /^(essential|base)/.test(title));
  assert.equal(base, []);
  const all = planOf().layers.length;
  assert.is(altered(planOf(), planOf({}, { ...smallLock(), created: '2026-01-02T03:04:06Z' })).length, all);
  assert.is(altered(planOf(), planOf({}, smallLock(), 'other tools')).length, all);
});

test('another role on the same base shares its layers, but not the identity of the disk', () => {
  const other = planOf({ name: 'shop', packages: [], files: [] });
  assert.not(altered(planOf(), other).some((title) => PACKAGE_LAYERS.includes(title)));
  assert.is.not(planOf().disk.diskId, other.disk.diskId);
  assert.match(other.disk.diskId, /^[0-9a-f]{8}$/);
});

test('the same input gives the same plan, wherever it lies and in whatever order its keys are', () => {
  const reordered = Object.fromEntries(Object.entries(smallRole()).toReversed()) as unknown as ResolvedRole;
  const elsewhere = smallRole('/somewhere/else');
  assert.is(JSON.stringify(planOf(elsewhere)), JSON.stringify(planOf()));
  assert.is(planOf(reordered).buildId, planOf().buildId);
  assert.equal(
    planOf(reordered).layers.map(({ key }) => key),
    planOf().layers.map(({ key }) => key),
  );
});

test('paths of this machine are beside the plan, never in it', () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[a-z]{12}$/), (word) => {
      const { plan, inputs } = planBuild(smallRole(`/srv/${word}`), smallBase(), smallLock(), {
        tools: TOOLS,
        debs: [],
        agent: [],
      });
      assert.not(JSON.stringify(plan).includes(word));
      assert.ok(inputs.size >= 3);
      assert.ok([...inputs.values()].every((file) => file.includes(word)));
    }),
  );
  // What the test looks for is there to be found.
  assert.ok(JSON.stringify(smallRole()).includes(HOST_FOLDER));
});

test('keys are all different', () => {
  const keys = planOf({ run: [RUN, { ...RUN, name: 'again' }] }).layers.map(({ key }) => key);
  assert.is(new Set(keys).size, keys.length);
});

test('a size of the image is in the build id', () => {
  const sized = planBuild(smallRole(), smallBase(), smallLock(), {
    tools: TOOLS,
    debs: [],
    agent: [],
    size: 4 * 2 ** 30,
  }).plan;
  assert.is(sized.size, 4 * 2 ** 30);
  assert.is.not(sized.buildId, planOf().buildId);
});

test.run();
