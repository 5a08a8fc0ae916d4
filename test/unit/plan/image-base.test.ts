// The plan on a base that is an image: one layer in place of the bootstrap, shared by roles; its own boot files.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ImageBase } from '../../../src/base/definition.ts';
import type { Lock } from '../../../src/base/lock.ts';
import { isRaspberryPiOs } from '../../../src/plan/image-base.ts';
import { planBuild, type Plan } from '../../../src/plan/plan.ts';
import { sha256 } from '../../../src/lib/digest.ts';
import type { ResolvedRole } from '../../../src/role/resolved.ts';
import { lockedPackage, overlayFile, smallBase, smallDeb, smallLock, smallRole } from '../../helpers/plan-inputs.ts';

const { archives: _, keyring: __, ...common } = smallBase();
const base: ImageBase = { ...common, kind: 'image', image: { list: 'https://example.org/l.json', names: ['Lite'] } };

const packages = { dpkg: '1.22', tzdata: '2026a', nano: '8.4', libc6: '2.41', 'libc6:armhf': '2.41' };
const IMAGE = { name: 'Lite', sha256: sha256('image'), size: 4096, suite: 'trixie', packages };
const lock = (more: Partial<Lock> = {}): Lock => ({
  ...smallLock(),
  essential: [],
  basePackages: [lockedPackage('nodejs'), lockedPackage('libc6', '2.42')],
  image: IMAGE,
  ...more,
});

const planOf = (role: Partial<ResolvedRole> = {}, of = lock(), tools = 'tools'): Plan =>
  planBuild({ ...smallRole(), ...role }, base, of, {
    tools,
    debs: [smallDeb()],
    agent: [overlayFile('usr/lib/piimg/piimg-firstboot', 'agent')],
  }).plan;

const keyOf = (plan: Plan, wanted: string): string | undefined =>
  plan.layers.find(({ title }) => title === wanted)?.key;

test('the image, what is on top of it, then the role as on any base', () => {
  const [image, ...others] = planOf().layers;
  assert.equal(image?.spec, { kind: 'image', image: sha256('image') });
  const before = ['base files', 'base packages', 'base packages configured', 'base: services', 'packages'];
  assert.equal(
    others.slice(0, before.length).map(({ title }) => title),
    before,
  );
  const kinds = planOf().layers.map(({ spec }) => spec.kind);
  assert.equal(kinds.slice(-2), ['image-initramfs', 'image-boot']);
  assert.not.ok(kinds.includes('boot') || kinds.includes('initramfs'));
});

test('its layer is of the image alone; all others are of it too', () => {
  const plan = planOf();
  const elsewhere = planOf({ name: 'db', packages: [] }, lock({ created: '2027-01-01T00:00:00Z' }), 'other tools');
  assert.is(keyOf(plan, 'image'), keyOf(elsewhere, 'image'));
  const newer = planOf({}, lock({ image: { ...IMAGE, sha256: sha256('newer') } }));
  const same = newer.layers.filter(({ key }) => plan.layers.some((layer) => layer.key === key));
  assert.equal(
    same.map(({ title }) => title),
    ['first boot'],
  );
});

test('the role’s words and lines, and the disk’s id, are for the image’s own boot files', () => {
  const plan = planOf();
  assert.equal(plan.layers.at(-1)?.spec, {
    kind: 'image-boot',
    diskId: plan.disk.diskId,
    config: [{ filter: 'pi4', lines: ['hdmi_enable_4kp60=1'] }],
    cmdline: ['quiet'],
  });
  assert.is.not(keyOf(plan, 'boot files'), keyOf(planOf({ cmdline: [] }), 'boot files'));
  const table = planOf({ files: [overlayFile('etc/fstab', 'more')] });
  assert.is.not(keyOf(plan, 'boot files'), keyOf(table, 'boot files'));
});

test('its first boot stays its own: its fstab, its presets but for what the role disables; machine-id says it is the first', () => {
  const finish = (role: Partial<ResolvedRole> = {}): Map<string, string | undefined> =>
    new Map(planOf(role).finish.map(({ path, content }) => [path, content]));
  assert.is(finish().has('etc/fstab'), false);
  assert.is(finish().get('etc/machine-id'), 'uninitialized\n');
  const preset = 'etc/systemd/system-preset/00-first-boot.preset';
  assert.is(finish().get(preset), '');
  // What packages on top leave off is for the step to find out, and goes after the first boot as well.
  const later = 'etc/systemd/system-preset/01-first-boot.preset';
  const step = planOf().layers.find(({ spec }) => spec.kind === 'units')?.spec;
  assert.is(step?.kind === 'units' && step.presets, later);
  assert.is(finish().get('usr/lib/tmpfiles.d/piimg-first-boot.conf'), `r! /${preset}\nr! /${later}\n`);
  const units = { enable: [], disable: ['cups.service'], mask: [] };
  assert.is(finish({ units }).get(preset), 'disable cups.service\n');
});

test('packages are those of the image, those on top, the role’s; a removed one and a replaced one are gone', () => {
  const found = planOf().packages.map(({ name, version }) => `${name} ${version}`);
  assert.equal(found, [
    'dpkg 1.22',
    'tzdata 2026a',
    'libc6:armhf 2.41',
    'nodejs 1.0-1',
    'libc6 2.42',
    'nginx 1.26.3-3+deb13u1',
    'own 0.1',
  ]);
});

test('answers to debconf concern packages of the image too', () => {
  const configured = planOf().layers.find(({ title }) => title === 'packages configured');
  assert.equal(configured?.spec.kind === 'configure' && configured.spec.reconfigure, ['tzdata']);
});

test('a Raspberry Pi OS is known by the package that its first boot comes from', () => {
  assert.is(isRaspberryPiOs(lock()), false);
  assert.is(isRaspberryPiOs(smallLock()), false);
  const named = { ...IMAGE, packages: { ...packages, 'raspberrypi-sys-mods': '1' } };
  assert.is(isRaspberryPiOs(lock({ image: named })), true);
});

test('a lock of another kind of base is no lock for it', () => {
  assert.throws(() => planOf({}, smallLock()), /says no image/);
});

test.run();
