// Starts a card's process and talks to it: a line of JSON for each command, a line of JSON for each answer.
import { PassThrough } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { dieWithParent, run } from '../../../src/host/exec.ts';
import { asRoot } from '../as-root.ts';
import type { CardCommand, CardStart, CardState } from './behaviour.ts';

export interface CardProcess {
  /** The loop device. */
  device: string;
  pid: number;
  tell: (command: CardCommand) => Promise<CardState>;
  end: () => Promise<void>;
}

const PROCESS = fileURLToPath(new URL('process.ts', import.meta.url));
const COMMAND = [process.execPath, '--import', import.meta.resolve('tsx'), PROCESS];

/** Before all else, where that is allowed: hardware does not wait for the processors of this computer. */
const AT_ONCE = ['sh', '-c', 'chrt --rr --pid 1 $$ 2>/dev/null || :; exec "$@"', 'sh'];

/** Mounts in it are its own, and end with it. */
const NAMESPACE = ['unshare', '--mount', '--propagation', 'private'];

/** Seconds within which it must answer. */
const PATIENCE = 30;

/** It ends when this process does: by a signal of the kernel, or, where sudo is in between, with its stdin. */
export async function startProcess(start: CardStart): Promise<CardProcess> {
  const input = new PassThrough();
  const waiting: ((state: CardState) => void)[] = [];
  const running = run(dieWithParent(asRoot([...NAMESPACE, ...AT_ONCE, ...COMMAND, JSON.stringify(start)])), {
    input,
    onLine: (line, stream) => {
      if (stream === 'stdout') waiting.shift()?.(JSON.parse(line) as CardState);
    },
  });
  const ended = running.then(
    () => new Error('the card has ended'),
    (error: unknown) => error as Error,
  );

  const answer = async (): Promise<CardState> => {
    const state = new Promise<CardState>((resolve) => waiting.push(resolve));
    const said = await within(PATIENCE, Promise.race([state, ended]), new Error('the card says nothing'));
    if (said instanceof Error) throw said;
    if (said.error !== undefined) throw new Error(said.error);
    return said;
  };
  const end = async (): Promise<void> => {
    input.end();
    await within(PATIENCE, ended, undefined);
    running.kill('SIGKILL');
    await ended;
  };

  try {
    const { loop: device = '', pid = 0 } = await answer();
    const tell = (command: CardCommand): Promise<CardState> => {
      input.write(`${JSON.stringify(command)}\n`);
      return answer();
    };
    return { device, pid, tell, end };
  } catch (error) {
    await end();
    throw error;
  }
}

/** What it comes to, or `otherwise` after that many seconds. */
async function within<T, U>(seconds: number, promise: Promise<T>, otherwise: U): Promise<T | U> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<U>((resolve) => (timer = setTimeout(() => resolve(otherwise), seconds * 1000)));
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
