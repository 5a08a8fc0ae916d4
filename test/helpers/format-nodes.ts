// Nodes and images for tests of first-boot formats: one node that asks for all that a format carries, and small ones.
import { cellOf, isYes, type WrittenFormat } from '../../src/seed/formats/carries.ts';
import type { Edit, ImageFacts } from '../../src/seed/formats/edits.ts';
import { nodeSchema, type Node } from '../../src/seed/node.ts';
import { keyLine } from './ssh-keys.ts';

export type OtherFormat = Exclude<WrittenFormat, 'piimg'>;
export const OTHER_FORMATS: OtherFormat[] = [
  'cloudinit-rpi',
  'cloudinit',
  'systemd',
  'custom-toml',
  'rpi-preseed',
  'userconf',
];

export const HASH = '$6$saltsalt$' + 'a'.repeat(86);
const HOST_KEY = { type: 'ed25519', privateKey: '-----BEGIN\nx\n-----END\n', publicKey: keyLine('root@pi1') } as const;

/** As bookworm has it (pi-gen, bookworm: stage1/00-boot-files), but for the root's id. */
export const CMDLINE =
  'console=serial0,115200 console=tty1 root=PARTUUID=1a2b3c4d-02 rootfstype=ext4 fsck.repair=yes rootwait\n';

export const factsOf = (format: OtherFormat, more: Partial<ImageFacts> = {}): ImageFacts => ({
  cmdline: CMDLINE,
  bootPath: format === 'userconf' ? '/boot' : '/boot/firmware',
  hostname: 'raspberrypi',
  released: '2025-12-04',
  // Images with a cloud-init that is not Raspberry Pi's have networkd.
  network: format === 'userconf' ? 'dhcpcd' : format === 'cloudinit' ? undefined : 'NetworkManager',
  netplan: true,
  bootFiles: ['cmdline.txt', 'config.txt'],
  accounts: [
    { name: 'root', uid: 0, shell: true },
    { name: 'backup', uid: 34, shell: false },
    { name: 'pi', uid: 1000, shell: true },
  ],
  firstIsRoles: false,
  userconf: true,
  wifiByShell: false,
  random: '0123456789abcdef',
  hostKeys: [],
  ...more,
});

export const nodeOf = (file: object, node = 'pi1'): Node => ({ ...nodeSchema.parse({ version: 1, ...file }), node });

/** All that the format carries, by its own table. */
export function fullNode(format: OtherFormat): { node: Node; facts: ImageFacts } {
  const facts = factsOf(format);
  const has = (field: Parameters<typeof cellOf>[1]): boolean => isYes(cellOf(format, field), facts.network);
  const first = {
    name: 'ann',
    ...(has('keys') && { keys: [keyLine('ann@laptop'), keyLine("o'neill", 'ssh-ed25519', 'o')] }),
    ...(has('passwordHash') && { passwordHash: HASH }),
    ...(has('groups') && { groups: ['video', 'gpio'] }),
  };
  const ssid = has('ssid') ? 'Café "5"; \\o/ #1' : 'Café "5" #1';
  const file = {
    users: [first, ...(has('users') ? [{ name: 'bob', keys: [keyLine('bob')], sudo: true }] : [])],
    network: {
      ...(has('address') && { addresses: ['192.168.254.122/24'], gateway: '192.168.254.1' }),
      ...(has('addresses') && { addresses: ['192.168.254.122/24', 'fd00::7a/64'] }),
      ...(has('dns') && { dns: ['9.9.9.9'] }),
      ...(has('wifi') && { wifi: { ssid, password: 'password', country: 'DE', hidden: true } }),
    },
    ...(has('locale') && { locale: 'de_DE.UTF-8' }),
    ...(has('timezone') && { timezone: 'Europe/Berlin' }),
    hostKeys: has('hostKeys'),
  };
  const node = nodeOf(file, has('node') ? 'pi1' : 'raspberrypi');
  return { node, facts: { ...facts, hostKeys: has('hostKeys') ? [HOST_KEY] : [] } };
}

/** The text of a file that is written; undefined where none is. */
export function textIn(edits: Edit[], path: string): string | undefined {
  const edit = edits.find((one) => one.path === path);
  return edit !== undefined && 'content' in edit ? edit.content.toString() : undefined;
}
