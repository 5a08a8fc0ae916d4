// Questions to the person at the terminal: asked on stderr, as stdout is for results.
import { createInterface } from 'node:readline/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Judgement } from '../../flash/judge.ts';
import { EXIT, PiimgError } from '../../lib/errors.ts';
import { formatDrives } from '../../ui/drives.ts';
import { styleFor, type Style } from '../../ui/style.ts';
import { tell } from '../commands/output.ts';

/** Whether there is somebody. */
export const somebodyIsThere = (): boolean => process.stdin.isTTY && process.stderr.isTTY;

/** What was typed, without blanks around it; '' at the end of input. Throws PiimgError when `signal` aborts. */
export async function ask(question: string, signal: AbortSignal): Promise<string> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  // readline takes Ctrl-C for itself while it reads.
  terminal.once('SIGINT', () => process.kill(process.pid, 'SIGINT'));
  try {
    const ended = new Promise<string>((resolve) => terminal.once('close', () => resolve('')));
    return (await Promise.race([terminal.question(question, { signal }), ended])).trim();
  } catch (error) {
    if (!signal.aborted) throw error;
    throw new PiimgError('Interrupted', { exitCode: EXIT.interrupted });
  } finally {
    terminal.close();
  }
}

/** Milliseconds between two looks at the disks. */
const PAUSE = 1000;

/** Shows the cards and has one chosen by its name; the list is drawn again when a card is put in or taken out. */
export async function chooseCard(list: () => Promise<Judgement[]>, signal: AbortSignal): Promise<string> {
  for (;;) {
    const all = await list();
    const cards = all.filter(({ verdict }) => verdict === 'card');
    const style = styleFor(process.stderr);
    if (cards.length === 0) tell(`${nothingToChoose(all, style)} Put one in, or press Ctrl-C.`);
    else tell(`${formatDrives(cards, style).replaceAll(/^/gm, () => '  ')}\n`);
    const changed = new AbortController();
    const stop = AbortSignal.any([signal, changed.signal]);
    const over = new AbortController();
    // A look that fails is made again for the next list, where it is told.
    void watch(list, JSON.stringify(all), AbortSignal.any([stop, over.signal])).then(
      (moved) => moved && changed.abort(),
      () => changed.abort(),
    );
    const names = cards.map(({ device }) => device.path);
    const typed = await ask(cards.length === 0 ? '' : `Which one? [${names.join(', ')}] `, stop)
      .catch((error: unknown) => {
        if (changed.signal.aborted && !signal.aborted) return undefined;
        throw error;
      })
      .finally(() => over.abort());
    if (typed === undefined) {
      tell('');
      continue;
    }
    const chosen = names.find((name) => name === typed || name.replace('/dev/', '') === typed);
    if (chosen !== undefined) return chosen;
    if (typed === '' && names.length === 1 && process.stdin.readable) tell('Type its name.');
    if (!process.stdin.readable) throw new PiimgError('No card was chosen', { exitCode: EXIT.usage });
  }
}

/** A card with its lock on, or one that is in use, is there all the same: why it cannot be taken helps more than that there is none. */
function nothingToChoose(all: Judgement[], style: Style): string {
  const others = all.filter(({ device }) => device.size > 0 && ['usb', 'sd'].includes(device.bus));
  if (others.length === 0) return 'No card is in a reader of this computer.';
  return `${formatDrives(others, style).replaceAll(/^/gm, () => '  ')}\nNone of these can be chosen: none is a card, free to be written.`;
}

/** True as soon as the disks are others than `before`; false when `signal` aborts. */
async function watch(list: () => Promise<Judgement[]>, before: string, signal: AbortSignal): Promise<boolean> {
  while (!signal.aborted) {
    await sleep(PAUSE, undefined, { signal }).catch(() => {});
    if (!signal.aborted && JSON.stringify(await list()) !== before) return true;
  }
  return false;
}
