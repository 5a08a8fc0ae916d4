// Conditional filters of config.txt: which lines are for this board.
import type { Board } from './boards.ts';

/** The filters in force, by type: those of one type replace each other, and all types together must hold. */
export type Filters = Map<string, boolean>;

interface FilterType {
  name: string;
  pattern: RegExp;
  holds(board: Board, parts: string[]): boolean;
}

/** Official documentation, "Model filters". */
const MODEL = /^(pi(0|0w|02|1|2|3|3\+|4|400|5|500)|cm(0|1|3|3\+|4|4s|5))$/;

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

/**
 * Boot variables of the expression filter ("The expression filter") that are known of a machine just switched on:
 * `boot_partition`, from which config.txt is read, is the card's first (raspberrypi/documentation#4100); `partition`, which a
 * reboot may ask for, is none (#4037). The others are in registers, EEPROM and OTP of a board.
 */
const VARIABLES = new Map([
  ['boot_partition', 1],
  ['partition', 0],
]);

/** raspberrypi/rpi-eeprom#662: `[A=1]`, `[A<1]`, `[A>1]`, `[A&1]`, which must not be 0, and `[A&1=1]`. */
const EXPRESSION = /^(\w+)(?:&(\w+))?(?:([=<>])(\w+))?$/;

/** Takes the filter between the brackets into account; returns what is to be said of it. */
export function applyFilter(filters: Filters, filter: string, board: Board): string | undefined {
  const text = filter.trim().toLowerCase();
  if (text === 'all') {
    filters.clear();
    return undefined;
  }
  for (const type of TYPES) {
    const found = type.pattern.exec(text);
    if (found === null) continue;
    filters.set(type.name, type.holds(board, found.slice(1)));
    return undefined;
  }
  // The firmware goes on as if it had not read it (raspberrypi/firmware#1839, on [pi5] before it was known).
  if (!/[&=<>]/.test(text)) return `the filter [${filter}] is unknown, so that it filters nothing.`;
  const holds = evaluate(text);
  filters.set('expression', holds === true);
  if (holds === undefined) return `what follows [${filter}] is left out: here nobody knows whether that holds.`;
  return holds
    ? undefined
    : `[${filter}] does not hold here; firmware of before March 2025 does not know it, and takes what follows.`;
}

/** `undefined`: not known here, or no expression. */
function evaluate(text: string): boolean | undefined {
  const [, variable = '', mask, operator, constant] = EXPRESSION.exec(text) ?? [];
  const known = VARIABLES.get(variable);
  const [bits, value] = [Number(mask ?? -1), Number(constant ?? 0)];
  if (known === undefined || Number.isNaN(bits) || Number.isNaN(value)) return undefined;
  const seen = known & bits;
  if (operator === '<') return seen < value;
  if (operator === '>') return seen > value;
  return (seen === value) === (operator === '=');
}

/** Whether lines below these filters count. */
export const apply = (filters: Filters): boolean => [...filters.values()].every(Boolean);

const monitors = ({ edid = [] }: Board): string[] => edid.map((name) => name.toLowerCase());

/** Left open, a GPIO follows its pull at reset: up for 0 to 8, down for the others (BCM2835 ARM Peripherals, 6.2). */
const levelOf = ({ gpio = {} }: Board, pin: number): number => gpio[pin] ?? (pin <= 8 ? 1 : 0);
