// A node in the words of a first-boot format: which files of the boot partition are to change, and how.
import { EXIT, PiimgError } from '../../lib/errors.ts';
import type { InitFormat } from '../../vendor/view.ts';
import type { Node } from '../node.ts';
import { refusalsOf, type Cell, type WrittenFormat } from './carries.ts';
import { cloudinitEdits } from './cloudinit.ts';
import { customTomlEdits } from './custom-toml.ts';
import { cmdlineEdit, type Edit, type ImageFacts } from './edits.ts';
import { rpiPreseedEdits } from './rpi-preseed.ts';
import { systemdEdits } from './systemd.ts';
import { userconfEdits } from './userconf.ts';

type Writer = (node: Node, facts: ImageFacts) => Edit[];

/** piimg's own slots are written by texts.ts. */
const WRITERS: Record<Exclude<WrittenFormat, 'piimg'>, Writer> = {
  'cloudinit-rpi': (node, facts) => cloudinitEdits(node, facts, true),
  cloudinit: (node, facts) => cloudinitEdits(node, facts, false),
  systemd: systemdEdits,
  'custom-toml': customTomlEdits,
  'rpi-preseed': rpiPreseedEdits,
  userconf: userconfEdits,
};

/**
 * Files of the boot partition that tell a first boot who the machine is, whichever format they are of: one from an earlier time would be
 * read too, and might win. cloud-init's are not among them: where they are read, it is cloud-init that is written. `ssh` only starts sshd.
 */
export const IDENTITIES = [
  'firstrun.sh',
  'custom.toml',
  'rpi-preseed.toml',
  'userconf',
  'userconf.txt',
  'wpa_supplicant.conf',
];

/**
 * Pure: the same node and facts give the same edits. Throws PiimgError (usage) naming all that the format cannot carry, and for an image that
 * nothing can be written to. What is left of an identity of another format is taken away.
 */
export function editsFor(format: Exclude<InitFormat, 'piimg'>, node: Node, facts: ImageFacts): Edit[] {
  if (format === 'none') {
    throw usage('This image does nothing on its first boot that a name, keys or Wi-Fi could be given to', NOTHING);
  }
  const refused = refusalsOf(format, node, facts);
  if (refused.length > 0) {
    const list = refused.map(
      ({ title, said, cell }) => `${said}: ${title}${cell === 'no' ? '' : onlyWhere(cell, facts)}`,
    );
    throw usage(
      `The image's first boot (${format}) cannot be told: ${list.join('; ')}`,
      hintFor(format, facts, new Set(refused.map(({ title }) => title))),
    );
  }
  if (format === 'systemd' && facts.cmdline === undefined) {
    throw usage('The boot partition has no cmdline.txt to name firstrun.sh in', 'Is it the image of a whole system?');
  }
  if (format === 'userconf') requireUserconf(node, facts);
  if (format.startsWith('cloudinit') && node.network.wifi !== undefined && !facts.netplan) {
    throw usage(
      'The image has no netplan, the only one that its cloud-init would hand Wi-Fi to: it would be left out',
      'Leave --wifi out, and set it up on the machine. Nothing was written.',
    );
  }
  requireOwnNames(format, node, facts);
  requireHashes(node, facts);
  return withoutEarlier(WRITERS[format](node, facts), facts);
}

function onlyWhere(cell: Cell, { network }: ImageFacts): string {
  const which = cell === 'either' ? 'NetworkManager or dhcpcd' : cell;
  return ` only where ${which} runs the network${network === undefined ? ', and here neither NetworkManager nor dhcpcd does' : ''}`;
}

function withoutEarlier(edits: Edit[], facts: ImageFacts): Edit[] {
  const written = new Set(edits.map(({ path }) => path));
  const left = facts.bootFiles.filter(
    (name) => IDENTITIES.includes(name.toLowerCase()) && !written.has(name.toLowerCase()),
  );
  const words = written.has('cmdline.txt') ? [] : cmdlineEdit(facts, /(?!)/, []);
  const changed = words.filter(
    (edit) => 'content' in edit && edit.content.toString().trimEnd() !== facts.cmdline?.trimEnd(),
  );
  return [...edits, ...changed, ...left.map((path): Edit => ({ path, remove: true }))];
}

/**
 * The first of `formats` that carries all that the node asks for, the best ones first, and its edits. Where cloud-init is the best it is the
 * only one: on a boot that it takes part in, another one would change the same users and network. Throws PiimgError (usage) as `editsFor` does
 * for the first where none carries it.
 */
