// Reads a file that people write: YAML with positions, then the schema of its language.
import { readFile } from 'node:fs/promises';
import { isAlias, isNode, isScalar, LineCounter, parseDocument, visit, type Document } from 'yaml';
import type { z } from 'zod';
import { positionAt } from '../code-frame.ts';
import { EXIT, PiimgError } from '../errors.ts';
import { notUtf8 } from '../utf8.ts';
import type { YamlText } from './place.ts';
import { issueAt, issueInText, type Issue } from './report.ts';
import { schemaIssues, type Vocabulary } from './schema-issues.ts';

/** A kind of file and what it may say. */
export interface Language<T> extends Vocabulary {
  /** What a file describes: `role`, `base`. */
  kind: string;
  schema: z.ZodType<T>;
  /** The least a file says, for an empty one. */
  least: string;
}

export interface Loaded<T> {
  text: YamlText;
  /** What the YAML says, valid or not; absent when it is no YAML. */
  data?: unknown;
  /** Absent when there are issues. */
  value?: T;
  issues: Issue[];
}

/** Far above any such file, far below what takes long to parse. */
const SIZE_LIMIT = 1024 * 1024;
/** How many nodes aliases may stand for: enough for shared lists, too few for a "billion laughs". */
const ALIAS_LIMIT = 100;

/** Reads and validates a file. Throws PiimgError (usage) when it cannot be read. */
export async function loadYaml<T>(file: string, language: Language<T>): Promise<Loaded<T>> {
  let bytes: Buffer;
  try {
    bytes = await readFile(file);
  } catch (error) {
    throw new PiimgError(`The ${language.kind} file ${file} cannot be read: ${(error as Error).message}`, {
      exitCode: EXIT.usage,
      cause: error,
    });
  }
  if (bytes.length > SIZE_LIMIT) {
    throw new PiimgError(
      `The ${language.kind} file ${file} is too large: ${bytes.length} bytes, at most ${SIZE_LIMIT}`,
      {
        exitCode: EXIT.usage,
        hint: 'Put large contents into an overlay.',
      },
    );
  }
  const loaded = parseYaml(file, bytes.toString('utf8'), language);
  const fault = notUtf8(bytes);
  if (fault === undefined) return loaded;
  const issue = issueInText(loaded.text, { ...fault, length: 1 }, 'this is not UTF-8', {
    allowed: 'text in UTF-8: save the file in that encoding',
  });
  return { text: loaded.text, issues: [issue] };
}

/** Validates a text; `file` is only shown. */
export function parseYaml<T>(file: string, text: string, language: Language<T>): Loaded<T> {
  const lines = new LineCounter();
  const issue = (offset: number, length: number, message: string): Issue =>
    issueInText({ file, text }, { ...positionAt(text, offset), length }, message);
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    uniqueKeys: true,
    stringKeys: true,
  });
  const source: YamlText = { kind: language.kind, file, text, document, lines };
  const broken = [...document.errors, ...document.warnings];
  if (broken.length === 0) return validate(source, language);
  const issues = broken.map(({ code, message, pos: [from, to] }) => {
    if (code !== 'DUPLICATE_KEY') return issue(from, to - from, yamlMessage(message));
    const key = /^[^\s:]+/.exec(text.slice(from))?.[0] ?? '';
    return issue(from, key.length, `the key \`${key}\` is there twice`);
  });
  return { text: source, issues };
}

function validate<T>(text: YamlText, language: Language<T>): Loaded<T> {
  const { document } = text;
  const root = { text, path: [] };
  if (document.contents === null || (isScalar(document.contents) && document.contents.value === null)) {
    return { text, issues: [issueAt(root, `the ${language.kind} file is empty`, { allowed: language.least })] };
  }
  keepModesAsWritten(document);
  const reserved = reservedKeys(text);
  if (reserved.length > 0) return { text, issues: reserved };
  let data: unknown;
  try {
    data = document.toJS({ maxAliasCount: ALIAS_LIMIT });
  } catch (error) {
    if (!(error instanceof ReferenceError)) throw error;
    return { text, issues: [lostAlias(text) ?? explodingAlias(text)] };
  }
  const parsed = language.schema.safeParse(data);
  if (parsed.success) return { text, data, value: parsed.data, issues: [] };
  // A file for another version of the language is wrong in one way only.
  const version = parsed.error.issues.filter(
    ({ path, code }) =>
      path[0] === 'version' && code === 'invalid_value' && typeof document.get('version') === 'number',
  );
  return { text, data, issues: schemaIssues(root, data, version.length > 0 ? version : parsed.error.issues, language) };
}

/** YAML 1.2 reads 0644 as six hundred and forty-four: for modes the digits count, so they stay text. */
function keepModesAsWritten(document: Document): void {
  visit(document, {
    Pair: (_position, { key, value }) => {
      if (!isScalar(key) || key.value !== 'mode' || !isScalar(value) || typeof value.value !== 'number') return;
      value.value = value.source ?? String(value.value);
    },
  });
}

/** The first alias without an anchor before it; its name is left out, as it may be a password that begins with `*`. */
function lostAlias(text: YamlText): Issue | undefined {
  let found: Issue | undefined;
  visit(text.document, {
    Alias: (_position, alias) => {
      if (alias.resolve(text.document) !== undefined) return undefined;
      const [from, to] = alias.range ?? [0, 1];
      found = issueInText(text, { ...positionAt(text.text, from), length: to - from }, 'an alias without its anchor', {
        allowed: 'the name of an anchor further up; text that begins with `*` is written in quotes',
      });
      return visit.BREAK;
    },
  });
  return found;
}

/** Points at the last alias: the explosion comes from the outermost, which is written last. */
function explodingAlias(text: YamlText): Issue {
  let offset = 0;
  let length = 1;
  visit(text.document, {
    Node: (_position, node) => {
      if (!isNode(node) || !isAlias(node) || !node.range) return;
      offset = node.range[0];
      length = node.range[1] - node.range[0];
    },
  });
  return issueInText(
    text,
    { ...positionAt(text.text, offset), length },
    `aliases repeat too much: together they stand for more than ${ALIAS_LIMIT} values`,
    { allowed: 'lists and maps written out where they are used' },
  );
}

/** `__proto__` is no key like others in JavaScript: what is said there would be lost on the way. */
function reservedKeys(text: YamlText): Issue[] {
  const issues: Issue[] = [];
  visit(text.document, {
    Pair: (_position, { key }) => {
      if (!isScalar(key) || key.value !== '__proto__' || !key.range) return;
      const [from, to] = key.range;
      issues.push(
        issueInText(text, { ...positionAt(text.text, from), length: to - from }, '`__proto__` cannot be a key'),
      );
    },
  });
  return issues;
}

/** The parser's messages begin with a capital and are otherwise good; its recursion ends in a RangeError's. */
function yamlMessage(message: string): string {
  if (/call stack/.test(message)) return 'this is nested too deeply';
  return `not YAML: ${message.replace(/^./, (letter) => letter.toLowerCase())}`;
}
