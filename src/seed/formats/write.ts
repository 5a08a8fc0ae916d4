// A node in the words of a first-boot format: which files of the boot partition are to change, and how.
import { EXIT, PiimgError } from '../../lib/errors.ts';
import type { InitFormat } from '../../vendor/view.ts';
import type { Node } from '../node.ts';
import { refusalsOf, type WrittenFormat } from './carries.ts';
import { cloudinitEdits } from './cloudinit.ts';
import { customTomlEdits } from './custom-toml.ts';
import type { Edit, ImageFacts } from './edits.ts';
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
 * Pure: the same node and facts give the same edits. Throws PiimgError (usage) naming all that the format cannot carry, and for an image that
 * nothing can be written to.
 */
export function editsFor(format: Exclude<InitFormat, 'piimg'>, node: Node, facts: ImageFacts): Edit[] {
  if (format === 'none') {
    throw usage('This image does nothing on its first boot that a name, keys or Wi-Fi could be given to', NOTHING);
  }
  const refused = refusalsOf(format, node, facts);
  if (refused.length > 0) {
    const list = refused.map(
      ({ title, said, cell }) => `${said}: ${title}${cell === 'no' ? '' : ` only where ${cell} runs the network`}`,
    );
    throw usage(
      `The image's first boot (${format}) cannot be told: ${list.join('; ')}`,
      hintFor(format, facts, new Set(refused.map(({ title }) => title))),
    );
  }
  if (format === 'systemd' && facts.cmdline === undefined) {
    throw usage('The boot partition has no cmdline.txt to name firstrun.sh in', 'Is it the image of a whole system?');
  }
  requireHashes(node, facts);
  return WRITERS[format](node, facts);
}

/**
 * The first of `formats` that carries all that the node asks for, the best ones first, and its edits. Throws PiimgError (usage) as `editsFor`
 * does for the first where none carries it.
 */
export function bestEdits(
  formats: Exclude<InitFormat, 'piimg'>[],
  node: Node,
  facts: ImageFacts,
): { format: InitFormat; edits: Edit[] } {
  const [first = 'none'] = formats;
  const format = formats.find((one) => one !== 'none' && refusalsOf(one, node, facts).length === 0) ?? first;
  return { format, edits: editsFor(format, node, facts) };
}

const NOTHING =
  'Build the image on it with piimg build --base, which brings a first boot of its own, or set it up by hand on the machine.';

function hintFor(format: WrittenFormat, { hostname }: ImageFacts, titles: Set<string>): string {
  if (format !== 'userconf')
    return 'Leave these out and set them on the machine, or use a newer image. Nothing was written.';
  return [
    ...(titles.has('host name') && hostname !== undefined ? [`Its name stays ${hostname}: --node ${hostname}.`] : []),
    'userconf.txt takes one user with the hash of a password: users: [{ name, passwordHash }] in the file of --from, as openssl passwd -6 prints it.',
    'Newer images take ssh keys. Nothing was written.',
  ].join(' ');
}

/** Debian's libcrypt knows yescrypt since bullseye, but Raspberry Pi Imager gives it to images since 2023 only (customization_generator.cpp). */
function requireHashes({ users }: Node, { released }: ImageFacts): void {
  const user = users.find(({ passwordHash }) => passwordHash?.startsWith('$y$'));
  if (user === undefined || released === undefined || released >= '2023') return;
  throw usage(
    `The image is of ${released}, and may not know the kind of hash that the password of ${user.name} has ($y$)`,
    'Make one with `openssl passwd -6`.',
  );
}

const usage = (message: string, hint: string): PiimgError => new PiimgError(message, { exitCode: EXIT.usage, hint });
