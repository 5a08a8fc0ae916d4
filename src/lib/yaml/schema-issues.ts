// Puts what the schema found into words: the place in the YAML, what is allowed, what was probably meant.
import type { z } from 'zod';
import { nearest } from '../suggest.ts';
import { hasValue, within, type Place } from './place.ts';
import { issueAt, type Issue, type IssueOptions } from './report.ts';
import { keysAt } from './schema-keys.ts';

type ZodIssue = z.core.$ZodIssue;

/** What messages must know of the language beside its issues. */
export interface Vocabulary {
  /** Its JSON schema, for the keys that are known somewhere. */
  jsonSchema: () => Record<string, unknown>;
  /** An answer of its own to a key that is not known. */
  refuseKey?: (key: string) => { message: string; allowed: string } | undefined;
}

/** What an issue is about: its place, the value there, and the whole file. */
interface Subject {
  place: Place;
  value: unknown;
  data: unknown;
  part: 'key' | 'value';
  language: Vocabulary;
}

/** The schema's issues about `data`, a whole file whose root is `root`. */
export function schemaIssues(root: Place, data: unknown, issues: readonly ZodIssue[], language: Vocabulary): Issue[] {
  return issues.flatMap((issue) => explain({ place: root, value: data, data, part: 'value', language }, issue));
}

function explain(parent: Subject, issue: ZodIssue): Issue[] {
  const path = issue.path.map((step) => (typeof step === 'symbol' ? String(step) : step));
  const value = path.reduce<unknown>((at, step) => (at as Record<string, unknown> | undefined)?.[step], parent.value);
  const subject: Subject = { ...parent, place: within(parent.place, ...path), value };
  const say = (message: string, options: IssueOptions = {}): Issue[] => [
    issueAt(subject.place, message, { part: subject.part, ...options }),
  ];
  const name = nameOf(subject.place);

  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => unknownKey(subject, key));
    case 'invalid_type':
      return wrongType(subject, name, issue.expected, say);
    case 'invalid_value':
      return notAmong(subject, name, issue.values.map(String), say);
    case 'invalid_format':
      return wrongFormat(subject, name, issue, say);
    case 'invalid_union':
      return wrongUnion(subject, name, issue, say);
    case 'invalid_key':
      return issue.issues.flatMap((inner) => explain({ ...subject, value: path.at(-1), part: 'key' }, inner));
    case 'custom':
      return say(issue.message, issue.params as IssueOptions | undefined);
    case 'too_small':
      if (issue.origin === 'array') return say(`${name} needs at least one entry`);
      return say(issue.origin === 'string' ? `${name} must not be empty` : `${name} must be at least ${issue.minimum}`);
    case 'too_big':
      return say(`${name} must be at most ${issue.maximum}`);
    default:
      return say(issue.message);
  }
}

type Say = (message: string, options?: IssueOptions) => Issue[];

function unknownKey(subject: Subject, key: string): Issue {
  const place = within(subject.place, key);
  const refusal = subject.language.refuseKey?.(key);
  if (refusal !== undefined) return issueAt(place, refusal.message, { part: 'key', allowed: refusal.allowed });
  const known = keysAt(subject.language.jsonSchema(), subject.place.path, subject.data);
  return issueAt(place, `unknown key \`${key}\``, {
    part: 'key',
    allowed: known.join(', '),
    suggestion: nearest(key, known),
  });
}

function wrongType(subject: Subject, name: string, expected: string, say: Say): Issue[] {
  if (!hasValue(subject.place)) {
    const where = subject.place.path.length > 1 ? '' : ` in the ${subject.place.text.kind}`;
    return say(`${name} is missing${where}`);
  }
  const found = subject.value;
  const quotable = expected === 'string' && (typeof found === 'number' || typeof found === 'boolean');
  return say(`${name} must be ${kindName(expected)}, not ${kindOf(found)}`, {
    ...(quotable && { allowed: 'a text: put it in quotes' }),
  });
}

