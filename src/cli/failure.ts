// The one map from whatever was thrown to an exit code and the text a person reads.
import { CommanderError } from 'commander';
import { EXIT, type ExitCode, PiimgError } from '../lib/errors.ts';
import type { Style } from '../ui/style.ts';

export interface Failure {
  exitCode: ExitCode;
  /** For stderr; empty when everything has been said. */
  text: string;
}

/** Errors of the system that are nobody's bug, with what to do about each. */
const SYSTEM_HINTS: Record<string, string> = {
  ENOSPC: 'The disk is full: make room (piimg cache prune), or put the cache elsewhere with PIIMG_CACHE.',
  EDQUOT: 'Your disk quota is used up: make room (piimg cache prune), or put the cache elsewhere with PIIMG_CACHE.',
  EACCES: 'Check the owner and mode of that file and of the folders above it.',
  EPERM: 'Check the owner and mode of that file and of the folders above it.',
  EISDIR: 'That is a folder: name a file.',
  ENOTDIR: 'A part of that path is a file, not a folder: check --out and PIIMG_CACHE.',
  ELOOP: 'Links on that path lead in a circle.',
  EROFS: 'Choose a place that can be written to.',
  EIO: 'The disk reported an error: see dmesg.',
  EMFILE: 'Too many files are open: raise the limit with ulimit -n.',
  ENFILE: 'Too many files are open on this machine.',
};

/** `aborted`: the user has asked to stop, so whatever was thrown since is only how the work ended. */
export function describeFailure(error: unknown, options: { aborted: boolean; version: string; style: Style }): Failure {
  const { aborted, version, style } = options;
  const failed = (message: string) => `${style.red(style.bold('error:'))} ${message}`;
  // commander has printed its message, with a suggestion; help and version asked for are no failure.
  if (error instanceof CommanderError) return { exitCode: error.exitCode === 0 ? EXIT.done : EXIT.usage, text: '' };
  if (aborted || (error instanceof PiimgError && error.exitCode === EXIT.interrupted)) {
    return { exitCode: EXIT.interrupted, text: 'Interrupted.' };
  }
  if (error instanceof PiimgError) {
    const detail = error.detail?.replace(/^/gm, '  | ');
    const parts = [
      failed(error.message),
      detail && style.dim(detail),
      error.hint && `${style.cyan('hint:')} ${error.hint}`,
    ];
    return { exitCode: error.exitCode, text: parts.filter(Boolean).join('\n') };
  }
  const hint = SYSTEM_HINTS[codeOf(error)];
  if (hint !== undefined && error instanceof Error) {
    return { exitCode: EXIT.failed, text: `${failed(error.message)}\n${style.cyan('hint:')} ${hint}` };
  }
  return { exitCode: EXIT.bug, text: describeBug(error, version, failed) };
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'syscall' in error && 'code' in error ? String(error.code) : '';
}

function describeBug(error: unknown, version: string, failed: (message: string) => string): string {
  return [
    failed('this is a bug in piimg.'),
    error instanceof Error ? (error.stack ?? error.message) : String(error),
    `piimg ${version}, Node.js ${process.versions.node}, ${process.platform} ${process.arch}`,
    'Please report it with the lines above and the command you ran.',
  ].join('\n');
}
