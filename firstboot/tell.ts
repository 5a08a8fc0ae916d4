// Tells how the first boot went, wherever it can be told.
import { readFile } from 'node:fs/promises';
import { headline, type Result } from '../src/lib/first-boot.ts';
import { light, showOnConsoles } from './announce.ts';
import { blankSecrets, rememberSeen } from './blank.ts';
import type { Given } from './document.ts';
import type { Log } from './firstboot.ts';
import type { Paths } from './paths.ts';
import { post } from './post.ts';
import { writeResult } from './result.ts';

interface Told {
  paths: Paths;
  given: Given | undefined;
  say: Log;
  mask: (text: string) => string;
}

/** The result goes everywhere it can go; what cannot be told in one place is told in the others. Quick ways first. */
export async function tell(result: Result, { paths, given, say, mask }: Told): Promise<void> {
  const note = (text: string): void => {
    result.notes.push(mask(text));
    say(4, text);
  };
  for (const fault of await writeResult(result, paths)) note(fault);
  if (result.status === 'applied' && given) await finish(given, paths, note);
  const line = headline(result);
  say(result.status === 'applied' ? 6 : 3, line);
  if (result.failure?.hint !== undefined) say(3, result.failure.hint);
  await showOnConsoles(line, paths.root);
  await light(result.status === 'applied' ? 'applied' : 'failed', paths.root);
  const refused = given?.document.report && (await post(result, given.document.report));
  if (refused) note(refused);
  if (result.notes.length > 0) await writeResult(result, paths);
}

/** Takes secrets off the boot partition and notes that there is nothing more to do, unless there is. */
async function finish({ text }: Given, paths: Paths, note: (text: string) => void): Promise<void> {
  try {
    if ((await readFile(paths.document, 'utf8')) !== text) {
      note('the node document was changed meanwhile: start the machine again, or run: piimg-firstboot reapply');
      return;
    }
    if (!(await cloudInitIsSettled(paths))) {
      // It will begin once more, and read what it is given from the card.
      note('cloud-init has not finished: secrets stay on the boot partition until it has, at the next start');
      return;
    }
    for (const said of await blankSecrets(paths)) note(said);
    await rememberSeen(paths);
  } catch (error) {
    note(`secrets could not be taken off the boot partition: ${(error as Error).message}`);
  }
}

/** As cloud-init-state notes it; true as well where there is no cloud-init. */
async function cloudInitIsSettled({ instance, cloudInitDone }: Paths): Promise<boolean> {
  const [id, done] = await Promise.all([instance, cloudInitDone].map((file) => readFile(file, 'utf8').catch(() => '')));
  return id === '' || id?.trim() === done?.trim();
}
