// The format of an image's first boot is recognised by its files, and each thing that keeps it from working counts.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { recognise } from '../../../src/vendor/recognise.ts';
import type { ImageView, InitFormat } from '../../../src/vendor/view.ts';
import {
  BOOKWORM,
  BUSTER,
  dpkgStatus,
  FIRST_TRIXIE,
  masked,
  PRESEED,
  TRIXIE,
  type Era,
} from '../../helpers/vendor-eras.ts';
import type { Tree } from '../../helpers/vendor-image.ts';
import { fakeView } from '../../helpers/vendor-view.ts';

const without = (tree: Tree, ...paths: string[]): Tree =>
  Object.fromEntries(
    Object.entries(tree).filter(([path]) => !paths.some((gone) => path === gone || path.startsWith(`${gone}/`))),
  );

const SEED = ['user-data', 'network-config', 'meta-data'];
const RPI = 'usr/lib/python3/dist-packages/cloudinit/config/cc_raspberry_pi.py';
const CFG = 'etc/cloud/cloud.cfg.d/99_raspberry-pi.cfg';
const cfg = (text: string): Tree => ({ ...TRIXIE.root, [CFG]: text });
const cmdline = (era: Era, change: (text: string) => string): Tree => ({
  ...era.boot,
  'cmdline.txt': change(era.boot['cmdline.txt'] as string),
});

const CASES: Record<
  string,
  { boot?: Tree; root?: Tree; more?: Partial<ImageView>; is: InitFormat; others?: InitFormat[]; says?: RegExp }
> = {
  'trixie since 2025-11-24': {
    ...TRIXIE,
    is: 'cloudinit-rpi',
    others: ['systemd', 'userconf'],
    says: /99_raspberry-pi\.cfg seeds NoCloud/,
  },
  'its seed removed: rpi-cloud-init-mods orders it': {
    root: TRIXIE.root,
    boot: without(TRIXIE.boot, ...SEED),
    is: 'cloudinit-rpi',
  },
  'without the module of Raspberry Pi': { boot: TRIXIE.boot, root: without(TRIXIE.root, RPI), is: 'cloudinit' },
  'trixie of 2025-10-01': { ...FIRST_TRIXIE, is: 'systemd', others: ['userconf'], says: /image of 2025-10-01/ },
  'cloud-init disabled by a file': {
    boot: TRIXIE.boot,
    root: { ...TRIXIE.root, 'etc/cloud/cloud-init.disabled': '' },
    is: 'systemd',
    says: /cloud-init\.disabled disables it/,
  },
  'cloud-init disabled on the command line': {
    root: TRIXIE.root,
    boot: cmdline(TRIXIE, (text) => text.replace('resize', 'cloud-init=disabled')),
    is: 'systemd',
    says: /cmdline\.txt says cloud-init=disabled/,
  },
  'cloud-init masked': {
    boot: TRIXIE.boot,
    root: { ...TRIXIE.root, ...masked('cloud-init-main.service') },
    is: 'systemd',
    says: /masks it/,
  },
  'cloud-init whose units were disabled, as by systemctl': {
    boot: TRIXIE.boot,
    root: without(TRIXIE.root, 'etc/systemd/system/cloud-init.target.wants'),
    is: 'systemd',
    says: /none of its units is enabled/,
  },
  'its data source elsewhere': {
    boot: TRIXIE.boot,
    root: cfg('datasource: { NoCloud: { seedfrom: "https://example.org/" } }'),
    is: 'systemd',
  },
  'its data source in a folder of the boot partition': {
    boot: TRIXIE.boot,
    root: cfg('datasource: { NoCloud: { seedfrom: "file:///boot/firmware/init/" } }'),
    is: 'systemd',
  },
  'a trailing slash': {
    boot: TRIXIE.boot,
    root: cfg('datasource: { NoCloud: { seedfrom: "file:///boot/firmware/" } }'),
    is: 'cloudinit-rpi',
  },
  'NoCloud is not in its list': {
    boot: TRIXIE.boot,
    root: { ...TRIXIE.root, 'etc/cloud/cloud.cfg.d/99_z.cfg': 'datasource_list: [ Ec2 ]' },
    is: 'systemd',
    says: /no NoCloud/,
  },
  'as Ubuntu has it: by label': {
    boot: TRIXIE.boot,
    root: without(cfg('datasource: { NoCloud: { fs_label: BOOTFS } }'), RPI),
    is: 'cloudinit',
    says: /fs_label: BOOTFS/,
  },
  'by another label': {
    boot: TRIXIE.boot,
    root: cfg('datasource: { NoCloud: { fs_label: system-boot } }'),
    is: 'systemd',
  },
  'seeded by the command line': {
    boot: cmdline(TRIXIE, (text) => text.replace('resize', 'ds=nocloud;s=file:///boot/firmware/')),
    root: cfg('{}'),
    is: 'cloudinit-rpi',
  },
  'a configuration that is no YAML': { boot: TRIXIE.boot, root: cfg('a: [b'), is: 'systemd' },
  bookworm: { ...BOOKWORM, is: 'custom-toml', others: ['systemd', 'userconf'], says: /firstboot reads custom\.toml/ },
  'bookworm that has booted': {
    root: BOOKWORM.root,
    boot: cmdline(BOOKWORM, (text) => text.replace(/ init=\S+/, '')),
    is: 'systemd',
    says: /custom-toml: cmdline\.txt does not start firstboot/,
  },
  'bookworm without python3-toml': {
    boot: BOOKWORM.boot,
    root: { ...BOOKWORM.root, 'var/lib/dpkg/status': dpkgStatus('dpkg 1.21.22 arm64') },
    is: 'systemd',
    says: /python3-toml is not installed/,
  },
  'custom.toml on trixie, where nothing reads it': {
    root: TRIXIE.root,
    boot: { ...TRIXIE.boot, 'custom.toml': 'config_version = 1\n' },
    is: 'cloudinit-rpi',
  },
  'rpi-preseed': { ...PRESEED, is: 'rpi-preseed', others: ['systemd', 'userconf'] },
  'rpi-preseed that has run': {
    boot: PRESEED.boot,
    root: { ...PRESEED.root, 'var/lib/rpi-preseed/applied': '' },
    is: 'systemd',
    says: /it has run/,
  },
  'rpi-preseed masked': {
    boot: PRESEED.boot,
    root: { ...PRESEED.root, ...masked('rpi-preseed.service') },
    is: 'systemd',
  },
  buster: { ...BUSTER, is: 'userconf', says: /sshswitch\.service reads ssh/ },
  'userconf masked': {
    boot: FIRST_TRIXIE.boot,
    root: { ...without(FIRST_TRIXIE.root, 'usr/lib/systemd/system-generators'), ...masked('userconfig.service') },
    is: 'none',
    says: /userconfig\.service masks it/,
  },
  'nothing at all': { is: 'none', says: /no file of a first-boot format/ },
  "piimg's own": {
    ...TRIXIE,
    more: { piimg: { role: 'web', base: 'raspios-lite', buildId: 'ab' } },
    is: 'piimg',
    others: ['cloudinit-rpi', 'systemd', 'userconf'],
  },
};

for (const [title, { boot = {}, root = {}, more, is, others, says = /./ }] of Object.entries(CASES)) {
  test(`${title}: ${is}`, async () => {
    const found = await recognise(fakeView(boot, root, more));
    assert.is(found.format, is, JSON.stringify(found, null, 1));
    if (others) assert.equal(found.others, others);
    assert.match([...found.evidence, ...found.against].join('\n'), says);
  });
}

test.run();
