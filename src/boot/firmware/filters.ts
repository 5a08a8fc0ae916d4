// Conditional filters of config.txt: which lines are for this board.
import type { Board } from './boards.ts';

/** The filters in force, by type: those of one type replace each other, and all types together must hold. */
export type Filters = Map<string, boolean>;

interface FilterType {
  name: string;
  pattern: RegExp;
  holds(board: Board, parts: string[]): boolean;
}

/** Official documentation, "Conditional filters"; cm0 and pi500 from raspberrypi/utils, dtapply. */
const MODEL = /^(pi0|pi0w|pi02|pi1|pi2|pi3|pi3\+|pi4|pi400|pi5|pi500|cm0|cm4|cm4s|cm5)$/;

const TYPES: FilterType[] = [
  // Nothing but [all] ends it, for it is no model.
  { name: 'none', pattern: /^none$/, holds: () => false },
  { name: 'model', pattern: MODEL, holds: (board, [model = '']) => board.filters.includes(model) },
  { name: 'model', pattern: /^board-type=(\w+)$/, holds: (board, [type]) => Number(type) === board.type },
  { name: 'serial', pattern: /^(0x[0-9a-f]+)$/, holds: (board, [serial]) => Number(serial) === board.serial },
  {
    name: 'gpio',
    pattern: /^gpio(\d+)=([01])$/,
    holds: (board, [pin, level]) => levelOf(board, Number(pin)) === Number(level),
  },
  { name: 'edid', pattern: /^edid=(.+)$/, holds: (board, [name]) => monitors(board).includes(name ?? '') },
  // The flag of `reboot "0 tryboot"`, which does not outlast a power-on.
  { name: 'tryboot', pattern: /^tryboot$/, holds: () => false },
  // Says which HDMI port the settings of displays are for.
  { name: 'hdmi', pattern: /^hdmi:[01]$/, holds: () => true },
];

/** Takes the filter between the brackets into account; false when the firmware does not know it. */
export function applyFilter(filters: Filters, filter: string, board: Board): boolean {
  const text = filter.trim().toLowerCase();
  if (text === 'all') {
    filters.clear();
    return true;
  }
  for (const type of TYPES) {
    const found = type.pattern.exec(text);
    if (found === null) continue;
    filters.set(type.name, type.holds(board, found.slice(1)));
    return true;
  }
  // The firmware goes on as if it had not read it (raspberrypi/firmware#1839, on [pi5] before it was known).
  return false;
}

/** Whether lines below these filters count. */
export const apply = (filters: Filters): boolean => [...filters.values()].every(Boolean);

const monitors = ({ edid = [] }: Board): string[] => edid.map((name) => name.toLowerCase());

/** Left open, a GPIO follows its pull at reset: up for 0 to 8, down for the others (BCM2835 ARM Peripherals, 6.2). */
const levelOf = ({ gpio = {} }: Board, pin: number): number => gpio[pin] ?? (pin <= 8 ? 1 : 0);
