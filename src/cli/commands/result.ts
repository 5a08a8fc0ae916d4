// `piimg result`: how the first boot of a card went, read from its boot partition, in a laptop for example.
import { EXIT, PiimgError } from '../../lib/errors.ts';
import { describeResult, type Result } from '../../lib/first-boot.ts';
import { plainText } from '../../lib/plain-text.ts';
import { withOpener } from '../flashing/opener.ts';
import { readBootFile, RESULT_FILE, withCard } from '../seed-card.ts';
import { print, printJson } from './output.ts';

/** Prints it; exit code 1 when the machine is not its role. Throws PiimgError where there is no result, saying why that may be. */
export async function result(card: string, { json = false }: { json?: boolean }, signal: AbortSignal): Promise<void> {
  const text = await withOpener([card], { signal }, (opener) =>
    withCard(card, { opener }, (opened) => readBootFile(opened, RESULT_FILE)),
  );
  const found = parsed(text, card);
  if (json) printJson(found);
  else print(plainText(describeResult(found)));
  if (found.status !== 'applied') process.exitCode = EXIT.failed;
}

function parsed(text: string | undefined, card: string): Result {
  if (text?.trim() === '') {
    throw new PiimgError(`${card} has no result yet: its first boot did not get that far, or it was not switched on.`, {
      hint: 'What the machine says is on its screen, or on its serial port.',
    });
  }
  try {
    return JSON.parse(text ?? '') as Result;
  } catch {
    const what =
      text === undefined ? `has no ${RESULT_FILE}` : `has a ${RESULT_FILE} that was cut while it was written`;
    throw new PiimgError(`${card} ${what}.`, {
      hint: 'Switch the machine on: it goes on where it was, and writes it once more.',
    });
  }
}
