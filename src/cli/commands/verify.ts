// `piimg verify`: whether a card is still what was written to it.
import { stat } from 'node:fs/promises';
import { identifyDisk } from '../../host/open-disk.ts';
import { EXIT, PiimgError } from '../../lib/errors.ts';
import { formatCompared } from '../../ui/flash-summary.ts';
import type { ProgressKind } from '../../ui/progress.ts';
import { styleFor } from '../../ui/style.ts';
import { createContext } from '../context.ts';
import { compareCards } from '../flashing/flash.ts';
import { openImage } from '../flashing/image.ts';
import { notedPlaces, withWhy } from '../flashing/note.ts';
import { withOpener } from '../flashing/opener.ts';
import { print, printJson } from './output.ts';

/** Exit code 1 when it differs. Throws PiimgError (usage) when there is no such image or card. */
export async function verify(
  name: string,
  card: string,
  flags: { json?: boolean; progress: ProgressKind },
  signal: AbortSignal,
): Promise<void> {
  const context = createContext(signal, flags.progress);
  const image = await openImage(name, signal, { write: false });
  const info = await stat(card).catch(() => undefined);
  if (info === undefined || info.isDirectory()) {
    throw new PiimgError(`There is no card ${card}`, {
      exitCode: EXIT.usage,
      hint: 'Name its device, such as /dev/sdb, or a file.',
    });
  }
  const place = info.isFile() ? { file: card } : { disk: await identifyDisk(card) };
  const places = await notedPlaces(image);
  const [compared] = await withOpener([card], { signal }, (opener) =>
    compareCards(image, [{ name: card, ...place, patches: places, resumeFrom: 0 }], context.progress, opener),
  );
  signal.throwIfAborted();
  if (compared === undefined) throw new PiimgError(`${card} was not compared`);
  if (flags.json) printJson(compared);
  else
    print(
      formatCompared(
        { ...withWhy(compared, image, places), image: name, own: places.length > 0 },
        styleFor(process.stdout),
      ),
    );
  if (compared.problem !== undefined) process.exitCode = EXIT.failed;
}
