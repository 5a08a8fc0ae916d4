// config.txt: the settings that count for a board, each with the line it comes from.
import type { Board } from './boards.ts';
import { apply, applyFilter, type Filters } from './filters.ts';
import { readBootFile, type BootPartition } from './partition.ts';

export interface Setting {
  name: string;
  /** Of `initramfs FILE ADDRESS` the file alone. */
  value: string;
  file: string;
  line: number;
}

export interface Config {
  settings: Setting[];
  /** What the card asks for in vain, on a Raspberry Pi or here; all that reads these settings adds to it. */
  warnings: string[];
}

/** What stands behind these characters of a line does not count (official documentation, "File format"). */
const LINE_LENGTH = 98;

/** What config.txt, which may be missing, and the files it includes say to `board`. */
export async function readConfig(partition: BootPartition, board: Board): Promise<Config> {
  const config: Config = { settings: [], warnings: [] };
  await readInto(config, ['config.txt'], new Map(), partition, board);
  return config;
}

/** The setting that counts, which is the last of all with these names; one without a value is as good as none. */
export function lastOf({ settings }: Config, ...names: string[]): Setting | undefined {
  const last = settings.findLast(({ name }) => names.includes(name));
  return last?.value === '' ? undefined : last;
}

/** A number as the firmware reads it: what follows the digits does not count (raspberrypi/firmware#1669). */
export function numberOf(setting: Setting | undefined): number | undefined {
  return setting === undefined ? undefined : Number.parseInt(setting.value) || 0;
}

/** Whether a switch is on; `undefined` where config.txt leaves it to the board. */
export function isOn(config: Config, name: string): boolean | undefined {
  const value = numberOf(lastOf(config, name));
  return value === undefined ? undefined : value !== 0;
}

export const placeOf = ({ file, line }: Pick<Setting, 'file' | 'line'>): string => `${file} line ${line}`;

/** Reads the last of `files`, each of which includes the next one. */
async function readInto(
  config: Config,
  files: string[],
  filters: Filters,
  partition: BootPartition,
  board: Board,
): Promise<void> {
  const file = files.at(-1) ?? '';
  const content = await partition.find(file);
  if (content === undefined) return;
  const lines = (await readBootFile(content)).toString().split('\n');
  for (const [index, raw] of lines.entries()) {
    const text = raw.slice(0, LINE_LENGTH).trim();
    if (text === '' || text.startsWith('#')) continue;
    const line = index + 1;
    const warn = (what: string): number => config.warnings.push(`${placeOf({ file, line })}: ${what}`);
    const filter = /^\[(.*)\]$/.exec(text)?.[1];
    if (filter !== undefined) {
      const remark = applyFilter(filters, filter, board);
      if (remark !== undefined) warn(remark);
      continue;
    }
    if (!apply(filters)) continue;
    if (raw.trimEnd().length > LINE_LENGTH) warn(`what follows the ${LINE_LENGTH}th character is ignored.`);
    const included = /^include\s+\/?(\S+)/.exec(text)?.[1];
    if (included === undefined) {
      const settings = settingsOf(text);
      if (typeof settings === 'string') warn(settings);
      else config.settings.push(...settings.map((setting) => ({ ...setting, file, line })));
    } else if (files.includes(included)) {
      warn(`${included} is not read: it includes itself.`);
    } else if ((await partition.find(included)) === undefined) {
      warn(`there is no ${included} to include.`);
    } else {
      await readInto(config, [...files, included], filters, partition, board);
    }
  }
}

/** What a line sets, or why it sets nothing. */
function settingsOf(text: string): Pick<Setting, 'name' | 'value'>[] | string {
  const [, initramfs, address] = /^initramfs\s+([^\s=]\S*)(?:\s+(\S+))?/.exec(text) ?? [];
  if (initramfs !== undefined) {
    const settings = [{ name: 'initramfs', value: initramfs }];
    return address === undefined ? settings : [...settings, { name: 'ramfsaddr', value: address }];
  }
  const [, name, value] = /^([^\s=]+)\s*=\s*(.*)$/.exec(text) ?? [];
  if (name === 'initramfs') return 'ignored: initramfs takes no equals sign, but `initramfs FILE followkernel`.';
  if (name === undefined || value === undefined) return `ignored: ${text} is no \`property=value\`.`;
  return [{ name, value }];
}
