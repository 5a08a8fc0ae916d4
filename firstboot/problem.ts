// What keeps a machine from becoming its role, told to the person who has to act.

/** A failure whose cause is known: `message` says what happened and where, `hint` what to do, `output` what a program said last. */
export class Problem extends Error {
  readonly hint: string | undefined;
  readonly output: string | undefined;

  constructor(message: string, options: { hint?: string; output?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'Problem';
    this.hint = options.hint;
    this.output = options.output;
  }
}

/** Errors of the system that a person can do something about. */
const SYSTEM: Record<string, string> = {
  ENOSPC: 'The card is full: remove something, or use a larger one. Then: piimg-firstboot retry',
  EDQUOT: 'The disk quota is used up. Then: piimg-firstboot retry',
  EROFS: 'The card cannot be written to: check its lock switch and `dmesg`, or use another card.',
  EIO: 'The card reported an error: see `dmesg`, and use another card.',
};

/** Whatever was thrown, with a hint where the system's error code allows one. */
export function asProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  const { message = String(error), code = '' } = error instanceof Error ? (error as NodeJS.ErrnoException) : {};
  const hint = SYSTEM[code];
  return new Problem(message, { cause: error, ...(hint !== undefined && { hint }) });
}
