// The overlays and parameters config.txt asks for: found or not, and never applied here.
import { lastOf, placeOf, type Config } from './config-txt.ts';
import type { BootPartition } from './partition.ts';

/** Names that overlay_map.dtb still takes ("The overlay map"). */
const RENAMED: Record<string, string> = { 'pi3-disable-bt': 'disable-bt', 'pi3-miniuart-bt': 'miniuart-bt' };

/**
 * Overlays that the firmware would apply, by name, and a warning for each setting: the device tree goes to the kernel as it is on
 * the card. The firmware passes over what is missing ("Debugging"); an empty `dtoverlay=` only ends an overlay's parameters.
 */
export async function findOverlays(partition: BootPartition, config: Config, osPrefix: string): Promise<string[]> {
  const overlays: string[] = [];
  const folder = lastOf(config, 'overlay_prefix')?.value ?? 'overlays/';
  // Without a README there, overlays are shared with the main system ("os_prefix").
  const prefix = (await partition.find(`${osPrefix}${folder}README`)) === undefined ? folder : osPrefix + folder;
  for (const setting of config.settings) {
    const { name, value } = setting;
    const says = `${placeOf(setting)}: ${name}=${value}`;
    if (/^(dtoverlay|device_tree_overlay)$/.test(name) && value !== '' && value !== 'none') {
      const named = value.split(',')[0] ?? '';
      const overlay = RENAMED[named] ?? named;
      const file = `${prefix}${overlay}.dtbo`;
      if ((await partition.find(file)) === undefined) {
        config.warnings.push(`${says} does nothing on a Raspberry Pi either: there is no ${file}.`);
      } else {
        overlays.push(overlay);
        config.warnings.push(`${says} is not applied: the kernel gets the device tree as it is on the card.`);
      }
    } else if (/^(dtparam|device_tree_param)$/.test(name) && value !== '') {
      config.warnings.push(`${says} is not applied: the kernel gets the device tree as it is on the card.`);
    }
  }
  return overlays;
}
