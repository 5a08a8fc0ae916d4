// Format `systemd`: firstrun.sh, a script that the kernel's command line names, run once before the system is up.
//
// Facts from rpi-imager, src/customization_generator.cpp and src/downloadthread.cpp (2026-08); systemd-run-generator(8);
// raspberrypi-sys-mods (imager_custom, imager_fixup); userconf-pi (userconf).
import { quote } from '../../lib/quote.ts';
import type { Node } from '../node.ts';
import { cmdlineEdit, REGDOM, regdomWord, textFile, type Edit, type ImageFacts } from './edits.ts';
import { FIRSTRUN } from './firstrun.ts';
import { wifiKeyfile, wiredKeyfile } from './network-manager.ts';
import { wpaSupplicant } from './userconf.ts';

export function systemdEdits(node: Node, facts: ImageFacts): Edit[] {
  const { wifi } = node.network;
  // Raspberry Pi's imager_fixup, in the initramfs, would cut the script short at the end: it does so for `/boot/firstrun.sh` where the
  // partition is at /boot/firmware. The right path at once it leaves alone.
  const words = [
    ...(wifi === undefined ? [] : [regdomWord(wifi.country)]),
    `systemd.run=${facts.bootPath}/firstrun.sh`,
    'systemd.run_success_action=reboot',
    'systemd.unit=kernel-command-line.target',
  ];
  const gone = /^systemd\.(run|run_success_action|unit)=/;
  return [
    textFile('firstrun.sh', script(node, facts)),
    ...cmdlineEdit(facts, wifi === undefined ? gone : new RegExp(`${gone.source}|${REGDOM.source}`), words),
  ];
}

function script(node: Node, facts: ImageFacts): string {
  const steps = stepsOf(node, facts).map((words) => `step ${quote(words)}`);
  return [FIRSTRUN.replace('$BOOT', facts.bootPath), ...steps, 'finish', ''].join('\n');
}

function stepsOf(node: Node, { network: manager, hostKeys, firstIsRoles }: ImageFacts): string[][] {
  const { users, network, locale, timezone } = node;
  const { wifi } = network;
  const wired = wiredKeyfile(network);
  return [
    ['set_hostname', node.node],
    ...users.flatMap(({ name, keys, groups, sudo, passwordHash = '*' }, index) => [
      // `*` is no hash: no password opens it, and sshd does not take the account for a locked one.
      [index === 0 && !firstIsRoles ? 'first_user' : 'further_user', name, passwordHash],
      ...(groups.length > 0 ? [['join_groups', name, ...groups]] : []),
      ['set_sudo', name, (sudo ?? index === 0) ? 'yes' : 'no'],
      ...(keys.length > 0 ? [['set_keys', name, ...keys]] : []),
    ]),
    ...hostKeys.map(({ type, privateKey, publicKey }) => ['set_host_key', type, privateKey, publicKey]),
    ...(hostKeys.length > 0 ? [['keep_host_keys']] : []),
    ['enable_ssh', users.some(({ keys }) => keys.length > 0) ? 'yes' : 'no'],
    ...(wired === undefined ? [] : [['set_connection', 'piimg-wired', wired]]),
    ...(wifi === undefined
      ? []
      : [
          manager === 'NetworkManager'
            ? ['set_connection', 'piimg-wifi', wifiKeyfile(wifi)]
            : ['set_wpa_supplicant', wpaSupplicant(wifi)],
          ['allow_wifi'],
        ]),
    ...(timezone === undefined ? [] : [['set_timezone', timezone]]),
    ...(locale === undefined ? [] : [['set_locale', locale]]),
  ];
}
