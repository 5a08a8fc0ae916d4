// Reads `node.yaml`; what is wrong in it is shown where it stands, but no secret beside it.
import { isMap, isScalar, visit } from 'yaml';
import { excerptOf } from '../lib/code-frame.ts';
import type { PiimgError } from '../lib/errors.ts';
import { loadYaml, type Language, type Loaded } from '../lib/yaml/load.ts';
import type { YamlText } from '../lib/yaml/place.ts';
import { reportError, type Issue } from '../lib/yaml/report.ts';
import { nodeFileJsonSchema, nodeSchema, type NodeFile } from './node.ts';

export const nodeLanguage: Language<NodeFile> = {
  kind: 'node',
  schema: nodeSchema,
  jsonSchema: nodeFileJsonSchema,
  least: '`version: 1` and `node: NAME`',
};

/** Throws PiimgError (usage): the file cannot be read, or all that is wrong in it. */
export async function loadNode(file: string): Promise<NodeFile> {
  const loaded = await loadYaml(file, nodeLanguage);
  if (loaded.value !== undefined) return loaded.value;
  throw faultsOf(`Node file ${file}`, loaded);
}

/** All that is wrong in a file that may hold secrets, as the error that ends a command. */
export function faultsOf(title: string, { text, data, issues }: Loaded<unknown>): PiimgError {
  return reportError(title, data === undefined ? withoutExcerpts(text, issues) : hideSecrets(text, issues));
}

/** The lines around a complaint, with dots in place of what stands under `secrets` and `password`. */
function hideSecrets(text: YamlText, issues: Issue[]): Issue[] {
  let shown = text.text;
  visit(text.document, {
    Pair: (_position, { key, value }) => {
      if (!isScalar(key) || !SECRET.test(String(key.value))) return;
      // A map of secrets shows their names.
      const values = isMap(value) ? value.items.map((pair) => pair.value) : [value];
      for (const node of values as ({ range?: [number, number, number] } | null)[]) {
        const [from, to] = node?.range ?? [0, 0];
        shown = shown.slice(0, from) + shown.slice(from, to).replaceAll(/[^\n]/g, '·') + shown.slice(to);
      }
    },
  });
  return issues.map((issue) => ({ ...issue, excerpt: excerptOf(shown, issue.line) }));
}

const SECRET = /^(secrets|password|passwordHash)$/;

/** Where the text is no YAML nobody knows what in it is a secret: then the place must do, if there may be one. */
function withoutExcerpts({ text }: YamlText, issues: Issue[]): Issue[] {
  if (!/secrets|password/.test(text)) return issues;
  return issues.map((issue) => ({ ...issue, excerpt: [], message: issue.message.replace(/^(not YAML).*/, '$1') }));
}
