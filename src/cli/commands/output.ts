// Results go to stdout, as text or as one JSON value; everything else goes to stderr.

/** Prints text and a line feed, nothing for empty text. */
export function print(text: string): void {
  if (text !== '') process.stdout.write(`${text}\n`);
}

/** Prints one JSON value, indented. */
export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}

/** Prints a line on stderr: what is said beside the result. */
export function tell(line: string): void {
  process.stderr.write(`${line}\n`);
}
