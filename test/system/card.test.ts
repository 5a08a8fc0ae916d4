// The image on a used card, by stock bmaptool: every file right; that very card flashed by piimg with an identity, booted, logged in to,
// updated and switched off.
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { lookAtPasswords } from '../../src/boot/checks/always.ts';
import { type Identity, judgeIdentity, readIdentity } from '../../src/boot/checks/identity.ts';
import { MACHINE_ADDRESS, withOutside } from '../../src/boot/checks/outside/endpoint.ts';
import { loadMachine } from '../../src/boot/machine.ts';
import type { Look } from '../../src/boot/retry.ts';
import { makeSeedKey } from '../../src/boot/seed-key.ts';
import { withSession } from '../../src/boot/session.ts';
import { run } from '../../src/host/exec.ts';
import { packageRoot } from '../../src/host/package-root.ts';
import type { SeedDescription } from '../../src/seed/describe.ts';
import { loginSeed } from '../../src/seed/login.ts';
import { padSlot } from '../../src/seed/minimal.ts';
import { wifiKey } from '../../src/seed/wifi.ts';
import { builtWeb } from '../helpers/built.ts';
import { piimgCommand } from '../helpers/command.ts';
import { asRoot } from '../helpers/as-root.ts';
import { assertBooted } from '../helpers/booted.ts';
import { DOORS, knock, LISTEN } from '../helpers/doors.ts';
import type { FlashedJson } from '../helpers/flashing.ts';
import { checkFileSystems } from '../helpers/fsck.ts';
import { differentFiles, partitionOf, readBoot, readRoot } from '../helpers/image-files.ts';
import { attempt } from '../helpers/local-session.ts';
import { askAll, type Answer } from '../helpers/login.ts';
import { bootFiles, withQemu } from '../helpers/qemu.ts';

const { image, bmap, manifest } = await builtWeb();
const SECRET = 'correct-horse-battery';
const WIFI_KEY = wifiKey('a long enough password', 'home');
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

/** What the card carries, and what its flasher is told for known_hosts. */
let seeded: { instanceId?: string; knownHosts: string[] };

/** The words after the card's name are the command; DISK among them is the loop over the card. */
const FLASH = `disk=$(losetup --find --show --direct-io=on "$1"); trap 'losetup -d "$disk"' EXIT; shift
for word; do shift; [ "$word" = DISK ] && word=$disk; set -- "$@" "$word"; done; "$@" --confirm "\${disk##*/}"`;

test('piimg flash writes the very card once more, with its identity and a host key that is known before it boots', async () => {
  await run(['sh', '-euc', NOISE, 'sh', card, String(manifest.image.size)], minutes(3));
  const key = await makeSeedKey(work);
  await writeFile(path.join(work, 'key.pub'), `${key.public}\n`);
  await writeFile(path.join(work, 'token'), `${SECRET}\n`);
  const options = ['--user', 'pilot', '--ssh-key', 'key.pub', '--secret', 'token=token', '--host-keys'];
  const words = ['flash', image, 'DISK', '--node', 'seeded', ...options, '--allow-fixed', '--json'];
  const command = asRoot(['sh', '-euc', FLASH, 'sh', card, ...piimgCommand(), ...words]);
  const { stdout, stderr } = await run(command, { cwd: work, ...minutes(5) });
  assert.not.match(stdout + stderr, SECRET);
  assert.not.match(stderr, 'not checked', "cloud-init's schemas are in the image");
  const { cards } = JSON.parse(stdout) as FlashedJson;
  assert.is(cards[0]?.verdict, 'verified');
  const shown = await run([...piimgCommand(), 'seed', 'show', card, '--json'], minutes(2));
  const { instanceId } = JSON.parse(shown.stdout) as SeedDescription;
  seeded = { ...(instanceId !== undefined && { instanceId }), knownHosts: cards[0]?.knownHosts ?? [] };
  await checkFileSystems(card);
  assert.equal(differentFiles(await readRoot(card), await readRoot(image)), []);
});

