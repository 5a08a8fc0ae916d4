// The overlays and parameters config.txt asks for: found or not, and never applied here.
import { lastOf, placeOf, type Config } from './config-txt.ts';
import type { BootPartition } from './partition.ts';

/** Where the firmware looks up an overlay's name first ("The overlay map"). */
const MAP = 'overlay_map.dtb';

/** What it says was renamed: overlay_map.dts in arch/arm/boot/dts/overlays of raspberrypi/linux. */
const RENAMED = new Map([
  ['pi3-act-led', 'act-led'],
  ['pi3-disable-bt', 'disable-bt'],
  ['pi3-disable-wifi', 'disable-wifi'],
  ['pi3-miniuart-bt', 'miniuart-bt'],
  ['spi0-cs', 'spi0-2cs'],
]);

const NOT_APPLIED = 'is not applied here: the kernel gets a device tree without overlays and parameters.';

/**
 * Overlays that the firmware would apply, by name, and a warning for each setting, as the kernel gets its device tree without them.
 * The firmware passes over what is missing ("Debugging"); an empty `dtoverlay=` only ends an overlay's parameters.
 */
export async function findOverlays(partition: BootPartition, config: Config, osPrefix: string): Promise<string[]> {
  const overlays: string[] = [];
  const folder = lastOf(config, 'overlay_prefix')?.value ?? 'overlays/';
  // Without a README there, overlays are shared with the main system ("os_prefix").
  const prefix = (await partition.find(`${osPrefix}${folder}README`)) === undefined ? folder : osPrefix + folder;
  const mapped = (await partition.find(prefix + MAP)) !== undefined;
  for (const setting of config.settings) {
    const { name, value } = setting;
    const says = `${placeOf(setting)}: ${name}=${value}`;
    if (/^(dtoverlay|device_tree_overlay)$/.test(name) && value !== '' && value !== 'none') {
      const named = value.split(',')[0] ?? '';
      const overlay = (mapped ? RENAMED.get(named) : undefined) ?? named;
      const file = `${prefix}${overlay}.dtbo`;
      if ((await partition.find(file)) !== undefined) {
        overlays.push(overlay);
        config.warnings.push(`${says} ${NOT_APPLIED}`);
      } else {
        const unless = mapped ? `, unless ${prefix}${MAP} knows another for it` : '';
        config.warnings.push(`${says} does nothing on a Raspberry Pi either: there is no ${file}${unless}.`);
      }
    } else if (/^(dtparam|device_tree_param)$/.test(name) && value !== '') {
      config.warnings.push(`${says} ${NOT_APPLIED}`);
    }
  }
  return overlays;
}
