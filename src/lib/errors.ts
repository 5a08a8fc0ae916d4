// The errors piimg raises on purpose, and what the process exits with for each.

/** Exit codes, as documented in the README: 1 failed, 2 usage or invalid role, 3 refused target, 4 missing tool. */
export const EXIT = { done: 0, failed: 1, usage: 2, refused: 3, missingTool: 4, bug: 70, interrupted: 130 } as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/**
 * A failure whose cause is known: `message` says what happened and on which file, line or device;
 * `hint` what to do; `detail` is output worth reading (the last lines of a script that failed).
 */
export class PiimgError extends Error {
  readonly exitCode: ExitCode;
  readonly hint: string | undefined;
  readonly detail: string | undefined;

  constructor(message: string, options: { exitCode?: ExitCode; hint?: string; detail?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'PiimgError';
    this.exitCode = options.exitCode ?? EXIT.failed;
    this.hint = options.hint;
    this.detail = options.detail;
  }
}