/** What the booted card says to these commands; `update` takes minutes. */
const QUESTIONS = {
  cloudInit: 'cloud-init status --wait --long',
  system: 'systemctl is-system-running --wait',
  failed: 'systemctl --failed --no-legend --plain',
  units: 'systemctl is-active web nftables ssh systemd-timesyncd unattended-upgrades apt-daily-upgrade.timer',
  mounts: 'findmnt --noheadings --raw --output TARGET,FSTYPE,OPTIONS --types ext4,vfat',
  rootSize: 'df --block-size=1 --output=size / | tail -n 1',
  firewall: 'nft list ruleset',
  watchdog: 'systemctl show --property=RuntimeWatchdogUSec',
  upgrades: 'apt-config dump',
  journal: 'systemd-analyze cat-config systemd/journald.conf',
  sshd: 'sshd -T',
  seedCopies: 'stat -c "%a" /boot/firmware/user-data',
  names: 'hostname; resolvectl --no-pager dns; readlink -f /etc/resolv.conf; cat /etc/resolv.conf',
  application: 'curl -sS http://localhost:3000/api/health',
  firstBoot: 'piimg-firstboot status',
  kept: 'stat -c "%a %n" /var/lib/piimg/*',
  // Of the secret, in what others than root may read, in the journal and in the list of processes; and that it is found where it may be.
  leaks: `find / -xdev -type f -perm /044 ! -path '/proc/*' ! -path '/sys/*' -size -4M -exec grep -lF -e '${SECRET}' -e '${WIFI_KEY}' {} + ; grep -rlF '${WIFI_KEY}' /var/log; find /var/lib/cloud -type f -perm -o+r -exec grep -lF 'PRIVATE KEY' {} +; journalctl --no-pager | grep -F -e '${SECRET}' -e '${WIFI_KEY}' | grep -v grep; ps axww | grep -F -e '${SECRET}' -e '${WIFI_KEY}' | grep -v grep; grep -cF '${SECRET}' /var/lib/piimg/secrets.json`,
  // A radio of the kernel's own (mac80211_hwsim), with nobody else in the air; the log of a card that tells nothing would tell nothing here.
  wifi: `stat -c %a $(grep -lF '${WIFI_KEY}' /etc/netplan/*); systemctl is-active netplan-wpa-wlan0; wpa_cli -i wlan0 list_networks; grep -c 'init-local' /var/log/cloud-init.log`,
  before: 'sha256sum /boot/firmware/config.txt /boot/firmware/cmdline.txt',
  update: 'update-initramfs -u',
  after: 'sha256sum /boot/firmware/config.txt /boot/firmware/cmdline.txt',
};
let answers: Record<keyof typeof QUESTIONS, Answer>;
let passwords: Look;
let identity: Identity;

/** What was seen of the doors, with the firewall and without. */
let guarded: string[];
let unguarded: string[];
const both = (seen: string) => `IPv4: ${seen}, IPv6: ${seen}`;

test('the used card boots until cloud-init is done, serves its application, takes a login by key and goes off by its power button', async () => {
  const machines = [path.join(packageRoot, 'qemu/machines')];
  const machine = await loadMachine('virt', machines);
  const { network } = machine;
  assert.ok(network);
  const fixed = [{ mac: network.macs[1], addresses: [MACHINE_ADDRESS] }];
  // The second card, on the wire to the other machine, has an address without DHCP.
  const seed = loginSeed(manifest.slots, { instanceId: '', hostname: '', user: '', keys: [], fixed });
  const wifis = {
    wlan0: {
      dhcp4: true,
      optional: true,
      'access-points': { home: { password: WIFI_KEY } },
      'regulatory-domain': 'DE',
    },
  };
  const patches = seed
    .filter(({ slot }) => slot.name === 'network-config')
    .map(({ slot: { offset, length }, content }) => {
      const wires = JSON.parse(content.toString()) as object;
      return { offset, content: padSlot(JSON.stringify({ ...wires, wifis }), length) };
    });
  const folder = path.join(work, 'virt');
  await mkdir(folder);
  const files = await bootFiles(machine, card, folder);
  const boot = { ...files, cmdline: `${files.cmdline} modules_load=mac80211_hwsim` };
  const options = {
    machine: 'virt',
    image: card,
    folder,
    patches,
    boot,
    forward: [3000, 22],
    segment: true,
    minutes: 40,
  };
  await withQemu(options, async (guest) => {
    await assertBooted(guest);
    const login = { port: guest.ports[22] ?? 0, user: 'pilot', key: path.join(work, 'id_ed25519') };
    await withSession({ login, seconds: 120 }, async (session) => {
      answers = await askAll(session, QUESTIONS);
      passwords = await lookAtPasswords(session, attempt());
      identity = await readIdentity(session, attempt());
      const { segment } = guest;
      assert.ok(segment);
      await withOutside(segment, async (outside) => {
        const target = { ports: guest.ports, session, outside };
        await session.ask(LISTEN);
        guarded = await knock(target);
        await session.ask('nft flush ruleset');
        unguarded = await knock(target);
      });
    });
    await guest.powerOff(180);
  });
});

