// Where in which YAML file a value was written, so that every complaint can point at it.
import { isAlias, isMap, isScalar, isSeq, type Document, type LineCounter, type Node } from 'yaml';

/** A YAML file as text and as parsed. */
export interface YamlText {
  /** What it describes, for messages: `role`, `base`. */
  kind: string;
  /** Absolute path. */
  file: string;
  text: string;
  document: Document;
  lines: LineCounter;
}

export type Path = (string | number)[];

/** A value in a file, by the keys and list positions that lead to it. */
export interface Place {
  text: YamlText;
  path: Path;
}

export interface Position {
  line: number;
  column: number;
  length: number;
}

/** The place of a part of the value at `place`. */
export function within(place: Place, ...path: Path): Place {
  return { text: place.text, path: [...place.path, ...path] };
}

/**
 * Line, column and length of the value at `place`, or of its key. Where a path leads nowhere, as to a key that is
 * missing, the innermost value that exists is meant.
 */
export function positionOf(place: Place, part: 'key' | 'value' = 'value'): Position {
  const { document, lines } = place.text;
  let node: unknown = document.contents;
  let found = document.contents?.range ?? [0, 0, 0];
  for (const [index, step] of place.path.entries()) {
    const child = childOf(isAlias(node) ? node.resolve(document) : node, step);
    if (child === undefined) break;
    const wanted = part === 'key' && index === place.path.length - 1 ? (child.key ?? child.value) : child.value;
    found = wanted?.range ?? child.key?.range ?? found;
    node = child.value;
  }
  const { line, col } = lines.linePos(found[0]);
  return { line, column: col, length: Math.max(1, found[1] - found[0]) };
}

/** Whether anything was written at `place`, be it only a key without a value. */
export function hasValue(place: Place): boolean {
  let node: unknown = place.text.document.contents;
  for (const step of place.path) {
    const child = childOf(isAlias(node) ? node.resolve(place.text.document) : node, step);
    if (child === undefined) return false;
    node = child.value;
  }
  return true;
}

function childOf(node: unknown, step: string | number): { key?: Node; value: Node | null } | undefined {
  if (isSeq(node)) {
    const item = node.items[Number(step)];
    return item === undefined ? undefined : { value: item as Node };
  }
  if (!isMap(node)) return undefined;
  const pair = node.items.find((candidate) => isScalar(candidate.key) && String(candidate.key.value) === String(step));
  return pair === undefined ? undefined : { key: pair.key as Node, value: pair.value as Node | null };
}
