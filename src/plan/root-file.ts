// The commonest file a plan adds.
import type { PlannedFile } from './plan.ts';

/** A text file of root's; `mode` are its permission bits. */
export function rootFile(path: string, content: string, mode = 0o644): PlannedFile {
  return { path, type: 'file', mode, owner: 'root', group: 'root', content };
}
