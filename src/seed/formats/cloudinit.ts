// Formats `cloudinit` and `cloudinit-rpi`: user-data, network-config and meta-data beside the kernel, read by cloud-init's NoCloud.
//
// Facts from rpi-imager, src/customization_generator.cpp and src/downloadthread.cpp (2026-08); cloud-init's documentation of NoCloud and of
// the modules users-groups, ssh, runcmd, resolv-conf; pi-gen, stage2/04-cloud-init.
import { networkConfig, yaml } from '../cloud-init.ts';
import type { Node, User } from '../node.ts';
import { becomesRoot, commandsFor, RADIO_ON } from '../run-commands.ts';
import { cmdlineEdit, REGDOM, regdomWord, textFile, type Edit, type ImageFacts } from './edits.ts';

export function cloudinitEdits(node: Node, facts: ImageFacts, raspberryPi: boolean): Edit[] {
  const instanceId = `piimg-${node.node}-${facts.random}`;
  const { wifi } = node.network;
  // Names of Wi-Fi are NetworkManager's to read, or wpa_supplicant's.
  const manager = raspberryPi || facts.network === 'NetworkManager';
  const words = [
    ...(wifi === undefined ? [] : [regdomWord(wifi.country)]),
    // Without it cloud-init looks for its data anew on every boot: the cache can be compared with nothing else (Imager's comment).
    [...sourceOf(facts), `i=${instanceId}`].join(';'),
  ];
  const gone = (wifi === undefined ? [] : [REGDOM]).concat(/^ds=nocloud(;|$)/);
  return [
    textFile('user-data', `#cloud-config\n${yaml(userData(node, raspberryPi))}`),
    textFile('network-config', yaml({ network: networkConfig({ network: node.network, raspberryPi: manager }) })),
    textFile('meta-data', yaml({ 'instance-id': instanceId, 'local-hostname': node.node })),
    ...cmdlineEdit(facts, new RegExp(gone.map(({ source }) => source).join('|')), words),
  ];
}

/** What the command line says of the source already, like where it is, but for an earlier id; both spellings are cloud-init's. */
function sourceOf({ cmdline = '' }: ImageFacts): string[] {
  const word = cmdline.split(/\s+/).find((one) => /^ds=nocloud(;|$)/.test(one)) ?? 'ds=nocloud';
  return word.split(';').filter((part) => !/^(i|instance-id)=/.test(part));
}

function userData({ node, users, locale, timezone, network }: Node, raspberryPi: boolean): object {
  const [first, ...further] = users;
  // Raspberry Pi's cloud-init gives the name of the first user that it adds to the image's own, and the default user comes last.
  const listed = raspberryPi ? [] : further;
  const keys = users.some((user) => user.keys.length > 0);
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
    runcmd: [...commandsFor(users, raspberryPi), ...(network.wifi ? [RADIO_ON] : [])],
  };
}

function login(user: User, index: number): object {
  const { name, keys, passwordHash, groups } = user;
  return {
    name,
    shell: '/bin/bash',
    lock_passwd: passwordHash === undefined,
    // `passwd` is for an account that is not there yet.
    ...(passwordHash !== undefined && { hashed_passwd: passwordHash }),
    ...(keys.length > 0 && { ssh_authorized_keys: keys }),
    ...(index > 0 && groups.length > 0 && { groups }),
    // null: else the default user of the image's cloud.cfg would hand down its own rule.
    sudo: becomesRoot(user, index) ? 'ALL=(ALL) NOPASSWD:ALL' : null,
  };
}
