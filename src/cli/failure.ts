// The one map from whatever was thrown to an exit code and what is said about it, to a person or a program.
import { CommanderError } from 'commander';
import { EXIT, type ExitCode, PiimgError } from '../lib/errors.ts';
import type { Style } from '../ui/style.ts';

/** Why the program ends; without a message everything has been said. */
export interface Failure {
  exitCode: ExitCode;
  message?: string;
  /** Output worth reading: a report, the last lines of a program, the stack of a bug. */
  detail?: string;
  /** What to do. */
  hint?: string;
}

const DISK_ERROR = 'The disk reported an error: see dmesg.';

/** Errors of the system that are nobody's bug, with what to do about each. */
const SYSTEM_HINTS: Record<string, string> = {
  ENOSPC: 'The disk is full: make room (piimg cache prune --days 1), or put the cache elsewhere with PIIMG_CACHE.',
  EDQUOT:
    'Your disk quota is used up: make room (piimg cache prune --days 1), or put the cache elsewhere with PIIMG_CACHE.',
  EACCES: 'Check the owner and mode of that file and of the folders above it.',
  EPERM: 'Check the owner and mode of that file and of the folders above it.',
  EISDIR: 'That is a folder: name a file.',
  ENOTDIR: 'A part of that path is a file, not a folder: name another one.',
  ENAMETOOLONG: 'Choose a shorter name or path.',
  ELOOP: 'Links on that path lead in a circle.',
  EROFS: 'Choose a place that can be written to.',
  EIO: DISK_ERROR,
  // What block devices say themselves, past the page cache (the kernel's block/blk-core.c, blk_errors).
  ENODATA: DISK_ERROR,
  EREMOTEIO: DISK_ERROR,
  ETIMEDOUT: DISK_ERROR,
  EILSEQ: DISK_ERROR,
  ENOLINK: DISK_ERROR,
  ENOMEDIUM: 'No card is in that reader: put one in. piimg drives lists cards.',
  ENXIO: 'The device is gone, or has no card in it: put it in again. piimg drives lists cards.',
  ENODEV: 'The device is gone: put it in again. piimg drives lists cards.',
  EMFILE: 'Too many files are open: raise the limit with ulimit -n.',
  ENFILE: 'Too many files are open on this machine.',
};

/** `aborted`: the user has asked to stop, so whatever was thrown since is only how the work ended. */
export function describeFailure(error: unknown, { aborted, version }: { aborted: boolean; version: string }): Failure {
  // commander has printed its message, with a suggestion; help and version asked for are no failure.
  if (error instanceof CommanderError) return { exitCode: error.exitCode === 0 ? EXIT.done : EXIT.usage };
  if (aborted || (error instanceof PiimgError && error.exitCode === EXIT.interrupted)) {
    return { exitCode: EXIT.interrupted, message: 'Interrupted.' };
  }
  if (error instanceof PiimgError) {
    const { exitCode, message, detail, hint } = error;
    return { exitCode, message, ...(detail && { detail }), ...(hint && { hint }) };
  }
  const hint = SYSTEM_HINTS[codeOf(error)];
  if (hint !== undefined && error instanceof Error) return { exitCode: EXIT.failed, message: error.message, hint };
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return {
    exitCode: EXIT.bug,
    message: 'this is a bug in piimg.',
    detail: `${stack}\npiimg ${version}, Node.js ${process.versions.node}, ${process.platform} ${process.arch}`,
    hint: 'Please report it with the lines above and the command you ran.',
  };
}

/** A failure for a person to read, without a newline at the end. */
export function failureText({ exitCode, message = '', detail, hint }: Failure, style: Style): string {
  if (exitCode === EXIT.interrupted) return message;
  const parts = [
    `${style.red(style.bold('error:'))} ${message}`,
    detail && style.dim(detail.replace(/^/gm, '  | ')),
    hint && `${style.cyan('hint:')} ${hint}`,
  ];
  return parts.filter(Boolean).join('\n');
}

/** A failure as the last line of `--progress json`: `code` is the exit code; `detail` and `hint` only where there are any. */
export function failureEvent({ exitCode, ...failure }: Failure): string {
  return JSON.stringify({ type: 'failure', code: exitCode, ...failure });
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'syscall' in error && 'code' in error ? String(error.code) : '';
}
