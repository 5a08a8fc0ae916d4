// What the firmware of a machine's board would start from a card, as files that QEMU loads.
import type { BootFiles } from '../command-line.ts';
import type { Machine } from '../machine.ts';
import { boardNamed } from './boards.ts';
import { extractBootFiles } from './extract.ts';
import type { BootPartition } from './partition.ts';
import { selectBootFiles } from './select.ts';
import { watched } from './watched.ts';

/**
 * Chooses them and writes them into `folder`, which must exist; the warnings tell what the card asks for in vain. Throws the finding that
 * the card would not boot (`reasonOf`).
 */
export async function startFiles(
  partition: BootPartition,
  { firmware, network, console }: Machine,
  folder: string,
): Promise<{ boot: BootFiles; warnings: string[] }> {
  const mac = network?.macs[0];
  const selection = await selectBootFiles(partition, boardNamed(firmware.board), mac);
  const own = firmware.deviceTree === 'card' ? watched(selection, console) : selection;
  const boot = await extractBootFiles(partition, own, folder, { ...firmware, mac });
  return { boot, warnings: own.warnings };
}
