// What a rule can look at.
import type { Draft } from '../draft.ts';
import type { PlacedEntry } from '../entries.ts';
import type { Place, YamlText } from '../../lib/yaml/place.ts';
import type { Issue } from '../../lib/yaml/report.ts';
import type { RoleFile } from '../schema.ts';

export interface RuleContext {
  /** The role files, each as it was written: for what must not be said twice in one file. */
  files: { text: YamlText; role: RoleFile }[];
  /** All of them merged. */
  merged: Draft;
  /** Everything written into the image, before later entries replace earlier ones of the same path. */
  entries: PlacedEntry[];
  /** Names of the base's archives. */
  archives: string[];
}

/** A rule across fields: a pure function that gives what it has to complain about. */
export type Rule = (context: RuleContext) => Issue[];

/** The place of something in a role file. */
export function at(text: YamlText, ...path: (string | number)[]): Place {
  return { text, path };
}
