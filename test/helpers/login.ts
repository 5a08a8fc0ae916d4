// Logs in to a booted machine by ssh and asks it things.
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { run } from '../../src/host/exec.ts';

/** Makes a key in `folder`. */
export async function newKey(folder: string): Promise<{ file: string; public: string }> {
  const file = path.join(folder, 'id_ed25519');
  await run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', 'test', '-f', file]);
  return { file, public: (await readFile(`${file}.pub`, 'utf8')).trim() };
}

/** The command that runs `command` at 127.0.0.1:`port`; nothing of this machine's ssh configuration counts. */
export function sshCommand(port: number, user: string, options: string[], command: string): string[] {
  const fixed = [
    'BatchMode=yes',
    'StrictHostKeyChecking=no',
    'UserKnownHostsFile=/dev/null',
    'IdentitiesOnly=yes',
    'LogLevel=ERROR',
  ];
  const settings = [...fixed, 'ConnectTimeout=60', 'ServerAliveInterval=20', 'ServerAliveCountMax=15'].flatMap(
    (setting) => ['-o', setting],
  );
  return ['ssh', '-F', 'none', ...settings, ...options, '-p', String(port), `${user}@127.0.0.1`, command];
}

export interface Answer {
  status: number;
  /** stdout and stderr, without white space at the ends. */
  output: string;
}

const MARK = '=== piimg test ===';

/** Runs every command in one login: a login takes seconds in an emulated machine. At most ten minutes. */
export async function askGuest<Name extends string>(
  port: number,
  user: string,
  key: string,
  questions: Record<Name, string>,
): Promise<Record<Name, Answer>> {
  const names = Object.keys(questions) as Name[];
  const script = names
    .map((name) => `status=0; (${questions[name]}) </dev/null 2>&1 || status=$?; echo; echo "${MARK}$status"`)
    .join('\n');
  const { stdout } = await run(sshCommand(port, user, ['-i', key], 'sh'), {
    input: `export LC_ALL=C.UTF-8\n${script}\n`,
    signal: AbortSignal.timeout(10 * 60_000),
  });
  const parts = stdout.split(MARK);
  // Each part begins with the status of the command before it.
  const answers = names.map((name, index) => {
    const output = (parts[index] ?? '').replace(index === 0 ? /^/ : /^\d+\n/, '').trim();
    return [name, { status: parseInt(parts[index + 1] ?? '', 10), output }];
  });
  return Object.fromEntries(answers) as Record<Name, Answer>;
}
