// One ssh connection to a booted machine, kept open: a login takes seconds on an emulated Pi, a command on it little.
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { dieWithParent, run } from '../host/exec.ts';
import { quote } from '../lib/quote.ts';
import { makeWorkFolder } from '../host/work-folder.ts';
import { PiimgError } from '../lib/errors.ts';
import { firstBytes } from './first-bytes.ts';
import { retry } from './retry.ts';

export interface Login {
  /** Of 127.0.0.1, forwarded to the machine's ssh. */
  port: number;
  user: string;
  /** File of the private key. */
  key: string;
}

export interface Answer {
  status: number;
  stdout: string;
  stderr: string;
}

export interface Session {
  login: Login;
  /**
   * Runs a shell command as root, with nothing on stdin. Throws PiimgError when the connection is lost, or when the command
   * has not ended after `seconds` (60 by default): it is ended then, on the machine too.
   */
  ask: (command: string, options?: { seconds?: number; signal?: AbortSignal }) => Promise<Answer>;
}

/** sshd allows ten sessions in one connection (MaxSessions). */
const AT_ONCE = 8;

const READY = 'piimg: logged in';
/** Before the status of a command that has ended by itself, and before that of all that was run for it. */
const STATUS = 'piimg: status ';
const OVER = 'piimg: over ';

/** The command that runs `command` on the machine; nothing of this computer's ssh configuration counts. */
export function sshCommand({ port, user, key }: Login, options: string[], command: string): string[] {
  const settings = [
    'BatchMode=yes',
    'StrictHostKeyChecking=no',
    'UserKnownHostsFile=/dev/null',
    'IdentitiesOnly=yes',
    'IdentityAgent=none',
    'LogLevel=ERROR',
    'ConnectTimeout=60',
    'ServerAliveInterval=20',
    'ServerAliveCountMax=15',
  ].flatMap((setting) => ['-o', setting]);
  return ['ssh', '-F', 'none', ...settings, ...options, '-i', key, '-p', String(port), `${user}@127.0.0.1`, command];
}

/**
 * Logs in, again and again for `seconds` while the machine is still starting, and keeps the connection for the time of
 * `work`. Throws PiimgError with what ssh said last when there was no login, the signal's reason when it was ended.
 */
export async function withSession<T>(
  { login, seconds, signal }: { login: Login; seconds: number; signal?: AbortSignal },
  work: (session: Session) => Promise<T>,
): Promise<T> {
  // A path of its own, as a socket's may not be longer than 104 characters.
  const folder = await makeWorkFolder('ssh');
  const socket = path.join(folder, 's');
  const end = new AbortController();
  try {
    const { ok, seen } = await retry(
      async (attempt) => {
        await greeting(login.port, attempt.signal);
        await connect(login, socket, signal === undefined ? end.signal : AbortSignal.any([end.signal, signal]));
        return { ok: true, seen: '' };
      },
      { within: seconds, ...(signal && { signal }) },
    );
    if (!ok) throw new PiimgError(`No login by ssh as ${login.user} within ${seconds} seconds: ${seen}`);
    return await work({ login, ask: atMost(AT_ONCE, asker(login, socket)) });
  } finally {
    end.abort();
    await rm(folder, { recursive: true, force: true });
  }
}

/** A connection that nobody answers would cost the whole attempt: looks first whether sshd is there. */
async function greeting(port: number, signal: AbortSignal): Promise<void> {
  const bytes = await firstBytes(port, {
    expect: 'SSH-',
    signal: AbortSignal.any([signal, AbortSignal.timeout(3000)]),
  });
  if (!bytes.includes('SSH-')) throw new Error('sshd does not answer yet');
}

/** Resolves when the connection that others share is logged in; it then lasts until `signal`. */
function connect(login: Login, socket: string, signal: AbortSignal): Promise<void> {
  const master = sshCommand(login, ['-M', '-S', socket], `echo "${READY}"; exec sleep infinity`);
  return new Promise((resolve, reject) => {
    run(dieWithParent(master), { signal, onLine: (line) => line === READY && resolve() }).then(
      () => reject(new Error('ssh ended')),
      reject,
    );
  });
}

function asker(login: Login, socket: string): Session['ask'] {
  return async (command, { seconds = 60, signal } = {}) => {
    const limit = Math.ceil(seconds);
    const within = ['sudo', '-n', 'env', 'LC_ALL=C.UTF-8', 'timeout', '-k', '5', String(limit)];
    // Statuses as text: ssh's own 255 and timeout's own 124 could be the command's. Of one that is ended at its deadline
    // there is none; what the machine ends itself comes a little before this side's.
    const asRoot = quote([...within, 'sh', '-c', `trap 'exit 124' TERM; sh -c "$0"; echo "${STATUS}$?" >&2`, command]);
    const line = `${asRoot} </dev/null; echo "${OVER}$?" >&2`;
    const timeout = AbortSignal.timeout((limit + 15) * 1000);
    const { stdout, stderr } = await run(sshCommand(login, ['-S', socket], line), {
      signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
    });
    const over = statusIn(stderr, OVER);
    if (over === undefined) throw new PiimgError(`The connection was lost during: ${command}`);
    const own = statusIn(over.before, STATUS);
    // coreutils' timeout: 124, or 137 where it had to kill.
    if (own === undefined && (over.status === 124 || over.status === 137))
      throw new PiimgError(`Not done within ${limit} seconds: ${command}`);
    const { status, before } = own ?? over;
    return { status, stdout, stderr: before };
  };
}

/** The number after the last `mark`, and the text before it. */
function statusIn(text: string, mark: string): { status: number; before: string } | undefined {
  const at = text.lastIndexOf(mark);
  return at < 0 ? undefined : { status: Number.parseInt(text.slice(at + mark.length), 10), before: text.slice(0, at) };
}

/** The same function, of which no more than `count` calls are under way. */
function atMost<Args extends unknown[], T>(count: number, call: (...args: Args) => Promise<T>) {
  const waiting: (() => void)[] = [];
  let free = count;
  return async (...args: Args): Promise<T> => {
    if (free > 0) free -= 1;
    else await new Promise<void>((turn) => waiting.push(turn));
    try {
      return await call(...args);
    } finally {
      const next = waiting.shift();
      if (next === undefined) free += 1;
      else next();
    }
  };
}
