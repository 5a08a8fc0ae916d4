// The image on a used card, by stock bmaptool: every file right, and that very card booted, logged in to, updated and switched off.
import { mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { run } from '../../src/host/exec.ts';
import { padSlot } from '../../src/seed/minimal.ts';
import { builtWeb } from '../helpers/built.ts';
import { asRoot } from '../helpers/as-root.ts';
import { assertBooted } from '../helpers/booted.ts';
import { checkFileSystems } from '../helpers/fsck.ts';
import { differentFiles, readBoot, readRoot } from '../helpers/image-files.ts';
import { askGuest, newKey, sshCommand, type Answer } from '../helpers/login.ts';
import { withQemu } from '../helpers/qemu.ts';

const { image, bmap, manifest } = await builtWeb();
const work = await mkdtemp(path.join(tmpdir(), 'piimg-card-'));
const card = path.join(work, 'card.img');
const minutes = (count: number) => ({ signal: AbortSignal.timeout(count * 60_000) });

/** A card as large as the image, full of random bytes: AES in counter mode is the quickest noise. */
const NOISE = `openssl enc -aes-128-ctr -nosalt -pass pass:card -pbkdf2 -in /dev/zero 2>/dev/null | head -c "$2" >"$1"`;
/** bmaptool empties a regular file before it writes: only a disk keeps what was there. */
const COPY = `disk=$(losetup --find --show "$1"); trap 'losetup -d "$disk"' EXIT; bmaptool copy --bmap "$2" "$3" "$disk"`;

test('bmaptool writes it onto a used card: both file systems sound, every file as in the image', async () => {
  await run(['sh', '-euc', NOISE, 'sh', card, String(manifest.image.size)], minutes(3));
  await run(asRoot(['sh', '-euc', COPY, 'sh', card, bmap, image]), minutes(5));
  await checkFileSystems(card);
  const [bootOfCard, boot] = [path.join(work, 'boot-card'), path.join(work, 'boot')];
  assert.equal(differentFiles(await readBoot(card, bootOfCard), await readBoot(image, boot)), []);
  assert.equal(differentFiles(await readRoot(card), await readRoot(image)), []);
});

/** What the booted card says to these commands; `update` takes minutes. */
const QUESTIONS = {
  cloudInit: 'cloud-init status --wait --long',
  seed: 'sudo cloud-init schema --system',
  system: 'systemctl is-system-running --wait',
  failed: 'systemctl --failed --no-legend --plain',
  units: 'systemctl is-active web nftables ssh systemd-timesyncd unattended-upgrades apt-daily-upgrade.timer',
  mounts: 'findmnt --noheadings --raw --output TARGET,FSTYPE,OPTIONS --types ext4,vfat',
  rootSize: 'df --block-size=1 --output=size / | tail -n 1',
  firewall: 'sudo nft list ruleset',
  watchdog: 'systemctl show --property=RuntimeWatchdogUSec',
  upgrades: 'apt-config dump',
  journal: 'systemd-analyze cat-config systemd/journald.conf',
  sshd: 'sudo sshd -T',
  passwords: 'sudo cut -d: -f2 /etc/shadow',
  seedCopies: 'stat -c "%a" /boot/firmware/user-data',
  machineId: 'cat /etc/machine-id',
  names: 'hostname; resolvectl --no-pager dns; readlink -f /etc/resolv.conf; cat /etc/resolv.conf',
  application: 'curl -sS http://localhost:3000/api/health',
  before: 'sudo sha256sum /boot/firmware/config.txt /boot/firmware/cmdline.txt',
  update: 'sudo update-initramfs -u',
  after: 'sudo sha256sum /boot/firmware/config.txt /boot/firmware/cmdline.txt',
};
let answers: Record<keyof typeof QUESTIONS, Answer>;

test('the used card boots until cloud-init is done, serves its application, takes a login by key and switches off', async () => {
  const key = await newKey(work);
  const slot = manifest.slots.find(({ name }) => name === 'user-data');
  assert.ok(slot);
  const user = { name: 'pilot', groups: ['sudo'], shell: '/bin/bash', ssh_authorized_keys: [key.public] };
  const seed = padSlot(`#cloud-config\n${JSON.stringify({ hostname: 'seeded', users: [user] })}\n`, slot.length);
  const disk = await open(card, 'r+');
  await disk.write(seed, 0, seed.length, slot.offset);
  await disk.close();

  const folder = path.join(work, 'virt');
  await withQemu({ machine: 'virt', image: card, folder, forward: [3000, 22], minutes: 15 }, async (guest) => {
    await assertBooted(guest);
    const port = guest.ports[22] ?? 0;
    const refused = await run(sshCommand(port, 'pilot', ['-o', 'PubkeyAuthentication=no'], 'true'), {
      okCodes: [255],
      ...minutes(2),
    });
    assert.match(refused.stderr, 'Permission denied (publickey)');
    answers = await askGuest(port, 'pilot', key.file, QUESTIONS);
    await run(sshCommand(port, 'pilot', ['-i', key.file], 'sudo systemctl poweroff'), {
      okCodes: [0, 255],
      ...minutes(2),
    });
    await guest.off();
  });
});

test('cloud-init, systemd and the units of the role have nothing to complain about', () => {
  assert.match(answers.cloudInit.output, 'status: done');
  assert.match(answers.cloudInit.output, 'errors: []');
  assert.is(answers.cloudInit.status, 0, answers.cloudInit.output);
  assert.is(answers.seed.status, 0, answers.seed.output);
  assert.is(answers.failed.output, '');
  assert.is(answers.system.output, 'running');
  assert.match(answers.units.output, /^(active\n?){6}$/);
  assert.match(answers.application.output, '"role":"web"');
});

test('the node has its own identity and a root file system as large as its card', () => {
  assert.match(answers.names.output, /^seeded$/m);
  assert.match(answers.machineId.output, /^[0-9a-f]{32}$/);
  assert.match(answers.mounts.output, /^\/ ext4 .*noatime/m);
  assert.match(answers.mounts.output, /^\/boot\/firmware vfat .*fmask=0077,dmask=0077/m);
  assert.ok(Number(answers.rootSize.output) > manifest.image.size, answers.rootSize.output);
});

test('nobody has a password, ssh takes keys only, and what is not served is dropped', () => {
  assert.match(answers.passwords.output, /^([!*]+\n?)+$/);
  assert.match(answers.sshd.output, /^passwordauthentication no$/m);
  assert.match(answers.sshd.output, /^permitrootlogin no$/m);
  assert.match(answers.firewall.output, /hook input [^}]*policy drop;/);
  for (const port of ['22', '3000']) assert.match(answers.firewall.output, new RegExp(`dport ${port}\\b.* accept`));
});