test('other machines do not reach what the firewall does not let in, and would without it', () => {
  assert.equal(
    guarded,
    DOORS.map(() => both('what is sent is dropped')),
  );
  assert.equal(
    unguarded,
    DOORS.map(({ open }) => both(open)),
  );
});

test('cloud-init, systemd and the units of the role have nothing to complain about', () => {
  assert.match(answers.cloudInit.output, 'status: done');
  assert.match(answers.cloudInit.output, 'errors: []');
  assert.is(answers.cloudInit.status, 0, answers.cloudInit.output);
  assert.is(answers.failed.output, '');
  assert.is(answers.system.output, 'running');
  assert.match(answers.units.output, /^(active\n?){6}$/);
  assert.match(answers.application.output, '"role":"web"');
  assert.match(answers.application.output, '"node":"seeded"');
});

test('the node has its own identity and a root file system as large as its card', () => {
  assert.match(answers.names.output, /^seeded$/m);
  const fresh = judgeIdentity(identity, { instanceId: seeded.instanceId ?? '', inImage: [], met: [] });
  assert.ok(fresh.ok, fresh.seen);
  // As `piimg flash` has told for known_hosts, and no other.
  assert.equal(seeded.knownHosts.map((line) => line.split(' ').slice(1, 3).join(' ')).sort(), identity.hostKeys);
  assert.match(answers.mounts.output, /^\/ ext4 .*noatime/m);
  assert.match(answers.mounts.output, /^\/boot\/firmware vfat .*fmask=0077,dmask=0077/m);
  assert.ok(Number(answers.rootSize.output) > manifest.image.size, answers.rootSize.output);
});

test('the machine is its role, and nobody reads its secret but root', () => {
  assert.match(
    answers.firstBoot.output,
    /^piimg: seeded is web: 2 steps, \d+ s\n {2}applied {4}node-name \(template\)/,
  );
  assert.match(answers.kept.output, /^600 .*secrets\.json$/m);
  assert.is(answers.leaks.output, '1');
});

test('its Wi-Fi is wpa_supplicant’s to join, and its key is in no log', () => {
  assert.match(answers.wifi.output, /^600\n(600\n)?active\n[^]*\bhome\b[^]*\n[1-9]\d*$/);
});

test('nobody has a password, ssh takes keys only, and what is not served is dropped', () => {
  assert.equal(passwords, { ok: true, seen: 'keys only' });
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
  const [userData, document] = [
    await readFile(path.join(boot, 'user-data'), 'utf8'),
    await readFile(path.join(boot, 'piimg.json'), 'utf8'),
  ];
  assert.match(userData, 'seeded');
  assert.not.match(userData, 'PRIVATE KEY');
  assert.equal((JSON.parse(document) as { secrets: object }).secrets, { token: null });
  // Not in a sector of the boot partition that no file has, either.
  const { offset, length } = await partitionOf(raw, 1);
  const search = 'dd if="$1" bs=1M iflag=skip_bytes,count_bytes skip="$2" count="$3" status=none | grep -acF -- "$4"';
  const counts = async (text: string, file: string) =>
    (
      await run(['sh', '-c', search, 'sh', file, String(offset), String(length), text], { okCodes: [0, 1] })
    ).stdout.trim();
  assert.equal(
    [await counts(SECRET, raw), await counts('PRIVATE KEY', raw), await counts(WIFI_KEY, raw)],
    ['0', '0', '0'],
  );
  assert.is.not(await counts(SECRET, card), '0', 'where it was, it is found');
  const { stdout } = await run([...piimgCommand(), 'result', raw], minutes(1));
  assert.match(stdout, /^piimg: seeded is web: 2 steps/);
  const asCard = await run([...piimgCommand(), 'card', raw], { cwd: work, ...minutes(2) });
  assert.match(asCard.stdout, /node +seeded\n[^]*as flashed +unknown: [^]*first boot +went well/);
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
