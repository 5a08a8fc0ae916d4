// `piimg inspect FILE|CARD`: what an image that somebody else made is, how its first boot works, and what it carries.
import { formatFacts, formatInspection } from '../../ui/image-summary.ts';
import { styleFor } from '../../ui/style.ts';
import { describe } from '../../vendor/describe.ts';
import { readFacts } from '../../vendor/facts.ts';
import { ranAsRoot } from '../flashing/as-root.ts';
import { withImageView } from '../image-view.ts';
import { print, printJson } from './output.ts';

export async function inspect(file: string, flags: { json?: boolean; facts?: boolean }): Promise<void> {
  if (await ranAsRoot([file], false)) return;
  const style = styleFor(process.stdout);
  await withImageView(file, async (view) => {
    if (flags.facts) {
      const facts = await readFacts(view);
      return flags.json ? printJson(facts) : print(formatFacts(facts, style));
    }
    const description = await describe(view);
    return flags.json ? printJson(description) : print(formatInspection(file, description, style));
  });
}
