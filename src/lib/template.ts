// Mustache made strict: an unknown name is an error with its line, and nothing is escaped for HTML.
import mustache from 'mustache';
import { nearest } from './suggest.ts';

/** What templates may name: `{{hostname}}`, `{{role.name}}`, `{{#peers}}{{address}}{{/peers}}`. */
export type TemplateData = { [name: string]: TemplateValue };
export type TemplateValue = string | number | boolean | TemplateValue[] | TemplateData;

/** A fault in a template: where (offset and length in its text), what, and what was probably meant. */
export interface TemplateProblem {
  offset: number;
  length: number;
  message: string;
  allowed?: string;
  suggestion?: string;
}

/** [kind, name or text, start, end, children]: what `mustache.parse` gives, which its types leave open. */
type Token = [kind: string, value: string, start: number, end: number, children?: Token[]];

/**
 * Renders a template. Names are looked up in the innermost section first; a section over a list repeats, over a map
 * opens its names, over anything else is shown when it is neither false, 0 nor empty. Partials do not exist.
 * `quote` turns a value into what the text's language wants; `{{{name}}}` is the value as it is.
 * All faults are reported at once; `output` is only worth something when `problems` is empty.
 */
export function renderTemplate(
  template: string,
  data: TemplateData,
  quote: (value: string) => string = (value) => value,
): { output: string; problems: TemplateProblem[] } {
  const problems: TemplateProblem[] = [];
  const reported = new Set<number>();
  const report = (token: Token, fault: Omit<TemplateProblem, 'offset' | 'length'>): void => {
    // A name inside a section over a list is seen once per item.
    if (!reported.has(token[2])) problems.push({ offset: token[2], length: token[3] - token[2], ...fault });
    reported.add(token[2]);
  };

  const lookUp = (token: Token, scopes: TemplateData[]): TemplateValue | undefined => {
    const found = find(token[1], scopes);
    if (found === undefined) {
      const known = scopes.flatMap((scope) => namesOf(scope));
      const suggestion = nearest(token[1], known);
      report(token, {
        message: `unknown name \`${token[1]}\` in the template`,
        allowed: known.length > 0 ? [...known].sort().join(', ') : 'no names: the role sets no variables',
        ...(suggestion !== undefined && { suggestion }),
      });
    }
    return found;
  };

  const render = (tokens: Token[], scopes: TemplateData[]): string =>
    tokens
      .map((token) => {
        const [kind, value, , , children = []] = token;
        if (kind === 'text') return value;
        if (kind === '>') report(token, { message: `partials like \`{{> ${value}}}\` are not supported` });
        if (kind === 'name' || kind === '&') {
          const found = lookUp(token, scopes);
          if (typeof found === 'object') {
            report(token, { message: `\`${value}\` is a ${Array.isArray(found) ? 'list' : 'map'}, not a text` });
            return '';
          }
          return kind === '&' ? String(found) : quote(String(found));
        }
        if (kind === '#' || kind === '^') {
          const found = lookUp(token, scopes);
          const shown = Array.isArray(found) ? found.length > 0 : Boolean(found);
          // Also what is not shown is rendered, for its faults: they would otherwise wait for another value.
          if (kind === '^') return keepIf(!shown, render(children, scopes));
          if (Array.isArray(found)) return found.map((item) => render(children, inner(scopes, item))).join('');
          return keepIf(shown, render(children, inner(scopes, found)));
        }
        return '';
      })
      .join('');

  let tokens: Token[];
  try {
    tokens = mustache.parse(template) as Token[];
  } catch (error) {
    return { output: '', problems: [syntaxProblem(template, error)] };
  }
  return { output: render(tokens, [data]), problems };
}

/** Own properties only: `{{constructor}}` is as unknown as any other misspelling. */
function find(name: string, scopes: TemplateData[]): TemplateValue | undefined {
  if (name === '.') return scopes.at(-1)?.['.'];
  const [head = '', ...rest] = name.split('.');
  const scope = scopes.filter((candidate) => Object.hasOwn(candidate, head)).at(-1);
  let value: TemplateValue | undefined = scope?.[head];
  for (const part of rest) {
    if (typeof value !== 'object' || Array.isArray(value) || !Object.hasOwn(value, part)) return undefined;
    value = value[part];
  }
  return value;
}

/** The names a section's value opens; `{{.}}` is the value itself when it is a text or number. */
function inner(scopes: TemplateData[], value: TemplateValue | undefined): TemplateData[] {
  if (value === undefined || typeof value === 'boolean' || Array.isArray(value)) return scopes;
  return [...scopes, typeof value === 'object' ? value : { '.': value }];
}

function namesOf(data: TemplateData, prefix = ''): string[] {
  return Object.entries(data).flatMap(([name, value]) =>
    typeof value === 'object' && !Array.isArray(value) ? namesOf(value, `${prefix}${name}.`) : [prefix + name],
  );
}

function keepIf(condition: boolean, text: string): string {
  return condition ? text : '';
}

/** Mustache's own messages end in `at OFFSET`. */
function syntaxProblem(template: string, error: unknown): TemplateProblem {
  const [, what, at] = /^(.*?) at (\d+)$/s.exec((error as Error).message) ?? [];
  const offset = Math.min(Number(at ?? 0), template.length);
  // An unclosed section is only noticed at the end of the text: the place meant is where it opens.
  const name = /^Unclosed section "(.*)"$/s.exec(what ?? '')?.[1];
  const opening =
    name === undefined ? -1 : template.search(new RegExp(`\\{\\{[#^]\\s*${escapeRegExp(name)}\\s*\\}\\}`));
  return {
    offset: opening >= 0 ? opening : offset,
    length: 2,
    message: (what ?? (error as Error).message).replace(/^./, (letter) => letter.toLowerCase()),
  };
}

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
