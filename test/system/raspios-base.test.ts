// Roles on look-alikes of Raspberry Pi OS as their base: built, tested as a Raspberry Pi 3, healthy after the image's own first boot.
import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { BootReport } from '../../src/boot/report.ts';
import { cacheFolder } from '../../src/cli/context.ts';
import { withImageView } from '../../src/cli/image-view.ts';
import { run } from '../../src/host/exec.ts';
import { digestOfFile } from '../../src/lib/digest.ts';
import type { ImageView } from '../../src/vendor/view.ts';
import { cmdlineTxt } from '../fixtures/raspios/boot-files.ts';
import { changeRoot, putOnBoot } from '../fixtures/raspios/disk.ts';
import { ERAS } from '../fixtures/raspios/eras.ts';
import { makeLookAlike } from '../fixtures/raspios/make.ts';
import { showDetail } from '../helpers/built.ts';
import { piimgCommand } from '../helpers/command.ts';
import { withServer } from '../helpers/bad-luck-archive.ts';
import { askAnn, bootForeign } from '../helpers/foreign-boot.ts';
import { readManifest } from '../helpers/kitchen-commands.ts';

/** The names of what was looked at, all of it passed, and what the console said. */
async function testRole(folder: string, role: string, base: string[]): Promise<{ names: string[]; console: string }> {
  const env = { PIIMG_CACHE: cacheFolder(process.env) };
  const build = ['build', '--role', role, ...base, '--progress', 'log'];
  const signal = AbortSignal.timeout(20 * 60_000);
  await run([...piimgCommand(), ...build], { cwd: folder, env, signal }).catch(showDetail);
  // It gives its throw-away card a login and an identity of its own.
  const testing = ['test', `out/${role}.img`, '--machine', 'raspi3b', '--reports', folder, '--json'];
  const { stdout, stderr } = await run([...piimgCommand(), ...testing], {
    cwd: folder,
    env,
    okCodes: [0, 1],
    signal: AbortSignal.timeout(30 * 60_000),
  });
  const { passed, tests } = JSON.parse(stdout) as { passed: boolean; tests: { report: BootReport }[] };
  const { boots = [], reason, notExercised = [] } = tests[0]?.report ?? {};
  const seen = boots[0]?.checks.map(({ name, status, seen: what }) => `${status}: ${name}: ${what}`).join('\n');
  assert.ok(passed, `${reason?.message}\n${seen}\n${stderr}`);
  assert.match(notExercised.join('\n'), 'A real one is unverified until `npm run verify:raspios');
  return { names: boots[0]?.checks.map(({ name }) => name) ?? [], console: boots[0]?.console ?? '' };
}

