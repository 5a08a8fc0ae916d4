// Pure: whether anybody could log in to a machine of an image that nobody has given an identity.
import { identityOf } from './identity.ts';
import { commandLine, isThere, onBoot, rowsOf, textOf, unitsOf } from './system.ts';
import type { ImageView } from './view.ts';

/** What asks for the first user, with screen and keyboard (RPi-Distro/userconf-pi). pi-gen's other images leave it out. */
const ASKS = 'userconfig.service';
/** What tells it beforehand: what is in them need not be understood here. */
const TELLS = ['userconf', 'userconf.txt', 'custom.toml', 'rpi-preseed.toml', 'firstrun.sh'];
/** Those of Raspberry Pi OS itself, until bookworm; any other may do anything. */
const OWN_INIT = /^init=\/usr\/lib\/(raspberrypi-sys-mods\/firstboot|raspi-config\/init_resize\.sh)$/;

/**
 * True where an account has a password or keys, or will be made; false for a Raspberry Pi OS as its makers offer it, which has none before
 * somebody makes one; undefined wherever it is not known.
 */
export async function letsAnybodyIn(view: ImageView): Promise<boolean | undefined> {
  const { root } = view;
  const { users } = await identityOf(view);
  if (users.some(({ password }) => password !== 'locked')) return true;
  const [, rootHash = '*'] = (await rowsOf(root.files, 'etc/shadow')).find(([name]) => name === 'root') ?? [];
  if (!/^[!*]/.test(rootHash)) return true;
  for (const [, , , , , home = ''] of await rowsOf(root.files, 'etc/passwd'))
    if ((await textOf(root.files, `${home.replace(/^\//, '')}/.ssh/authorized_keys`)).trim() !== '') return true;
  return (await isUntold(view)) ? false : undefined;
}

async function isUntold(view: ImageView): Promise<boolean> {
  const { root, boot } = view;
  const units = await unitsOf(view);
  const asks = units.enabled(ASKS) !== undefined && (await units.masked(ASKS)) === undefined;
  if (!asks || !(await isThere(root.files, 'etc/rpi-issue'))) return false;
  for (const name of TELLS) if (await onBoot(view, name)) return false;
  const words = await commandLine(view);
  if (words.some((word) => /^(systemd\.run|ds)=/.test(word))) return false;
  if (words.some((word) => word.startsWith('init=') && !OWN_INIT.test(word))) return false;
  // Whatever it says, be it no YAML; as it comes it has comments only.
  return (await textOf(boot.files, 'user-data')).split('\n').every((line) => /^\s*(#|$)/.test(line) && !isOther(line));
}

/** cloud-init's other formats of user-data, which begin as comments do. */
const isOther = (line: string): boolean => /^#(!|include|cloud-(?!config)|part-handler|upstart)/.test(line);
