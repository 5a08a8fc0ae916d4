// What cloud-init itself does not do for users on images of other makers, Raspberry Pi OS above all: commands for `runcmd`.
import { quote } from '../lib/quote.ts';
import { asksForPassword } from './formats/edits.ts';
import type { User } from './node.ts';

type Account = Pick<User, 'name' | 'keys'> & Partial<User>;

/**
 * Facts from cloud-init, distros/raspberry_pi_os.py: the first user that it adds gets the account of `pi`, the default user comes last, and
 * groups are forgotten; from rpi-imager, src/customization_generator.cpp.
 */
export function commandsFor(users: Account[], raspberryPi: boolean): (string | string[])[] {
  const [first, ...further] = users;
  return [
    // Raspberry Pi OS has sshd switched off, and cloud-init's `ssh` module does not switch it on.
    ['systemctl', 'enable', '--now', 'ssh'],
    // One that is there already keeps its shell, which is no shell in the images of 2026-04.
    ...(first ? [['usermod', '-s', '/bin/bash', first.name]] : []),
    ...(raspberryPi ? further.flatMap(furtherUser) : []),
    ...users.flatMap((user, index) => (raspberryPi && becomesRoot(user, index) ? [sudoCommand(user)] : [])),
    ...users.flatMap(({ name, sudo }) => (sudo === false ? [['sh', '-c', asksForPassword(name)]] : [])),
    // `groups` of the default user would take the place of those that it has.
    ...(first?.groups ?? []).map((group) => ['usermod', '-aG', group, first?.name ?? '']),
  ];
}

/**
 * Raspberry Pi OS ships with the radio blocked, and `WirelessEnabled=false` in NetworkManager's state, until raspi-config has set a country
 * (raspberrypi-sys-mods, imager_custom, does this beside it); naming one in cmdline.txt or to netplan changes neither. What systemd-rfkill
 * has noted would block it again.
 */
export const RADIO_ON: string[] = [
  'sh',
  '-c',
  [
    '! command -v rfkill > /dev/null || rfkill unblock wifi',
    'for f in /var/lib/systemd/rfkill/*:wlan; do [ ! -f "$f" ] || echo 0 > "$f"; done',
    '! command -v nmcli > /dev/null || nmcli radio wifi on',
  ].join('; '),
];

export const becomesRoot = ({ sudo }: Partial<User>, index: number): boolean => sudo ?? index === 0;

/** Imager does not leave it to `sudo:` alone, of which not every cloud-init of Raspberry Pi OS makes something. */
function sudoCommand({ name }: Pick<User, 'name'>): string[] {
  const rule = quote([`${name} ALL=(ALL) NOPASSWD:ALL`]);
  return ['sh', '-c', `umask 337; echo ${rule} > ${quote([`/etc/sudoers.d/010_${name}-nopasswd`])}`];
}

/** As the module users-groups would add it. */
function furtherUser({ name, keys, passwordHash = '*', groups = [] }: Account): (string | string[])[] {
  const file = `"$h/.ssh/authorized_keys"`;
  const steps = [
    `h=$(getent passwd ${quote([name])} | cut -d: -f6)`,
    `install -d -m 700 "$h/.ssh"`,
    `printf '%s\\n' ${quote(keys)} > ${file}`,
    `chmod 600 ${file}`,
    `chown -R ${quote([`${name}:`])} "$h/.ssh"`,
  ];
  return [
    ['useradd', '-m', '-s', '/bin/bash', name],
    // `*` is no hash: no password opens it.
    // A line of the script itself: arguments of programs are everybody's to read, and this shell's printf is no program.
    `printf '%s\\n' ${quote([`${name}:${passwordHash}`])} | chpasswd -e`,
    ...groups.map((group) => ['usermod', '-aG', group, name]),
    ...(keys.length > 0 ? [['sh', '-c', steps.join(' && ')]] : []),
  ];
}