test('it looks after itself: security updates, a bounded journal, the watchdog', () => {
  assert.match(answers.upgrades.output, 'APT::Periodic::Unattended-Upgrade "1";');
  assert.match(answers.upgrades.output, /Unattended-Upgrade::Origins-Pattern:: "[^"]*Debian-Security/);
  assert.match(answers.journal.output, /^SystemMaxUse=64M$/m);
  const seconds = Number(/RuntimeWatchdogUSec=(\d+)s/.exec(answers.watchdog.output)?.[1]);
  assert.ok(seconds > 0 && seconds <= 15, answers.watchdog.output);
});

test('making the initramfs anew on the card leaves config.txt and cmdline.txt as they were', () => {
  assert.is(answers.update.status, 0, answers.update.output);
  assert.match(answers.update.output, 'update-initramfs: Generating');
  assert.is(answers.before.output.split('\n').length, 2);
  assert.is(answers.after.output, answers.before.output);
});

test('after the switch-off both file systems are clean', async () => {
  const raw = path.join(work, 'off.img');
  await run(['qemu-img', 'convert', '-O', 'raw', path.join(work, 'virt', 'card.qcow2'), raw], minutes(5));
  await checkFileSystems(raw);
  const boot = path.join(work, 'boot-off');
  await readBoot(raw, boot);
  assert.match(await readFile(path.join(boot, 'user-data'), 'utf8'), 'seeded');
  // The first boot enabled nothing that the image leaves off, and later packages get Debian's presets.
  const enabled = async (from: string) =>
    [...(await readRoot(from)).keys()].filter((file) =>
      /^\/etc\/systemd\/system\/.*\.(wants|requires)\/|-preset\/./.test(file),
    );
  const [before, after] = [await enabled(image), await enabled(raw)];
  assert.ok(before.includes('/etc/systemd/system/multi-user.target.wants/web.service'));
  const preset = '/etc/systemd/system-preset/00-first-boot.preset';
  assert.ok(before.includes(preset));
  assert.equal(after.sort(), before.filter((file) => file !== preset).sort());
});

test('the work is cleaned up', async () => {
  await rm(work, { recursive: true });
});

test.run();
