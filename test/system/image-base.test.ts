// An image taken apart and put together again, in a real sandbox: the same tree, with devices; its boot files fit the new disk.
import { existsSync } from 'node:fs';
import { mkdir, readFile, symlink, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { withImageView } from '../../src/cli/image-view.ts';
import { run } from '../../src/host/exec.ts';
import { findInFat } from '../../src/image/fat.ts';
import { removeTrees } from '../../src/layers/cache.ts';
import type { Layer } from '../../src/layers/layer.ts';
import type { StepContext } from '../../src/layers/steps/context.ts';
import { readInside } from '../../src/layers/steps/read-inside.ts';
import { applyUnits } from '../../src/layers/steps/settings.ts';
import { treeDifference } from '../../src/layers/verify-tree.ts';
import { testSandbox } from '../helpers/image-tools.ts';
import { assembled, headersOf, imageRecipe, layersOf, treeOf, type Kitchen } from '../helpers/rebuilt.ts';
import { temporaryFolder } from '../helpers/temporary.ts';
import { BOOT, tinyImage } from '../helpers/tiny-image.ts';

const image = await tinyImage({
  'etc/ssh/ssh_host_rsa_key': 'old',
  'usr/lib/systemd/system/regenerate_ssh_host_keys.service': '[Unit]\n',
  'usr/lib/systemd/system/sshd-keygen.service': '[Unit]\n',
});
/** One of the boot partition's files is of a clock that was wrong. */
const late = path.join(temporaryFolder(), 'late');
await writeFile(late, 'late');
await utimes(late, 4_000_000_000, 4_000_000_000);
await run(['mcopy', '-m', '-i', `${image}@@${16_384 * 512}`, late, '::'], {
  env: { MTOOLS_SKIP_CHECK: '1', TZ: 'UTC' },
});
const sandbox = await testSandbox();
const { signal } = new AbortController();
const EPOCH = Math.floor(Date.now() / 1000) + 1;
const kitchen: Kitchen = { sandbox, cacheDir: temporaryFolder(), epoch: EPOCH };
const recipe = await imageRecipe(kitchen, image);
const layers = await layersOf(kitchen, [recipe]);
const again = (from: Layer[]): Promise<string> => assembled(kitchen, from, path.join(temporaryFolder(), 'again.img'));

test('with no role it is the same tree again', async () => {
  const rebuilt = await again(layers);
  const ofBoot = (name: string): boolean => name in BOOT;
  const headers = await headersOf(image, ofBoot);
  assert.ok(headers.some((header) => /"home.pi.\.profile".*"mtime":-1,"nanoseconds":750000000/.test(header)));
  // Times too, which the digest leaves out.
  assert.equal(await headersOf(rebuilt, ofBoot), headers);
  assert.is(await treeOf(rebuilt), await treeOf(image));
});

test('no file of the boot partition is later than the build’s clock', async () => {
  const timeOf = (file: string): Promise<number | undefined> =>
    withImageView(file, async (_view, { fat }) => (await findInFat(fat, 'late'))?.mtime);
  assert.is(await timeOf(image), 4_000_000_000, 'the control');
  // In whole pairs of seconds.
  assert.is(await timeOf(await again(layers)), EPOCH - (EPOCH % 2));
});

test('the files that layers are built upon are those of its archive, but for devices', async () => {
  const [layer] = layers;
  assert.ok(layer);
  assert.is(await treeDifference(sandbox, layer, signal), undefined);
  const { stdout } = await sandbox.tool(['ls', path.join(layer.dir, 'tree/dev')], { readable: [layer.dir] });
  assert.is(stdout.trim(), '');
  // Negative control.
  await sandbox.tool(['sh', '-c', `echo x >>${layer.dir}/tree/etc/owned`], { writable: [layer.dir] });
  assert.match((await treeDifference(sandbox, layer, signal)) ?? '', '/etc/owned is not what was stored');
  await removeTrees(sandbox, [path.join(layer.dir, 'tree')]);
  await layersOf(kitchen, [recipe]);
  assert.is(await treeDifference(sandbox, layer, signal), undefined);
});

test('its boot files get the disk’s id and what the role adds; all else stays; old host keys go', async () => {
  const config = [{ filter: 'pi4', lines: ['hdmi_enable_4kp60=1'] }];
  const spec = { kind: 'image-boot', diskId: '0badcafe', config, cmdline: ['quiet'] } as const;
  const both = await layersOf(kitchen, [
    recipe,
    { key: 'a'.repeat(64), title: 'initramfs', spec: { kind: 'image-initramfs' } },
    { key: 'b'.repeat(64), title: 'boot files', spec: { ...spec, cmdline: [...spec.cmdline] } },
  ]);
  assert.equal(
    both[1]?.index.entries.map(({ path: name }) => name),
    [''],
  );
  await withImageView(await again(both), async ({ layout, boot, root }) => {
    assert.is(layout.diskId, '0badcafe');
    const text = async (files: typeof boot.files, name: string) => (await files.read(name))?.toString();
    assert.is(
      await text(boot.files, 'cmdline.txt'),
      'console=serial0,115200 console=tty1 root=PARTUUID=0badcafe-02 rootfstype=ext4 rootwait resize quiet\n',
    );
    assert.match(
      (await text(boot.files, 'config.txt')) ?? '',
      /dtparam=audio=on[^]*\[pi4\]\nhdmi_enable_4kp60=1\n\[all\]\n$/,
    );
    assert.is(await text(boot.files, 'kernel8.img'), 'kernel');
    const fstab = (await text(root.files, 'etc/fstab')) ?? '';
    assert.match(fstab, /^PARTUUID=0badcafe-01 +\/boot\/firmware +vfat +defaults,fmask=0077,dmask=0077 +0 +2$/m);
    assert.match(fstab, /^PARTUUID=0badcafe-02 +\/ +ext4 +defaults,noatime +0 +1$/m);
    assert.is(await root.files.read('etc/ssh/ssh_host_rsa_key'), undefined);
    assert.is(await text(root.files, 'etc/machine-id'), 'uninitialized\n');
    // Else it would make others in place of the seed's.
    assert.is(await root.files.link('etc/systemd/system/regenerate_ssh_host_keys.service'), '/dev/null');
  });
});

/** A root with nothing of its own but what a sandbox mounts things on. */
async function bareTree(): Promise<string> {
  const tree = temporaryFolder();
  for (const folder of ['etc/real', 'usr/bin', 'usr/lib', 'dev', 'proc', 'run', 'tmp'])
    await mkdir(path.join(tree, folder), { recursive: true });
  for (const name of ['bin', 'lib']) await symlink(`usr/${name}`, path.join(tree, name));
  return tree;
}

test('a step with network asks the name servers of this machine, wherever the image has its own', async () => {
  const servers = await readFile('/etc/resolv.conf', 'utf8');
  const seen = async (make: (file: string) => Promise<void>): Promise<string> => {
    const tree = await bareTree();
    await make(path.join(tree, 'etc/resolv.conf'));
    const root = { lowers: [tree], overlay: 'native' as const, network: true };
    return (await sandbox.inRoot(root, { argv: ['cat', '/etc/resolv.conf'], signal })).stdout;
  };
  for (const target of ['../run/systemd/resolve/stub-resolv.conf', '/run/NetworkManager/resolv.conf'])
    assert.is((await seen((file) => symlink(target, file))).trim(), servers.trim(), target);
  assert.is((await seen((file) => writeFile(file, 'nameserver 192.0.2.1\n'))).trim(), servers.trim());
  const out = path.join(temporaryFolder(), 'resolv.conf');
  await seen((file) => symlink(`/run/../../../../../../../../../..${out}`, file)).catch(() => '');
  assert.not.ok(existsSync(out));
});

test('what packages on top of an image leave off stays off at its first boot', async () => {
  const unit = '[Service]\nExecStart=/usr/bin/true\n[Install]\nWantedBy=multi-user.target\n';
  const below = await Promise.all(
    [['old.service'], ['off.service', 'on.service', 'made@.service']].map(async (names) => {
      const tree = await bareTree();
      const paths = names.map((name) => `usr/lib/systemd/system/${name}`);
      await mkdir(path.join(tree, 'usr/lib/systemd/system'), { recursive: true });
      for (const name of paths) await writeFile(path.join(tree, name), unit);
      const facts = { type: 'file', mode: 0o644, uid: 0, gid: 0, size: 7 } as const;
      return { tree, entries: Promise.resolve(paths.map((name) => ({ path: name, ...facts }))) };
    }),
  );
  const [tree, work] = [temporaryFolder(), temporaryFolder()];
  const context = { sandbox, signal, epoch: EPOCH, below, tree, work } as unknown as StepContext;
  const presets = 'etc/systemd/system-preset/01-first-boot.preset';
  await applyUnits({ kind: 'units', units: { enable: ['on.service'], disable: [], mask: [] }, presets }, context);
  assert.is(await readFile(path.join(tree, presets), 'utf8'), 'disable off.service\n');
});

test('links of the image lead to its own files, and not to those of this machine', async () => {
  const context = { sandbox, signal } as unknown as StepContext;
  const here = path.join(temporaryFolder(), 'secret');
  await writeFile(here, 'of this machine');
  const tree = await bareTree();
  await writeFile(path.join(tree, 'etc/real/fstab'), 'its own\n\n');
  await symlink(here, path.join(tree, 'etc/passwd'));
  await symlink('/etc/real', path.join(tree, 'linked'));
  const all = { ...context, below: [{ tree, entries: Promise.resolve([]) }] };
  assert.is(await readInside('etc/passwd', all), undefined);
  assert.is(await readInside('linked/fstab', all), 'its own\n\n');
  assert.is(await readInside('etc/no', all), undefined);
});

test.run();
