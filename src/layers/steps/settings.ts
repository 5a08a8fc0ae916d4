// Carries out what a role says of units, time zone, locale and keyboard.
import { clock, rootOf, type StepContext } from './context.ts';

/** systemctl (native: it only makes links) and the files of localtime, locale and keyboard. */
export async function applySettings(
  spec: {
    units: { enable: string[]; disable: string[]; mask: string[] };
    timezone: string;
    locale: string;
    keymap: string;
  },
  context: StepContext,
): Promise<string[]> {
  const words = (items: string[]): string => items.map((item) => `'${item}'`).join(' ');
  const { enable, disable, mask } = spec.units;
  // `de-nodeadkeys`: layout and variant of xkeyboard-config(7).
  const [layout = '', variant] = spec.keymap.split(/-(.*)/s);
  const script = [
    ...(disable.length > 0 ? [`systemctl --quiet disable ${words(disable)}`] : []),
    ...(enable.length > 0 ? [`systemctl --quiet enable ${words(enable)}`] : []),
    ...(mask.length > 0 ? [`systemctl --quiet mask ${words(mask)}`] : []),
    `zone='${spec.timezone}'; [ -e "/usr/share/zoneinfo/$zone" ] || [ "$zone" = UTC ] || { echo "unknown time zone: $zone (is tzdata installed?)" >&2; exit 1; }`,
    'ln -sf "/usr/share/zoneinfo/$zone" /etc/localtime; echo "$zone" >/etc/timezone',
    `printf 'LANG=%s\\n' '${spec.locale}' >/etc/locale.conf; mkdir -p /etc/default; ln -sf ../locale.conf /etc/default/locale`,
    // C.UTF-8 is part of libc; others are compiled by the package locales.
    // locale.gen is what they are compiled from again when that package is updated.
    ...(spec.locale.startsWith('C.')
      ? []
      : [
          `localedef -i '${definition(spec.locale)}' -f UTF-8 '${spec.locale}'; printf '%s UTF-8\\n' '${spec.locale}' >>/etc/locale.gen`,
        ]),
    `printf 'XKBMODEL="pc105"\\nXKBLAYOUT="%s"\\n' '${layout}' >/etc/default/keyboard`,
    ...(variant === undefined ? [] : [`printf 'XKBVARIANT="%s"\\n' '${variant}' >>/etc/default/keyboard`]),
    // The package keyboard-configuration makes a link to the file above of it.
    `[ -L /etc/vconsole.conf ] || printf 'KEYMAP=%s\\n' '${spec.keymap}' >/etc/vconsole.conf`,
    // What the console is set up with at boot is compiled ahead of it.
    `if command -v setupcon >/dev/null; then
      grep -qs 'xkb_symbols "${variant === undefined ? '' : `${variant}"`}' "/usr/share/X11/xkb/symbols/${layout}" || { echo "unknown keyboard layout: ${spec.keymap}" >&2; exit 1; }
      setupcon --save-only
    fi`,
  ].join('\n');
  await context.sandbox.inRoot(rootOf(context, 'native'), {
    argv: ['sh', '-euc', script],
    env: { ...clock(context), SYSTEMD_OFFLINE: '1' },
    signal: context.signal,
  });
  return [];
}

/** Name of a locale's source in /usr/share/i18n/locales: `de_DE@euro` of `de_DE.UTF-8@euro`. */
function definition(locale: string): string {
  return locale.replace(/\.UTF-8/, '');
}