function notAmong(subject: Subject, name: string, values: string[], say: Say): Issue[] {
  if (!hasValue(subject.place)) return say(`${name} is missing`, { allowed: values.join(', ') });
  const message = `${name} cannot be ${show(subject.value)}`;
  // `'1'` where 1 is allowed: the two look the same in a message.
  if (typeof subject.value === 'string' && values.includes(subject.value)) {
    return say(`${message} in quotes`, { allowed: `${values.join(', ')}, without quotes` });
  }
  return say(message, {
    allowed: values.join(', '),
    suggestion: typeof subject.value === 'string' ? nearest(subject.value, values) : undefined,
  });
}

function wrongFormat(subject: Subject, name: string, issue: z.core.$ZodIssueInvalidStringFormat, say: Say): Issue[] {
  const text = String(subject.value);
  const [, source, flags] = /^\/(.*)\/([a-z]*)$/s.exec(issue.pattern ?? '') ?? [];
  const pattern = new RegExp(source ?? '(?!)', flags);
  const suggestion = slips(text, pattern).find((guess) => pattern.test(guess));
  const message =
    subject.part === 'key' ? `${show(text)} cannot be a key here` : `${show(text)} is not right for ${name}`;
  return say(message, { allowed: issue.message, suggestion });
}

/**
 * What slips that are certain stand for: capitals, a path with a slash at its end or without the first one, a unit without its type
 * (where the pattern takes any text, `.service` would only be something else that is allowed).
 */
function slips(text: string, pattern: RegExp): string[] {
  const isPath = text.includes('/');
  return [
    text.toLowerCase(),
    text.replace(/\/+$/, ''),
    ...(isPath ? [`/${text.replace(/\/+$/, '')}`] : []),
    ...(isPath || pattern.test('word') ? [] : [`${text}.service`]),
  ];
}

function wrongUnion(subject: Subject, name: string, issue: z.core.$ZodIssueInvalidUnion, say: Say): Issue[] {
  if ('options' in issue && Array.isArray(issue.options))
    return notAmong(subject, name, issue.options.filter((option) => option !== undefined).map(String), say);
  // The form that the value has is the one that was meant: a map is compared with the map, a word with the word.
  const sameKind = issue.errors.filter((errors) => !errors.some(isRootType));
  const meant = sameKind.length === 1 ? sameKind[0] : undefined;
  if (meant !== undefined) return meant.flatMap((inner) => explain(subject, inner));
  if (!hasValue(subject.place)) return say(`${name} is missing`);
  const kinds = issue.errors.flatMap((errors) => errors.filter(isRootType).map((error) => kindName(error.expected)));
  // Of the right kind, but in none of the forms: the union itself says which there are.
  if (kinds.length === 0) return say(`${show(subject.value)} is not right for ${name}`, { allowed: issue.message });
  return say(`${name} must be ${[...new Set(kinds)].join(' or ')}, not ${kindOf(subject.value)}`);
}

/** How a message calls the value at `path`: by its key, or as one entry of a list. */
function nameOf({ path, text }: Place): string {
  const last = path.findLast((step) => typeof step === 'string');
  const key = last === undefined ? `the ${text.kind}` : `\`${last}\``;
  return typeof path.at(-1) === 'number' ? `an entry of ${key}` : key;
}

function isRootType(issue: ZodIssue): issue is z.core.$ZodIssueInvalidType {
  return issue.code === 'invalid_type' && issue.path.length === 0;
}

const KINDS: Record<string, string> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a map',
  record: 'a map',
  null: 'null',
};

function kindName(expected: string): string {
  return KINDS[expected] ?? expected;
}

function kindOf(value: unknown): string {
  if (value === null || value === undefined) return 'empty';
  return Array.isArray(value) ? 'a list' : typeof value === 'boolean' ? `\`${value}\`` : kindName(typeof value);
}

/** A value as it stands in a message: short, on one line. */
function show(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
  return `\`${text.length > 60 ? `${text.slice(0, 59)}…` : text}\``;
}
