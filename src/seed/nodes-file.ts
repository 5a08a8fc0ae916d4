// Reads the file of `--from`: `nodes.yaml` for several machines, or `node.yaml` for one.
import { EXIT, PiimgError } from '../lib/errors.ts';
import { nearest } from '../lib/suggest.ts';
import { loadYaml, parseYaml, type Language } from '../lib/yaml/load.ts';
import { faultsOf, nodeLanguage } from './node-file.ts';
import type { NodeFile } from './node.ts';
import { nodeOf, nodesFileJsonSchema, nodesSchema, type NodesFile } from './nodes.ts';

export interface Nodes {
  /** Those that the file names. */
  names: string[];
  /**
   * What it says of one of them; of `nodes.yaml` without a name the only one. A `node.yaml` is for whichever machine is asked for.
   * Throws PiimgError (usage) for a name that is not there, or when there are several and none was asked for.
   */
  nodeFile: (name?: string) => NodeFile;
}

const nodesLanguage: Language<NodesFile> = {
  kind: 'nodes file',
  schema: nodesSchema,
  jsonSchema: nodesFileJsonSchema,
  least: '`version: 1` and `nodes: { NAME: {} }`',
  refuseKey: (key) =>
    key === 'node'
      ? { message: 'the key `node` has no place here: `nodes` has the names', allowed: 'a name as a key of `nodes`' }
      : undefined,
};

/** Throws PiimgError (usage): the file cannot be read, or all that is wrong in it, without the secrets beside it. */
export async function loadNodes(file: string): Promise<Nodes> {
  const loaded = await loadYaml(file, nodeLanguage);
  if (!meansSeveral(loaded.data)) {
    if (loaded.value === undefined) throw faultsOf(`Node file ${file}`, loaded);
    return single(loaded.value);
  }
  const several = parseYaml(loaded.text.file, loaded.text.text, nodesLanguage);
  if (several.value === undefined) throw faultsOf(`Nodes file ${file}`, several);
  return named(file, several.value);
}

/** A map below a misspelt `nodes` too: it is to be told of the right language. */
function meansSeveral(data: unknown): boolean {
  if (typeof data !== 'object' || data === null) return false;
  return Object.entries(data).some(
    ([key, value]) => key === 'nodes' || (isMap(value) && !(key in known()) && nearest(key, ['nodes']) !== undefined),
  );
}

const isMap = (value: unknown): boolean => typeof value === 'object' && value !== null && !Array.isArray(value);
const known = (): object => nodeLanguage.jsonSchema()['properties'] as object;

function single(file: NodeFile): Nodes {
  return {
    names: file.node === undefined ? [] : [file.node],
    nodeFile: (name) => (name === undefined ? file : { ...file, node: name }),
  };
}

function named(file: string, all: NodesFile): Nodes {
  const names = Object.keys(all.nodes);
  const usage = (message: string, hint: string): PiimgError => new PiimgError(message, { exitCode: EXIT.usage, hint });
  return {
    names,
    nodeFile: (name = names.length === 1 ? names[0] : undefined) => {
      if (name === undefined)
        throw usage(
          `${file} is of ${names.length} machines, and none was named`,
          `Name one with --node, or a card as NAME=/dev/sdX: ${names.join(', ')}.`,
        );
      if (names.includes(name)) return nodeOf(all, name);
      const near = nearest(name, names);
      const guess = near === undefined ? '' : `Did you mean \`${near}\`? `;
      throw usage(`${file} has no node \`${name}\``, `${guess}It has ${names.join(', ')}.`);
    },
  };
}
