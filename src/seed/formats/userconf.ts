// Format `userconf`: userconf.txt, `ssh` and, before NetworkManager, wpa_supplicant.conf on the boot partition.
//
// Facts from userconf-pi 0.9 (userconf-service), raspberrypi-sys-mods (sshswitch); wpa_supplicant.conf(5); Raspberry Pi's documentation of
// headless set-up, which names wpa_supplicant.conf for releases before bookworm only.
import type { Wifi } from '../network.ts';
import type { Node } from '../node.ts';
import { octetsOf, wifiKey } from '../wifi.ts';
import { textFile, type Edit, type ImageFacts } from './edits.ts';

export function userconfEdits({ users: [user], network: { wifi } }: Node, { network }: ImageFacts): Edit[] {
  return [
    // Neither part may be empty for it; the check of what a format carries asks for a hash.
    ...(user === undefined ? [] : [textFile('userconf.txt', `${user.name}:${user.passwordHash ?? '*'}\n`)]),
    ...(wifi === undefined || network !== 'dhcpcd' ? [] : [textFile('wpa_supplicant.conf', wpaSupplicant(wifi))]),
    textFile('ssh', ''),
  ];
}

/** The name in hex digits without quotes: any bytes. */
export function wpaSupplicant({ ssid, password, country, hidden }: Wifi): string {
  return [
    `country=${country}`,
    'ctrl_interface=DIR=/var/run/wpa_supplicant GROUP=netdev',
    'update_config=1',
    'network={',
    `\tssid=${octetsOf(ssid).toString('hex')}`,
    ...(hidden === true ? ['\tscan_ssid=1'] : []),
    password === undefined ? '\tkey_mgmt=NONE' : `\tpsk=${wifiKey(password, ssid)}`,
    '}',
    '',
  ].join('\n');
}
