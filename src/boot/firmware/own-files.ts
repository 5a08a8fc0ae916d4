// The firmware's own files on the card; a Pi 5 has them in its EEPROM.
import type { Board } from './boards.ts';
import { isOn, lastOf, numberOf, placeOf, type Config } from './config-txt.ts';
import { demand } from './files.ts';
import type { BootPartition } from './partition.ts';
import { wouldNotBoot } from './would-not-boot.ts';

/** `start_x.elf` → `fixup_x.dat`: they are matched pairs ("start_file, fixup_file"). */
const fixupOf = (start: string): string => start.replace(/^start/i, 'fixup').replace(/\.elf$/i, '.dat');

/**
 * Throws the finding that the card would not boot (`reasonOf`) when a file is missing without which nothing starts. They are looked
 * up before anything is included, so that only config.txt itself counts.
 */
export async function demandOwnFiles(partition: BootPartition, config: Config, board: Board): Promise<void> {
  const { bootcode, start, model } = board;
  if (start === undefined) return;
  const what = `firmware of a ${model}`;
  if (bootcode !== undefined) await demand(partition, '', { names: [bootcode], what });
  const own = { ...config, settings: config.settings.filter(({ file }) => file === 'config.txt') };
  const kind = kindOf(own);
  const [startFile, fixupFile] = [lastOf(own, 'start_file'), lastOf(own, 'fixup_file')];
  if (startFile === undefined) {
    await demand(partition, '', { names: [start[kind]], what });
  } else {
    const { value: name } = startFile;
    await demand(partition, '', { names: [name], what: `the firmware that ${placeOf(startFile)} names` });
    if (kind !== 'cut' && name.toLowerCase() === start.cut) {
      throw wouldNotBoot(
        `${placeOf(startFile)} names ${name}, with which a Raspberry Pi starts by gpu_mem=16 alone.`,
        'Write gpu_mem=16 in the place of start_file and fixup_file.',
      );
    }
  }
  const fixup = fixupFile?.value ?? fixupOf(start[kind]);
  const little = 'with a start file alone, a Raspberry Pi starts with little of its memory, or not at all';
  if ((await partition.find(fixup)) === undefined) {
    const by = fixupFile === undefined ? '' : `, which ${placeOf(fixupFile)} names`;
    config.warnings.push(`there is no ${fixup} on the boot partition${by}: ${little}.`);
  } else if (startFile !== undefined && fixupFile === undefined && fixupOf(startFile.value.toLowerCase()) !== fixup) {
    config.warnings.push(
      `${placeOf(startFile)}: start_file=${startFile.value} needs a fixup_file of its own: ${little}.`,
    );
  }
}

/**
 * Less than 32 MB for the GPU is for the cut-down one alone (raspberrypi/linux#503, raspberrypi/firmware#984); gpu_mem_1024 is for
 * boards with 1 GB or more, which all are here, and overrides gpu_mem.
 */
function kindOf(config: Config): keyof NonNullable<Board['start']> {
  if (isOn(config, 'start_x')) return 'x';
  if (isOn(config, 'start_debug')) return 'debug';
  const memory = numberOf(lastOf(config, 'gpu_mem_1024') ?? lastOf(config, 'gpu_mem'));
  return memory !== undefined && memory > 0 && memory < 32 ? 'cut' : 'normal';
}
