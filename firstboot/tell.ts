// Tells how the first boot went, wherever it can be told.
import type { NodeDocument } from '../src/seed/document.ts';
import { light, showOnConsoles } from './announce.ts';
import { blankSecrets, rememberSeen } from './blank.ts';
import type { Log } from './firstboot.ts';
import type { Paths } from './paths.ts';
import { post } from './post.ts';
import { asProblem } from './problem.ts';
import { headline, type Result } from '../src/lib/first-boot.ts';
import { writeResult } from './result.ts';

interface Told {
  paths: Paths;
  document: NodeDocument | undefined;
  say: Log;
}

/** The result goes everywhere it can go; what cannot be told in one place is told in the others. */
export async function tell(result: Result, { paths, document, say }: Told): Promise<void> {
  const note = (text: string): void => {
    result.notes.push(text);
    say(4, text);
  };
  const written = await writeResult(result, paths).catch((error: unknown) => asProblem(error).message);
  if (written !== undefined) note(written);
  if (result.status === 'applied') {
    try {
      const byHand = await blankSecrets(paths);
      for (const name of byHand) note(`${name} was not written by piimg: secrets in it stay on the boot partition`);
      await rememberSeen(paths);
    } catch (error) {
      note(`secrets could not be taken off the boot partition: ${(error as Error).message}`);
    }
  }
  if (document?.report !== undefined) {
    const refused = await post(result, document.report);
    if (refused !== undefined) note(refused);
  }
  if (result.notes.length > 0) await writeResult(result, paths).catch(() => undefined);
  const line = headline(result);
  say(result.status === 'applied' ? 6 : 3, line);
  if (result.failure?.hint !== undefined) say(3, result.failure.hint);
  await showOnConsoles(line, paths.root);
  await light(result.status === 'applied' ? 'applied' : 'failed', paths.root);
}
