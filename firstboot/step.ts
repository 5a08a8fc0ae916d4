// What a step is: one thing that is to be true of the machine, and how it becomes so.
import type { ProvisionStep } from '../src/role/schema/provision.ts';
import type { NodeDocument } from '../src/seed/document.ts';
import { renderTemplate, type TemplateData } from '../src/lib/template.ts';
import { positionAt } from '../src/lib/code-frame.ts';
import type { Machine } from './machine.ts';
import type { Paths } from './paths.ts';
import { Problem } from './problem.ts';

export type StepOf<Kind extends ProvisionStep['step']> = Extract<ProvisionStep, { step: Kind }>;

/** What steps are made of, before anything is changed. */
export interface Knowledge {
  paths: Paths;
  document: NodeDocument;
  /** What templates, scripts and statements may name. */
  data: TemplateData;
}

export interface StepContext {
  machine: Machine;
  /** This very step, with the same content and after the same others, has been applied before: steps that leave no trace go by it. */
  applied: boolean;
  /** It was begun, with this content or another, and did not end well: whatever it leaves behind may lie there, half done. */
  interrupted: boolean;
  /** Something to remember across a power cut, such as the id of a file system that is about to be made. */
  memory: { get(): string | undefined; set(text: string): Promise<void> };
}

/** Why the machine is not as a step wants it; undefined when it is. */
export type Lack = string | undefined;

/**
 * A kind of step. `prepare` turns a step into what will be done, with all templates rendered: it fails before any step has changed
 * anything. The digest of that tells one apart from another of the same name.
 */
export interface StepKind<Step, Prepared> {
  /** What it shares with other kinds and can only be changed by one step at a time, such as `fstab`. */
  shares?: string;
  /** Everything it writes is on the card when `apply` resolves. */
  flushes?: true;
  prepare(step: Step, knowledge: Knowledge): Promise<Prepared> | Prepared;
  /** Whether it is already so. Changes nothing. */
  check(prepared: Prepared, context: StepContext): Promise<Lack>;
  /** Makes it so; may be cut at any instant and is then called again. Throws Problem. */
  apply(prepared: Prepared, context: StepContext): Promise<void>;
  /** Whether it has become so: `check` where this is left out. */
  verify?(prepared: Prepared, context: StepContext): Promise<Lack>;
}

/** Renders a text of the role's. `quote` writes a value as the text's language wants it; `{{{name}}}` is the value as it is. */
export function render(text: string, what: string, data: TemplateData, quote?: (value: string) => string): string {
  const { output, problems } = renderTemplate(text, data, quote);
  const [first] = problems;
  if (!first) return output;
  const said = problems.map(({ offset, message }) => `line ${positionAt(text, offset).line}: ${message}`);
  throw new Problem(`${what}: ${said.join('; ')}`, { hint: hintFor(first.message, first.suggestion) });
}

function hintFor(message: string, suggestion: string | undefined): string {
  const name = /unknown name `([^`]+)`/.exec(message)?.[1];
  if (suggestion !== undefined) return `Did the role mean ${suggestion}?`;
  if (name?.startsWith('secrets.')) return `Give the card a value: piimg seed --secret ${name.slice(8)}=FILE`;
  if (name?.startsWith('peers.')) return `Name the machines of role ${name.slice(6)} in the node file: peers`;
  return name === undefined
    ? 'Correct the template in the role.'
    : `Give the card a value: piimg seed --set ${name}=VALUE`;
}
