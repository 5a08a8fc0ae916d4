// The Raspberry Pis that a card can be read for: what of each the firmware's choices depend on.
import { EXIT, PiimgError } from '../../lib/errors.ts';
import { nearest } from '../../lib/suggest.ts';

export interface Board {
  model: string;
  /** Model filters of config.txt that hold. */
  filters: string[];
  /** Of [board-type=…]: bits 4 to 11 of the revision code. */
  type: number;
  /** Of [0x…]: the last eight hex digits. */
  serial?: number;
  /** Levels of GPIOs that something is connected to. */
  gpio?: Record<number, 0 | 1>;
  /** Names of the connected monitors. */
  edid?: string[];
  /** `default`: unless arm_64bit=0; `on request`: with arm_64bit=1, kernel=kernel8.img, or no 32-bit kernel on the card. */
  arm64: 'always' | 'default' | 'on request';
  /** Kernels it looks for when config.txt names none, the preferred first. */
  kernels: string[];
  /** The device tree's file in the kernel of Raspberry Pi and in Linux. */
  deviceTree: { downstream: string; upstream: string };
  /** Files of the firmware itself that must be on the card; a Pi 5 has them all in its EEPROM. */
  bootcode?: string;
  start?: { normal: string; x: string; debug: string; cut: string };
  /** What `serial0`, on the pins, and `serial1` become. */
  serials: [primary: string, secondary: string];
  /** config.txt is what marks a partition as bootable. */
  needsConfig?: true;
}

const PI3 = {
  arm64: 'on request',
  kernels: ['kernel7.img', 'kernel8.img'],
  bootcode: 'bootcode.bin',
  start: { normal: 'start.elf', x: 'start_x.elf', debug: 'start_db.elf', cut: 'start_cd.elf' },
  // The PL011, ttyAMA0, is on the Bluetooth modem.
  serials: ['ttyS0', 'ttyAMA0'],
} satisfies Partial<Board>;

/**
 * From the official documentation: filters "Model filters", type "Raspberry Pi revision codes", arm64 and kernels "Boot options"
 * (a lone kernel8.img on a Pi 3: raspberrypi/firmware#1193), firmware "Boot folder contents", serials "Configure UARTs".
 */
export const BOARDS: Record<string, Board> = {
  pi3b: {
    ...PI3,
    model: 'Raspberry Pi 3B',
    filters: ['pi3'],
    type: 0x08,
    deviceTree: { downstream: 'bcm2710-rpi-3-b.dtb', upstream: 'bcm2837-rpi-3-b.dtb' },
  },
  'pi3b-plus': {
    ...PI3,
    model: 'Raspberry Pi 3B+',
    filters: ['pi3', 'pi3+'],
    type: 0x0d,
    deviceTree: { downstream: 'bcm2710-rpi-3-b-plus.dtb', upstream: 'bcm2837-rpi-3-b-plus.dtb' },
  },
  pi4b: {
    model: 'Raspberry Pi 4B',
    filters: ['pi4'],
    type: 0x11,
    arm64: 'default',
    kernels: ['kernel8.img', 'kernel7l.img'],
    deviceTree: { downstream: 'bcm2711-rpi-4-b.dtb', upstream: 'bcm2711-rpi-4-b.dtb' },
    start: { normal: 'start4.elf', x: 'start4x.elf', debug: 'start4db.elf', cut: 'start4cd.elf' },
    serials: ['ttyS0', 'ttyAMA0'],
  },
  pi5b: {
    model: 'Raspberry Pi 5',
    filters: ['pi5'],
    type: 0x17,
    arm64: 'always',
    kernels: ['kernel_2712.img', 'kernel8.img'],
    deviceTree: { downstream: 'bcm2712-rpi-5-b.dtb', upstream: 'bcm2712-rpi-5-b.dtb' },
    serials: ['ttyAMA10', 'ttyAMA0'],
    needsConfig: true,
  },
};

/** The board that a machine definition names. Throws PiimgError (usage) when there is none of that name. */
export function boardNamed(name: string): Board {
  const board = BOARDS[name];
  if (board !== undefined) return board;
  const names = Object.keys(BOARDS);
  const close = nearest(name, names);
  throw new PiimgError(`There is no board ${name}.`, {
    exitCode: EXIT.usage,
    hint: close === undefined ? `Boards are ${names.join(', ')}.` : `Did you mean ${close}?`,
  });
}
