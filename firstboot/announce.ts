// How the machine tells people without a network: a line on every console, and the LED on the board.
import { constants } from 'node:fs';
import { open, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

/** Shows a line on every console the kernel writes to; one that is not there, or blocks, is passed over. */
export async function showOnConsoles(line: string, root: string): Promise<void> {
  const active = await readFile(path.join(root, 'sys/class/tty/console/active'), 'utf8').catch(() => '');
  for (const name of active.split(/\s+/).filter(Boolean)) {
    try {
      const { O_WRONLY, O_NOCTTY, O_NONBLOCK } = constants;
      const tty = await open(path.join(root, 'dev', name), O_WRONLY | O_NOCTTY | O_NONBLOCK);
      await tty.write(`\r\n${line}\r\n`).finally(() => tty.close());
    } catch {
      continue;
    }
  }
}

/** Names of the green LED, by Linux's device trees for the Pi, new and old. */
const LEDS = ['ACT', 'led0'];

/** Milliseconds on and off; the card's activity, as it always is, tells that all went well. */
const BLINKING = { working: 100, failed: 1000 };

export type Light = 'working' | 'failed' | 'applied';

/** Sets the LED: quick blinking, slow blinking, or the card's activity. Documentation/leds/leds-class.rst */
export async function light(state: Light, root: string): Promise<void> {
  for (const name of LEDS) {
    const led = path.join(root, 'sys/class/leds', name);
    const set = (file: string, value: string): Promise<void> => writeFile(path.join(led, file), value, { flag: 'r+' });
    try {
      if (state === 'applied') {
        await set('trigger', 'mmc0');
      } else {
        await set('trigger', 'timer');
        await set('delay_on', String(BLINKING[state]));
        await set('delay_off', String(BLINKING[state]));
      }
    } catch {
      continue;
    }
  }
}
