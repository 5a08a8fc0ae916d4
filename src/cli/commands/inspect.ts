// `piimg inspect FILE|CARD`: what an image that somebody else made is, how its first boot works, and what it carries.
import { formatFacts, formatInspection } from '../../ui/image-summary.ts';
import { styleFor } from '../../ui/style.ts';
import { describe } from '../../vendor/describe.ts';
import { readFacts } from '../../vendor/facts.ts';
import { withOpener } from '../flashing/opener.ts';
import type { ImageView } from '../../vendor/view.ts';
import { withImageView } from '../image-view.ts';
import { print, printJson } from './output.ts';

export async function inspect(
  file: string,
  flags: { json?: boolean; facts?: boolean },
  signal: AbortSignal,
): Promise<void> {
  const style = styleFor(process.stdout);
  const shown = async (view: ImageView): Promise<void> => {
    if (flags.facts) {
      const facts = await readFacts(view);
      return flags.json ? printJson(facts) : print(formatFacts(facts, style));
    }
    const description = await describe(view);
    return flags.json ? printJson(description) : print(formatInspection(file, description, style));
  };
  await withOpener([file], { signal }, (opener) => withImageView(file, shown, opener));
}
