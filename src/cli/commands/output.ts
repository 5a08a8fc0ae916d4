// Results go to stdout, as text or as one JSON value; everything else goes to stderr.
import { EXIT } from '../../lib/errors.ts';
import type { ProgressKind } from '../../ui/progress.ts';

/** Ends the program when its output cannot be written, in one line; whoever reads it may have seen enough (`piimg roles | head`). */
export function guardOutput(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit();
    // The terminal was closed, and what is under way is being stopped in order.
    if (error.code === 'EIO' && process.stdout.isTTY) return;
    tell(`error: stdout cannot be written: ${error.message}`);
    process.exit(EXIT.failed);
  });
  // What is lost there is only talk, unless it would be lost for a reason: then nobody is told of it but by the exit code.
  process.stderr.on('error', (error: NodeJS.ErrnoException) => {
    // EIO: the terminal was closed, and what is under way is being stopped in order.
    if (error.code !== 'EPIPE' && error.code !== 'EIO') process.exit(EXIT.failed);
  });
}

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

/** `tell`, or amid the events of `--progress json` an event that says it. */
export const sayer = (progress: ProgressKind): ((message: string) => void) =>
  progress === 'json' ? (message) => tell(JSON.stringify({ type: 'said', message })) : tell;

/** What whoever typed `npm start` types to run another command. */
export const ownName = (): string[] =>
  process.env['npm_lifecycle_event'] === 'start' ? ['npm', 'start', '--'] : ['piimg'];
