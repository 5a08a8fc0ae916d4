// Shows a place in a text the way compilers do: file:line:column, the lines around it, a caret run, and what to do.

/** Something to say about a place in a text; `line` and `column` count from 1. */
export interface Frame {
  severity: 'error' | 'warning';
  file: string;
  line: number;
  column: number;
  /** Characters to underline; what passes the end of the line is cut. */
  length: number;
  message: string;
  /** What would have been right, in words or as a list: `one of a, b`. */
  allowed?: string;
  /** The word that was probably meant. */
  suggestion?: string;
  /** The lines up to and including `line` that are shown; from `excerptOf`. Empty when there is no text to show. */
  excerpt: string[];
}

/** Lines shown before the one that is meant. */
const CONTEXT = 2;
/** Longer lines are cut around the caret, so that a frame fits a terminal. */
const WIDTH = 110;

/** The lines of `text` that a frame for `line` shows. */
export function excerptOf(text: string, line: number): string[] {
  return text.split('\n').slice(Math.max(0, line - 1 - CONTEXT), line);
}

/** Line and column, from 1, of an offset in `text`. */
export function positionAt(text: string, offset: number): { line: number; column: number } {
  const before = text.slice(0, offset);
  return { line: before.split('\n').length, column: offset - before.lastIndexOf('\n') };
}

/** A frame as lines of plain text, without a newline at the end. `file` is printed as it is. */
export function codeFrame(frame: Frame): string {
  const lines = [`${frame.file}:${frame.line}:${frame.column}: ${frame.severity}: ${frame.message}`];
  const gutter = String(frame.line).length;
  // Long lines are shown from here on, all by the same amount, so that they stay below one another.
  const from = frame.column > WIDTH - 20 ? frame.column - Math.floor(WIDTH / 2) : 0;
  const first = frame.line - frame.excerpt.length + 1;
  for (const [index, line] of frame.excerpt.entries()) {
    const shown = visible(line).slice(from, from + WIDTH);
    lines.push(`  ${String(first + index).padStart(gutter)} | ${shown}`.trimEnd());
  }
  const meant = frame.excerpt.at(-1);
  if (meant !== undefined) {
    const start = frame.column - 1 - from;
    const room = Math.min(meant.length - from, WIDTH) - start;
    lines.push(
      `  ${' '.repeat(gutter)} | ${' '.repeat(start)}${'^'.repeat(Math.max(1, Math.min(frame.length, room)))}`,
    );
  }
  if (frame.suggestion !== undefined) lines.push(`  did you mean \`${frame.suggestion}\`?`);
  if (frame.allowed !== undefined) lines.push(`  allowed: ${frame.allowed}`);
  return lines.join('\n');
}

/** One column per character: tabs would shift the caret, and control characters could drive the terminal. */
function visible(line: string): string {
  return line
    .replace(/\t/g, ' ')
    .replace(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, '·')
    .replace(/·$/, '');
}