async function withFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp('/var/tmp/piimg-raspios-');
  try {
    await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

test('role web on trixie with cloud-init: seeded, booted, healthy', async () => {
  await withFolder(async (folder) => {
    const base = await makeLookAlike('trixie-512', { size: 'bootable', folder });
    const { names } = await testRole(folder, 'web', ['--base', `./${path.basename(base)}`]);
    for (const name of ['cloud-init is done', 'application calls itself ok', 'root fills the card'])
      assert.ok(names.includes(name), name);
    const { disk } = await readManifest(folder, 'web');
    const said = await seedAndAsk(path.join(folder, 'out/web.img'), folder);
    const [hostname, user, partuuid, address, first, left, told, began, health] = said;
    assert.equal([hostname, user, address], ['pi1', 'ann', '10.0.2.15/24']);
    assert.equal([first, left], ['bob', 'no'], 'userconf.txt was carried out, and went');
    assert.ok(Number(told) > 0 && Number(told) <= Number(began), `the agent comes after userconf: ${told}, ${began}`);
    assert.match(partuuid ?? '', /^[0-9a-f]{8}-02$/);
    assert.is.not(partuuid, `${disk.id}-02`, 'the initramfs has changed the disk id');
    assert.match(health ?? '', /^HTTP\/1\.1 200 /);
  });
});

/** A card from `piimg seed`, booted: what the machine says of itself to the one whose key it was given, a line each. */
async function seedAndAsk(image: string, folder: string): Promise<string[]> {
  const key = path.join(folder, 'key');
  await run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', key]);
  const out = path.join(folder, 'pi1.img');
  await lateUserconf(image, folder);
  // QEMU forwards to that address.
  const network = ['--ip', '10.0.2.15/24', '--gateway', '10.0.2.2'];
  const node = ['--node', 'pi1', '--user', 'ann', '--ssh-key', `${key}.pub`, ...network];
  await run([...piimgCommand(), 'seed', image, ...node, '--out', out]).catch(showDetail);
  await putOnBoot(out, ERAS['trixie-512'].bootStart, { 'userconf.txt': `bob:$6$saltsalt$${'a'.repeat(86)}\n` });
  const ask = `systemctl is-active --quiet piimg-firstboot || exit 1
hostname; id -un; findmnt -no PARTUUID /; ip -o -4 addr show scope global | awk '{ print $4 }'
id -un 1000; sudo -n test -e /boot/firmware/userconf.txt && echo yes || echo no
cat /run/userconf-done; systemctl show -P ExecMainStartTimestampMonotonic piimg-firstboot
exec 3<>/dev/tcp/127.0.0.1/3000; printf 'GET /health HTTP/1.1\\r\\nHost: pi1\\r\\nConnection: close\\r\\n\\r\\n' >&3; head -n 1 <&3 | grep 200`;
  const { result } = await bootForeign({ machine: 'raspi3b', image: out, folder, minutes: 25 }, (guest) =>
    guest.until('ssh and the application', () => askAnn(guest, { key }, ask)),
  );
  return result.split('\n');
}

/** Else userconf.txt would be carried out long before the agent is due, by luck: here not before cloud-init has ended. */
async function lateUserconf(image: string, folder: string): Promise<void> {
  const late = path.join(folder, 'late.conf');
  const wait = "/bin/sh -c 'until systemctl is-active -q cloud-final; do sleep 1; done; sleep 20'";
  // As systemd counts: in microseconds. It may have forgotten the unit, which is disabled then.
  const done = `/bin/sh -c 'cut -d" " -f1 /proc/uptime | tr -d . | sed "s/$/0000/" >/run/userconf-done'`;
  await writeFile(late, `[Service]\nExecStartPre=${wait}\nExecStartPost=${done}\n`);
  const dropIns = '/etc/systemd/system/userconfig.service.d';
  await changeRoot(image, ERAS['trixie-512'].rootStart, [`write ${late} ${dropIns}/late.conf`]);
}

/** With a look from outside: the second network card is given its address once somebody is logged in. */
const ROLE = `version: 1
summary: Nothing but a closed port
extends: base
health: [{ check: closed, port: 9 }]
# What goes into the initramfs.
modules: { blacklist: [pcspkr] }
# The image has both already: without a shell, and in other groups.
groups: [{ name: pi }]
users: [{ name: pi, shell: /bin/bash, groups: [video] }]
`;

test('a role on trixie without cloud-init: told by firstrun.sh, restarted, healthy', async () => {
  await withFolder(async (folder) => {
    await mkdir(path.join(folder, 'images/roles'), { recursive: true });
    await writeFile(path.join(folder, 'images/roles/quiet.yaml'), ROLE);
    const base = await makeLookAlike('trixie-systemd', { size: 'bootable', folder });
    await disableCloudInit(base);
    const initramfs = await withImageView(base, initramfsOf);
    const { names, console } = await listed(base, folder, (from) => testRole(folder, 'quiet', from));
    assert.not.ok(names.includes('cloud-init is done'));
    const { passwd, group, shadow } = await accountsOf(path.join(folder, 'out/quiet.img'));
    await assertNewInitramfs(path.join(folder, 'out/quiet.img'), initramfs);
    assert.match(shadow, /^pi:!/m);
    assert.match(passwd, /^pi:x:1000:1000:[^:]*:\/home\/pi:\/bin\/bash$/m);
    assert.match(group, /^video:.*\bpi$/m);
    assert.match(group, /^sudo:.*\bpi$/m, 'what its makers gave it stays');
    for (const name of [
      'the machine is its role',
      'identity of its own',
      'root fills the card',
      'tcp port 9 is closed to others',
    ])
      assert.ok(names.includes(name), name);
    // The initramfs gave the card an id of its own, by which its firmware and fstab found it when it started again.
    const id = /Kernel command line: .*\broot=PARTUUID=([0-9a-f]{8})-02/.exec(console)?.[1];
    assert.ok(id, console);
    assert.is.not(id, (await readManifest(folder, 'quiet')).disk.id);
  });
});

const initramfsOf = ({ boot }: ImageView): Promise<Buffer | undefined> => boot.files.read('initramfs8', 1 << 28);

/** Made anew by the image's own tools, which would have looked at a machine for modules, and put to where the firmware looks. */
async function assertNewInitramfs(image: string, before: Buffer | undefined): Promise<void> {
  await withImageView(image, async (view) => {
    const after = await initramfsOf(view);
    assert.ok(before && after && !after.equals(before));
    const { files } = view.root;
    assert.match(String(await files.read('etc/initramfs-tools/initramfs.conf')), /^MODULES=dep$/m);
    assert.equal(await files.list('etc/initramfs-tools/conf.d'), ['00piimg']);
  });
}

const accountsOf = (image: string): Promise<Record<'passwd' | 'group' | 'shadow', string>> =>
  withImageView(image, async ({ root: { files } }) => ({
    passwd: String(await files.read('etc/passwd')),
    group: String(await files.read('etc/group')),
    shadow: String(await files.read('etc/shadow')),
  }));

/** The image packed, as its makers offer it, in a list of theirs on loopback: `work` gets the options that take it from there. */
async function listed<T>(image: string, folder: string, work: (from: string[]) => Promise<T>): Promise<T> {
  const site = path.join(folder, 'site');
  await mkdir(site);
  const entry = {
    name: 'Raspberry Pi OS Lite (64-bit)',
    url: 'os.img.xz',
    extract_size: (await stat(image)).size,
    extract_sha256: await digestOfFile(image),
    release_date: '2026-06-18',
    devices: ['pi3-64bit'],
  };
  const packed = path.join(site, entry.url);
  await run(['sh', '-euc', 'xz -0 -T0 -c "$1" >"$2"', 'sh', image, packed], { signal: AbortSignal.timeout(600_000) });
  await rm(image);
  const download = {
    image_download_size: (await stat(packed)).size,
    image_download_sha256: await digestOfFile(packed),
  };
  await writeFile(path.join(site, 'list.json'), JSON.stringify({ os_list: [{ ...entry, ...download }] }));
  return withServer({ dir: site, keyring: '', gnupg: '' }, (server) => {
    const pin = ['--base-sha256', download.image_download_sha256];
    return work(['--base', 'raspios-lite', '--os-list', `${server.url}/list.json`, ...pin]);
  });
}

/** By its own word on the kernel's command line (cloud-init's documentation, "How to disable cloud-init"). */
async function disableCloudInit(image: string): Promise<void> {
  const { bootStart } = ERAS['trixie-systemd'];
  const cmdline = cmdlineTxt(ERAS['trixie-systemd']).trim();
  await putOnBoot(image, bootStart, { 'cmdline.txt': `${cmdline} cloud-init=disabled\n` });
}

test.run();
