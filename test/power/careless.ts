// The negative control's agent: the real one, but for all that makes it survive a power cut.
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { bundleAgent } from '../../src/host/bundle-agent.mjs';

/** What is taken out of the bundle: flushing, and writing beside the place. */
const CHANGES: [RegExp, string][] = [
  [/await handle\.sync\(\);/g, ''],
  [/var partOf = .*;/g, 'var partOf = (file) => file;'],
];

/** Its program. Throws Error when the bundle has changed so that nothing is taken out. */
export async function carelessAgent(folder: string): Promise<string> {
  const file = path.join(folder, 'agent');
  await bundleAgent(file);
  let text = await readFile(file, 'utf8');
  for (const [pattern, replacement] of CHANGES) {
    const changed = text.replaceAll(pattern, replacement);
    if (changed === text) throw new Error(`the agent has no ${pattern.source}`);
    text = changed;
  }
  return text;
}
