// The last question before a card is overwritten: what it is, and its name typed.
import path from 'node:path';
import { EXIT, PiimgError } from '../../lib/errors.ts';
import { ask, somebodyIsThere } from './ask.ts';
import type { Target } from './targets.ts';

export interface Consent {
  /** --yes: what is surely a card needs no question. */
  yes: boolean;
  /** --confirm: names of devices. */
  confirm: string[];
}

/** `sdb` of `/dev/sdb`. */
const nameOf = ({ device }: Target): string => path.basename(device.path);

/** A USB disk that is no reader's medium may as well hold somebody's backups. */
const isSurelyCard = ({ verdict, device }: Target): boolean =>
  verdict === 'card' && !(device.bus === 'usb' && !device.removable);

/** Throws PiimgError (refused) unless every target is agreed to. What they are has been shown. */
export async function confirmTargets(targets: Target[], { yes, confirm }: Consent, signal: AbortSignal): Promise<void> {
  const open = targets.filter((target) => {
    const named = confirm.some((name) => name === nameOf(target) || name === target.device.path);
    return !named && !(yes && isSurelyCard(target));
  });
  if (open.length === 0) return;
  const names = open.map(nameOf);
  if (!somebodyIsThere()) {
    const fixed = open.filter((target) => !isSurelyCard(target)).map(nameOf);
    throw new PiimgError(
      `Nobody is there to agree that ${names.join(' and ')} ${names.length > 1 ? 'are' : 'is'} overwritten`,
      {
        exitCode: EXIT.refused,
        hint:
          fixed.length > 0
            ? `What may be a disk is agreed to by its name: ${fixed.map((name) => `--confirm ${name}`).join(' ')}`
            : 'Agree with --yes.',
      },
    );
  }
  const typed = await ask(
    `Everything on ${names.length > 1 ? 'them' : 'it'} will be lost. Type ${names.join(' ')} to go on: `,
    signal,
  );
  if (typed.split(/[\s,]+/).join(' ') === names.join(' ')) return;
  throw new PiimgError('Not agreed: nothing was touched', { exitCode: EXIT.refused });
}
