// Formats `cloudinit` and `cloudinit-rpi`: user-data, network-config and meta-data beside the kernel, read by cloud-init's NoCloud.
//
// Facts from rpi-imager, src/customization_generator.cpp and src/downloadthread.cpp (2026-08); cloud-init's documentation of NoCloud and of
// the modules users-groups, ssh, runcmd, resolv-conf; pi-gen, stage2/04-cloud-init.
import { quote } from '../../lib/quote.ts';
import { networkConfig, yaml } from '../cloud-init.ts';
import type { Node, User } from '../node.ts';
import { asksForPassword, cmdlineEdit, REGDOM, regdomWord, textFile, type Edit, type ImageFacts } from './edits.ts';

export function cloudinitEdits(node: Node, facts: ImageFacts, raspberryPi: boolean): Edit[] {
  const instanceId = `piimg-${node.node}-${facts.random}`;
  const { wifi } = node.network;
  const words = [
    ...(wifi === undefined ? [] : [regdomWord(wifi.country)]),
    // Without it cloud-init looks for its data anew on every boot: the cache can be compared with nothing else (Imager's comment).
    [...sourceOf(facts), `i=${instanceId}`].join(';'),
  ];
  const gone = (wifi === undefined ? [] : [REGDOM]).concat(/^ds=nocloud(;|$)/);
  return [
    textFile('user-data', `#cloud-config\n${yaml(userData(node, raspberryPi))}`),
    textFile('network-config', yaml({ network: networkConfig({ network: node.network }, raspberryPi) })),
    textFile('meta-data', yaml({ 'instance-id': instanceId, 'local-hostname': node.node })),
    ...cmdlineEdit(facts, new RegExp(gone.map(({ source }) => source).join('|')), words),
  ];
}

/** What the command line says of the source already, like where it is, but for an earlier id; both spellings are cloud-init's. */
function sourceOf({ cmdline = '' }: ImageFacts): string[] {
  const word = cmdline.split(/\s+/).find((one) => /^ds=nocloud(;|$)/.test(one)) ?? 'ds=nocloud';
  return word.split(';').filter((part) => !/^(i|instance-id)=/.test(part));
}

function userData({ node, users, locale, timezone }: Node, raspberryPi: boolean): object {
  const [first, ...further] = users;
  // Raspberry Pi's cloud-init gives the name of the first user that it adds to the image's own, and the default user comes last.
  const listed = raspberryPi ? [] : further;
  const keys = users.some((user) => user.keys.length > 0);
  const commands = [
    // Raspberry Pi OS has sshd switched off, and cloud-init's `ssh` module does not switch it on.
    ['systemctl', 'enable', '--now', 'ssh'],
    // One that is there already keeps its shell, which is no shell in the images of 2026-04.
    ...(first ? [['usermod', '-s', '/bin/bash', first.name]] : []),
    ...(raspberryPi ? further.flatMap(furtherUser) : []),
    ...users.flatMap((user, index) => (raspberryPi && becomesRoot(user, index) ? [sudoCommand(user)] : [])),
    ...users.flatMap(({ name, sudo }) => (sudo === false ? [['sh', '-c', asksForPassword(name)]] : [])),
    // `groups` of the default user would take the place of those that it has.
    ...(first?.groups ?? []).map((group) => ['usermod', '-aG', group, first?.name]),
  ];
  return {
    hostname: node,
    manage_etc_hosts: true,
    // Name servers are NetworkManager's or networkd's business.
    manage_resolv_conf: false,
    // The image's own first user with another name: it keeps its groups. Those of a list would have none.
    ...(first && { user: login(first, 0) }),
    ...(listed.length > 0 && { users: ['default', ...listed.map((user, index) => login(user, index + 1))] }),
    ...(keys && { ssh_pwauth: false }),
    ...(locale !== undefined && { locale }),
    ...(timezone !== undefined && { timezone }),
    runcmd: commands,
  };
}

function login(user: User, index: number): object {
  const { name, keys, passwordHash, groups } = user;
  return {
    name,
    shell: '/bin/bash',
    lock_passwd: passwordHash === undefined,
    ...(passwordHash !== undefined && { passwd: passwordHash }),
    ...(keys.length > 0 && { ssh_authorized_keys: keys }),
    ...(index > 0 && groups.length > 0 && { groups }),
    // null: else the default user of the image's cloud.cfg would hand down its own rule.
    sudo: becomesRoot(user, index) ? 'ALL=(ALL) NOPASSWD:ALL' : null,
  };
}

/** As the module users-groups would add it. */
function furtherUser({ name, keys, passwordHash = '*', groups }: User): string[][] {
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
    ['usermod', '-p', passwordHash, name],
    ...groups.map((group) => ['usermod', '-aG', group, name]),
    ...(keys.length > 0 ? [['sh', '-c', steps.join(' && ')]] : []),
  ];
}

const becomesRoot = ({ sudo }: User, index: number): boolean => sudo ?? index === 0;

/** Imager does not leave it to `sudo:` alone, of which not every cloud-init of Raspberry Pi OS makes something. */
function sudoCommand({ name }: User): string[] {
  const rule = quote([`${name} ALL=(ALL) NOPASSWD:ALL`]);
  return ['sh', '-c', `umask 337; echo ${rule} > ${quote([`/etc/sudoers.d/010_${name}-nopasswd`])}`];
}