export function bestEdits(
  formats: Exclude<InitFormat, 'piimg'>[],
  node: Node,
  facts: ImageFacts,
): { format: InitFormat; edits: Edit[] } {
  const [first = 'none'] = formats;
  const usable = first.startsWith('cloudinit') ? [first] : formats;
  const carries = (one: (typeof formats)[number]): boolean =>
    one !== 'none' && refusalsOf(one, node, facts).length === 0 && !takesOver(one, node, facts);
  const format = usable.find(carries) ?? first;
  return { format, edits: editsFor(format, node, facts) };
}

const NOTHING =
  'Set it up by hand on the machine, or take an image with a first boot: `piimg inspect` says how one is told.';

function hintFor(format: WrittenFormat, { hostname }: ImageFacts, titles: Set<string>): string {
  if (format.startsWith('cloudinit'))
    return 'The image has cloud-init at work, which another format would be at odds with. Leave these out and set them on the machine. Nothing was written.';
  if (format !== 'userconf')
    return 'Leave these out and set them on the machine, or use a newer image. Nothing was written.';
  return [
    ...(titles.has('host name') && hostname !== undefined ? [`Its name stays ${hostname}: --node ${hostname}.`] : []),
    'userconf.txt takes one user with the hash of a password: users: [{ name, passwordHash }] in the file of --from, as openssl passwd -6 prints it.',
    'Newer images take ssh keys. Nothing was written.',
  ].join(' ');
}

/** userconf gives a user another name and password, but no shell where it has the name already. */
function requireUserconf({ users }: Node, { accounts, userconf }: ImageFacts): void {
  if (users.length > 0 && !userconf)
    throw usage('The image has no userconf-pi, which would read userconf.txt: it can be given no user', PLAIN);
  const user = users.find(({ name }) => accounts.some((account) => account.name === name && !account.shell));
  if (user === undefined) return;
  throw usage(
    `The image has a user ${user.name} without a shell, and userconf.txt would not give it one`,
    'Take another name for the user, which the first boot makes of that one. Nothing was written.',
  );
}

/** Whether the format would make its first user of an account that the role needs. */
const takesOver = (format: WrittenFormat, { users }: Node, { firstIsRoles }: ImageFacts): boolean =>
  firstIsRoles && users.length > 0 && format !== 'systemd';

/**
 * Where the first user takes over the account with id 1000, its name must be free: userconf would change whoever has it, and that one's home
 * with it. Accounts of the system are nobody's in any format.
 */
function requireOwnNames(format: WrittenFormat, node: Node, facts: ImageFacts): void {
  const { users } = node;
  const { accounts } = facts;
  if (takesOver(format, node, facts)) {
    throw usage(
      "The first boot would make its first user of the account with id 1000, which is the role's",
      'Leave --user and --ssh-key out and give the role itself a user with a key, or its own user another id. Nothing was written.',
    );
  }
  for (const [index, { name }] of users.entries()) {
    const uid = accounts.find((account) => account.name === name)?.uid ?? FIRST_UID;
    const isSystems = uid < FIRST_UID || uid > LAST_UID;
    if (!isSystems && (uid === FIRST_UID || index > 0 || format === 'cloudinit')) continue;
    throw usage(
      `The image has ${isSystems ? 'an account of its own' : 'another user'} called ${name}, with id ${uid}`,
      'Take another name. Nothing was written.',
    );
  }
}

/** Debian's adduser.conf, FIRST_UID and LAST_UID. */
const [FIRST_UID, LAST_UID] = [1000, 59_999];

/** Debian's libcrypt knows yescrypt since bullseye, but Raspberry Pi Imager gives it to images since 2023 only (customization_generator.cpp). */
function requireHashes({ users }: Node, { released }: ImageFacts): void {
  const user = users.find(({ passwordHash }) => passwordHash?.startsWith('$y$'));
  if (user === undefined || released === undefined || released >= '2023') return;
  throw usage(
    `The image is of ${released}, and may not know the kind of hash that the password of ${user.name} has ($y$)`,
    'Make one with `openssl passwd -6`.',
  );
}

const PLAIN = 'Leave --user out: it keeps its own users. Nothing was written.';

const usage = (message: string, hint: string): PiimgError => new PiimgError(message, { exitCode: EXIT.usage, hint });
