// What must be known of an image that somebody else made before its first boot is told who it is.
import { EXIT, PiimgError } from '../lib/errors.ts';
import type { ImageFacts } from '../seed/formats/edits.ts';
import type { Node } from '../seed/node.ts';
import { releaseOf } from '../vendor/describe.ts';
import { bootMount, isThere, rowsOf, textOf, unitsOf } from '../vendor/system.ts';
import type { ImageView, InitFormat } from '../vendor/view.ts';
import { newRandom } from './seed-machine.ts';

const IMAGER_CUSTOM = 'usr/lib/raspberrypi-sys-mods/imager_custom';

/** Of an image without an identity of piimg's: what its first boot will find, and 16 hex digits that no other card has. */
export async function firstBootFacts(view: ImageView): Promise<ImageFacts> {
  const hostname = (await textOf(view.root.files, 'etc/hostname')).trim();
  const passwd = await rowsOf(view.root.files, 'etc/passwd');
  return {
    cmdline: (await view.boot.files.read('cmdline.txt'))?.toString('utf8'),
    bootPath: (await bootMount(view)) === '/boot' ? '/boot' : '/boot/firmware',
    hostname: hostname === '' ? undefined : hostname,
    released: (await releaseOf(view))?.date,
    network: await networkOf(view),
    netplan: await isThere(view.root.files, 'usr/sbin/netplan'),
    bootFiles: await view.boot.files.list(''),
    accounts: passwd.map(([name = '', , uid, , , , shell = '']) => ({
      name,
      uid: Number(uid),
      shell: !/\/(nologin|false)$/.test(shell),
    })),
    firstIsRoles: passwd.some(([name = '', , uid]) => uid === '1000' && view.piimg?.users?.includes(name) === true),
    userconf: await isThere(view.root.files, 'usr/lib/userconf-pi/userconf-service'),
    wifiByShell: (await textOf(view.root.files, IMAGER_CUSTOM)).includes('do_wifi_ssid_passphrase'),
    random: newRandom(),
    hostKeys: [],
  };
}

/** Nothing else is known to read what would be written for it. */
async function networkOf(view: ImageView): Promise<ImageFacts['network']> {
  const units = await unitsOf(view);
  if (units.enabled('NetworkManager.service') !== undefined) return 'NetworkManager';
  return units.enabled('dhcpcd.service') === undefined ? undefined : 'dhcpcd';
}

const ZONEINFO = 'usr/share/zoneinfo';

/** What locales can be made of (package locales). */
const LOCALES = 'usr/share/i18n/SUPPORTED';

/** Throws PiimgError (usage) for a group, a locale, a time zone or a country that the image does not know: no first boot says that it left one out. */
export async function requireKnown(
  { users, locale, timezone, network: { wifi } }: Node,
  { root: { files } }: ImageView,
  format: InitFormat,
): Promise<void> {
  const refuse = (what: string, hint: string): PiimgError =>
    new PiimgError(`The image knows no ${what}`, { exitCode: EXIT.usage, hint: `${hint} Nothing was written.` });
  const rows = await rowsOf(files, 'etc/group');
  const groups = [...rows.map(([name]) => name), ...users.map(({ name }) => name)];
  const group = users.flatMap((user) => user.groups ?? []).find((name) => !groups.includes(name));
  // cloud-init makes those that are missing; Raspberry Pi's is told of them in commands that do not.
  if (format !== 'cloudinit' && rows.length > 0 && group !== undefined)
    throw refuse(`group ${group}`, 'A package that is not in it may make that one.');
  const locales = await textOf(files, LOCALES);
  // Some have it in their charset only: `en_IN UTF-8`; libc itself brings C.UTF-8.
  const spelt = [locale, locale?.replace('.UTF-8', '')].map((name) => `${name} UTF-8`);
  const isThat = (line: string): boolean => spelt.includes(line.trim());
  if (locale !== undefined && locale !== 'C.UTF-8' && locales !== '' && !locales.split('\n').some(isThat))
    throw refuse(`locale ${locale}`, `Those that it knows are in its /${LOCALES}.`);
  if ((await files.list(ZONEINFO)).length === 0) return;
  if (timezone !== undefined && !(await isThere(files, `${ZONEINFO}/${timezone}`)))
    throw refuse(`time zone ${timezone}`, 'Old names are in the package tzdata-legacy: take the one of today.');
  const countries = await textOf(files, `${ZONEINFO}/iso3166.tab`);
  if (wifi !== undefined && countries !== '' && !countries.includes(`\n${wifi.country}\t`))
    throw refuse(`country ${wifi.country}`, 'Its codes are those of ISO 3166.');
}
