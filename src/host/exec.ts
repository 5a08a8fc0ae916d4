// The one way piimg starts programs: output by line, errors a person can act on, children that end with us.
import { existsSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { execa, type Options, type Result } from 'execa';
import { EXIT, PiimgError } from '../lib/errors.ts';
import { findProgram, searchPath } from './requirements.mjs';
import { missingTool } from './tools.ts';
import { quote } from '../lib/quote.ts';

export interface RunOptions {
  /** What the program reads from stdin; nothing by default. */
  input?: string | Uint8Array | Readable;
  /** Added to this process's environment, or all there is when `extendEnv` is false. */
  env?: Record<string, string>;
  extendEnv?: boolean;
  cwd?: string;
  /** Called for every line of text as it comes (stderr only when stdout is a stream). */
  onLine?: (line: string, stream: 'stdout' | 'stderr') => void;
  /**
   * `text` (default) collects it; `lines` gives it to `onLine` alone, however much it is; `stream` leaves the bytes to be read from
   * `stdout`; `inherit` hands over the terminal, stdin included.
   */
  stdout?: 'text' | 'lines' | 'stream' | 'inherit';
  /** Ends the program with SIGTERM, five seconds later with SIGKILL. */
  signal?: AbortSignal;
  /** Exit statuses that are no failure; [0] by default. */
  okCodes?: number[];
}

export interface RunResult {
  stdout: string;
  stderr: string;
  exitCode: number;
}

/** A program under way: await it for its result. */
export interface Running extends Promise<RunResult> {
  pid: number | undefined;
  /** The bytes it prints, when `stdout: 'stream'` was asked for: read them, or it will block. */
  stdout: Readable;
  kill(signal?: NodeJS.Signals): void;
}

/** One that need not be waited for. */
export interface Leavable extends Running {
  /** This process may end before it does. */
  leave(): void;
}

/** Lines of output an error keeps. */
const TAIL = 20;

/**
 * Starts `command` (no shell) and resolves when it has ended well. /usr/sbin and the like are searched too, as an ordinary
 * user's PATH lacks them. Throws PiimgError: the command quoted for a shell, its status and its last 20 lines as `detail`;
 * exit code 4 naming the Debian package when it is not installed; 130 when `signal` (or the user's Ctrl-C) ended it.
 */
export function run(command: string[], options: RunOptions = {}): Leavable {
  const [program = '', ...args] = command;
  const tail: string[] = [];
  const child = execa(program, args, execaOptions(options, tail));
  const result = child.then((ended) => judge(command, options, ended, tail));
  return Object.assign(result, {
    pid: child.pid,
    // execa types it by its options; without a pipe nobody reads it.
    stdout: child.stdout as Readable,
    kill: (signal: NodeJS.Signals = 'SIGTERM') => void child.kill(signal),
    leave() {
      child.unref();
      for (const pipe of [child.stdin, child.stdout, child.stderr]) pipe?.destroy();
    },
  });
}

/** setpriv asks the kernel for the signal; the shell then looks whether the parent was still there to wait for. */
const GUARD = ['setpriv', '--pdeathsig', 'KILL', '--', 'sh', '-c', '[ "$PPID" = "$0" ] && exec "$@"'];

/**
 * The command with a prefix that has the kernel kill it when this process dies, be it by SIGKILL, at whatever moment: execa
 * cannot do that. Only for a command given to `run` as it is, so that this process is its parent. Errors leave the prefix out.
 * Other kernels than Linux have no such signal: there it is the command itself.
 */
export function dieWithParent(command: string[]): string[] {
  return process.platform !== 'linux' ? command : [...GUARD, String(process.pid), ...command];
}

function withoutGuard(command: string[]): string[] {
  return GUARD.every((word, index) => command[index] === word) ? command.slice(GUARD.length + 1) : command;
}

function execaOptions(options: RunOptions, tail: string[]): Options {
  const { input, env, extendEnv = true, cwd, onLine, stdout = 'text', signal } = options;
  const reader = (stream: 'stdout' | 'stderr') =>
    function* (line: unknown) {
      const text = String(line);
      tail.push(text);
      if (tail.length > TAIL) tail.shift();
      onLine?.(text, stream);
      yield text;
    };
  const shared: Options = {
    env: { ...env, PATH: searchPath({ ...(extendEnv ? process.env : {}), ...env }) },
    extendEnv,
    reject: false,
    ...(cwd !== undefined && { cwd }),
    ...(signal && { cancelSignal: signal }),
  };
  if (stdout === 'inherit') return { ...shared, stdio: 'inherit' };
  return {
    ...shared,
    ...(input === undefined ? { stdin: 'ignore' } : { input }),
    ...(stdout === 'stream' ? {} : { stdout: reader('stdout') }),
    ...(stdout === 'text' ? {} : { buffer: { stdout: false } }),
    stderr: reader('stderr'),
  };
}

function judge(started: string[], options: RunOptions, ended: Result, tail: string[]): RunResult {
  const { signal, okCodes = [0], cwd } = options;
  const command = withoutGuard(started);
  if (ended.exitCode !== undefined && okCodes.includes(ended.exitCode)) {
    // The program did well, but what `onLine` did with its output threw.
    if (ended.cause instanceof Error && ended.code === undefined) throw ended.cause;
    return { stdout: text(ended.stdout), stderr: text(ended.stderr), exitCode: ended.exitCode };
  }
  if (signal?.aborted) throw interruption(command, signal);
  if (ended.signal === 'SIGINT') throw new PiimgError('Interrupted', { exitCode: EXIT.interrupted });
  if (cwd !== undefined && !existsSync(cwd))
    throw new PiimgError(`${quote(command)}: its folder ${cwd} does not exist`);
  if (ended.code === 'ENOENT') throw missingTool(started[0] ?? '');
  // The guard's shell reports a program it cannot find as status 127.
  if (ended.exitCode === 127 && command !== started && findProgram(command[0] ?? '') === undefined) {
    throw missingTool(command[0] ?? '');
  }
  throw new PiimgError(`${how(ended)}: ${quote(command)}`, {
    ...(tail.length > 0 && { detail: tail.join('\n') }),
    cause: ended.cause,
  });
}

function how(ended: Result): string {
  if (ended.exitCode !== undefined) return `Command failed with status ${ended.exitCode}`;
  if (ended.signal !== undefined) return `Command was ended by ${ended.signal}`;
  return `Command could not be run (${ended.code ?? ended.originalMessage ?? 'unknown reason'})`;
}

function interruption(command: string[], signal: AbortSignal): unknown {
  const reason: unknown = signal.reason;
  if (reason instanceof PiimgError) return reason;
  if (reason instanceof Error && reason.name === 'TimeoutError') {
    return new PiimgError(`Command took longer than it may: ${quote(command)}`);
  }
  return new PiimgError('Interrupted', { exitCode: EXIT.interrupted });
}

const text = (output: unknown): string => (typeof output === 'string' ? output : '');
