// Carries out what a role says of units, time zone, locale and keyboard.
import { quote } from '../../lib/quote.ts';
import type { LayerSpec } from '../../plan/plan.ts';
import type { StepContext } from './context.ts';
import { runOrLack } from './lacking.ts';

/**
 * Enables, disables and masks units, by systemctl. Throws PiimgError when no package of the image has one, or a program that a unit of
 * piimg's own starts, or with what systemctl says.
 */
export async function applyUnits(
  { units, programs = [], presets }: Extract<LayerSpec, { kind: 'units' }>,
  context: StepContext,
): Promise<string[]> {
  const changes = (['disable', 'enable', 'mask'] as const)
    .filter((verb) => units[verb].length > 0)
    .map((verb) => `change ${verb} ${units[verb].map((unit) => `'${unit}'`).join(' ')}`);
  const needed = programs.map((program) => `[ -x ${program} ] || lacks program ${program}`);
  const onTop = presets === undefined ? [] : await unitsOnTop(context);
  const keep = onTop.length === 0 ? [] : [KEEP_OFF, `keep_off ${quote([`/${presets}`, ...onTop])}`];
  return runOrLack([...needed, CHANGE_UNITS, ...changes, ...keep], context);
}

/** Units that came with layers above the image. */
async function unitsOnTop({ below }: StepContext): Promise<string[]> {
  const [, ...onTop] = await Promise.all(below.map(({ entries }) => entries));
  const names = onTop.flat().flatMap(({ path, type }) => {
    const unit = /^usr\/lib\/systemd\/system\/([^/@]+\.(?:service|socket|timer|path|mount|target))$/.exec(path)?.[1];
    return unit !== undefined && (type === 'file' || type === 'hardlink') ? [unit] : [];
  });
  return [...new Set(names)].sort();
}

/**
 * The first boot enables all that no preset forbids (systemd.preset(5)). Without a systemctl nothing is enabled by it either. Its list has
 * columns.
 */
const KEEP_OFF = `
keep_off() {
  [ -x /usr/bin/systemctl ] || return 0
  off=$(systemctl --no-legend --no-pager --plain list-unit-files --state=disabled | sed 's/ .*//')
  presets=$1; shift
  mkdir -p "\${presets%/*}"
  for unit; do
    for one in $off; do [ "$one" != "$unit" ] || echo "disable $unit"; done
  done >"$presets"
}`;

/** systemctl names no unit that it lacks when it runs offline. */
const CHANGE_UNITS = `
change() {
  systemctl --quiet "$@" && return
  shift; cd /; for unit; do
    for name in "$unit" "\${unit%%@*}@.\${unit##*.}"; do
      for file in etc/systemd/system/$name usr/lib/systemd/system/$name usr/local/lib/systemd/system/$name etc/init.d/\${name%.service}; do
        ! [ -e $file ] && ! [ -L $file ] || continue 3
      done
    done
    lacks unit "$unit" $(ls etc/systemd/system usr/lib/systemd/system)
  done
  exit 1
}`;

/**
 * localedef and setupcon (native both) and the files of localtime, locale and keyboard. Throws PiimgError when no package of the image
 * has the time zone, locale or keyboard layout.
 */
export async function applySettings(
  { timezone, locale, keymap }: Extract<LayerSpec, { kind: 'settings' }>,
  context: StepContext,
): Promise<string[]> {
  return runOrLack([setTimezone(timezone), setLocale(locale), setKeymap(keymap)], context);
}

/** Old names, like US/Pacific, are in tzdata-legacy; without it, tzdata still knows what they are links to (zic(8)). */
const setTimezone = (timezone: string): string => `
zones=/usr/share/zoneinfo zone='${timezone}'
[ -f $zones/$zone ] || zone=$(awk -v old=$zone '$1 == "L" && $3 == old { print $2 }' $zones/tzdata.zi) || zone=
[ -f "$zones/$zone" ] || lacks 'time zone' '${timezone}'
ln -sf $zones/$zone /etc/localtime; echo $zone >/etc/timezone`;

/** C.UTF-8 is part of libc. Others are compiled from the package locales, and again, as locale.gen says, when that is updated. */
function setLocale(locale: string): string {
  // `de_DE@euro` is the source of `de_DE.UTF-8@euro`.
  const source = locale.replace('.UTF-8', '');
  const compile = `
sources=/usr/share/i18n/locales
[ -f $sources/${source} ] || lacks locale ${locale} $(ls $sources | sed 's/@\\|$/.UTF-8&/')
localedef -i ${source} -f UTF-8 ${locale}; echo '${locale} UTF-8' >>/etc/locale.gen`;
  return `${locale.startsWith('C.') ? '' : compile}
echo LANG=${locale} >/etc/locale.conf; mkdir -p /etc/default; ln -sf ../locale.conf /etc/default/locale`;
}

/**
 * `de-nodeadkeys`: layout and variant of xkeyboard-config(7). keyboard-configuration makes vconsole.conf a link to its own file. What
 * the console is set up with at boot is compiled ahead of it.
 */
function setKeymap(keymap: string): string {
  const [layout = '', variant] = keymap.split(/-(.*)/s);
  return `
printf 'XKBMODEL="pc105"\\nXKBLAYOUT="${layout}"\\n' >/etc/default/keyboard
${variant === undefined ? '' : `echo 'XKBVARIANT="${variant}"' >>/etc/default/keyboard`}
[ -L /etc/vconsole.conf ] || echo KEYMAP=${keymap} >/etc/vconsole.conf
if command -v setupcon >/dev/null; then
  layouts=/usr/share/X11/xkb/symbols
  grep -qs 'xkb_symbols "${variant === undefined ? '' : `${variant}"`}' $layouts/${layout} || lacks 'keyboard layout' ${keymap} \\
    $(ls $layouts; sed -n 's/.*xkb_symbols "\\([^"]*\\)".*/${layout}-\\1/p' $layouts/${layout} || :)
  setupcon --save-only
fi`;
}
