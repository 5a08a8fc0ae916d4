// What is wrong with files that people write, as a report for the person who wrote them.
import { isAbsolute, relative, sep } from 'node:path';
import { codeFrame, excerptOf, type Frame } from '../code-frame.ts';
import { EXIT, PiimgError } from '../errors.ts';
import { positionOf, type Path, type Place, type Position } from './place.ts';

/** One complaint; `path` are the keys and list positions that lead to the value meant. */
export interface Issue extends Frame {
  path: Path;
}

/** What can be said beside the message. `part` chooses between a key and its value. */
export interface IssueOptions {
  severity?: 'error' | 'warning';
  part?: 'key' | 'value';
  allowed?: string;
  suggestion?: string | undefined;
}

/** An issue about the value, or the key, at a place in a file. */
export function issueAt(place: Place, message: string, options: IssueOptions = {}): Issue {
  const position = positionOf(place, options.part);
  return { ...issueInText(place.text, position, message, options), path: place.path };
}

/** An issue about a position in any text. */
export function issueInText(
  { file, text }: { file: string; text: string },
  position: Position,
  message: string,
  { severity = 'error', allowed, suggestion }: IssueOptions = {},
): Issue {
  return {
    severity,
    file,
    ...position,
    message,
    ...(allowed !== undefined && { allowed }),
    ...(suggestion !== undefined && { suggestion }),
    excerpt: excerptOf(text, position.line),
    path: [],
  };
}

/** The same issues by file and position, each once. */
export function sortIssues(issues: Issue[]): Issue[] {
  const unique = new Map(
    issues.map((issue) => [`${issue.file}:${issue.line}:${issue.column}:${issue.message}`, issue] as const),
  );
  return [...unique.values()].sort(
    (a, b) => (a.file < b.file ? -1 : a.file > b.file ? 1 : 0) || a.line - b.line || a.column - b.column,
  );
}

/** All issues as code frames; files below `cwd` are shown relative to it. */
export function printReport(issues: Issue[], cwd: string = process.cwd()): string {
  return sortIssues(issues)
    .map((issue) => codeFrame({ ...issue, file: shortPath(issue.file, cwd) }))
    .join('\n\n');
}

/** The error that ends a command because `subject` (`Role web`) is not valid: the report is its `detail`, the issues its `cause`. */
export function reportError(subject: string, issues: Issue[]): PiimgError {
  const errors = issues.filter((issue) => issue.severity === 'error').length;
  const warnings = issues.length - errors;
  const count = [plural(errors, 'error'), ...(warnings > 0 ? [plural(warnings, 'warning')] : [])].join(', ');
  return new PiimgError(`${subject} is not valid: ${count}`, {
    exitCode: EXIT.usage,
    detail: printReport(issues),
    cause: issues,
  });
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

function shortPath(file: string, cwd: string): string {
  const short = relative(cwd, file);
  return short === '' || short === '..' || short.startsWith(`..${sep}`) || isAbsolute(short) ? file : short;
}
