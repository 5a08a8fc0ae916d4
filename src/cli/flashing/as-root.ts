// Starts the writer: in this process where the cards may be opened, else alone as root through sudo.
import { constants } from 'node:fs';
import { access, open, stat } from 'node:fs/promises';
import { PassThrough } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { run } from '../../host/exec.ts';
import { findProgram } from '../../host/requirements.mjs';
import { CHUNK } from '../../flash/write/chunks.ts';
import { LAST_ANSWER } from '../../flash/write/guarded.ts';
import { startReader, type Reader } from '../../flash/write/reader.ts';
import type { FlashedCard, Tell } from '../../flash/write/types.ts';
import { EXIT, PiimgError } from '../../lib/errors.ts';
import { quote } from '../../lib/quote.ts';
import { within } from '../../lib/within.ts';
import { ownCommand } from '../own-command.ts';
import { errorOf, faultOf } from './fault.ts';
import { sendFrame, type Down, type Up } from './remote.ts';
import { runWriter, type WriterPlan } from './writer.ts';

/**
 * How the cards of `plan` are written, as by `runWriter`: asked before anything is shown that moves, as sudo may want a password. Throws
 * PiimgError (refused), with the command that would do, where nobody may open the cards.
 */
export async function allowedWriter(
  plan: WriterPlan,
  signal: AbortSignal,
): Promise<(tell: Tell) => Promise<FlashedCard[]>> {
  signal.throwIfAborted();
  const disks = plan.cards.flatMap(({ disk }) => disk?.path ?? []);
  if (await mayOpen(disks, plan.mode !== 'verify')) return (tell) => runWriter(plan, tell, { signal });
  const command = [...(await sudo()), ...writerCommand()];
  return (tell) => writeThrough(command, plan, tell, signal);
}

/** Whether this user may open all of them, without sudo. */
async function mayOpen(disks: string[], write: boolean): Promise<boolean> {
  if (process.getuid?.() === 0) return true;
  for (const disk of disks) {
    try {
      await access(disk, write ? constants.R_OK | constants.W_OK : constants.R_OK);
    } catch {
      return false;
    }
  }
  return true;
}

/**
 * Has root run all of this command, of one that leaves no file, where this user may not open `disks`; what are none do not count. False where it
 * may. The exit code is that command's. Throws as `sudo`.
 */
export async function ranAsRoot(disks: string[], write: boolean): Promise<boolean> {
  const kinds = await Promise.all(disks.map((disk) => stat(disk).catch(() => undefined)));
  const devices = disks.filter((_, index) => kinds[index]?.isBlockDevice());
  if (await mayOpen(devices, write)) return false;
  const okCodes = Object.values(EXIT);
  const { exitCode } = await run([...(await sudo()), ...ownCommand()], { stdout: 'inherit', okCodes });
  process.exitCode = exitCode;
  return true;
}

/**
 * sudo, as the beginning of a command; it has its password by now. Throws PiimgError (refused), with the command that would do, where it
 * is not there or nobody can give it a password.
 */
async function sudo(): Promise<string[]> {
  const program = findProgram('sudo');
  if (program === undefined) throw notAllowed();
  if (await sudoIsFree(program)) return [program, '--'];
  if (!(await hasTerminal())) throw notAllowed();
  // sudo(8), -v: asks, at the terminal itself, and runs nothing.
  await run([program, '-v']).catch(() => {
    throw notAllowed();
  });
  return [program, '--'];
}

/** sudo asks there for the password, whatever stdin is. */
const hasTerminal = (): Promise<boolean> =>
  open('/dev/tty', 'r+').then(
    async (terminal) => {
      await terminal.close();
      return true;
    },
    () => false,
  );

/** sudo(8), -n: fails where it would have to ask. */
const sudoIsFree = (sudo: string): Promise<boolean> =>
  run([sudo, '-n', 'true']).then(
    () => true,
    () => false,
  );

export function writerCommand(): string[] {
  const file = fileURLToPath(
    new URL(import.meta.url.endsWith('.ts') ? './writer-main.ts' : '../cli/writer-main.js', import.meta.url),
  );
  const loader = file.endsWith('.ts') ? ['--import', import.meta.resolve('tsx')] : [];
  return [process.execPath, ...loader, file];
}

function notAllowed(): PiimgError {
  return new PiimgError('Only root may open that card, and sudo was given no password', {
    exitCode: EXIT.refused,
    hint: quote(['sudo', ...ownCommand()]),
  });
}

/** Runs the writer as `command`, and reads the image for it. */
export async function writeThrough(
  command: string[],
  plan: WriterPlan,
  tell: Tell,
  signal: AbortSignal,
): Promise<FlashedCard[]> {
  signal.throwIfAborted();
  const pipe = new PassThrough();
  const readers = new Map<number, Reader & { credit: number; waiting: (() => void)[] }>();
  let sending: Promise<void> = Promise.resolve();
  const send = (head: Down, bytes?: Uint8Array): Promise<void> =>
    (sending = sending.then(() => sendFrame(pipe, head, bytes)));
  let flashed: FlashedCard[] | undefined;
  let said = (): void => {};
  const over = new Promise<void>((resolve) => (said = resolve));
  let failure: PiimgError | undefined;

  const begin = ({ reader: id, ranges, from, slots }: Extract<Up, { type: 'open' }>): void => {
    const state = { credit: slots, waiting: [] as (() => void)[] };
    // The end of an image comes after its last piece, which may have to wait.
    let line: Promise<unknown> = Promise.resolve();
    const inLine = (work: () => Promise<unknown>): void => void (line = line.then(work));
    const reader = startReader(
      { source: plan.source, ranges, from, slots },
      {
        chunk: ({ slot, ...chunk }) =>
          inLine(async () => {
            if (state.credit === 0) await new Promise<void>((resolve) => state.waiting.push(resolve));
            state.credit--;
            const bytes = reader.ring.subarray(slot * CHUNK, slot * CHUNK + chunk.length);
            await send({ type: 'chunk', reader: id, chunk }, bytes);
            reader.free(slot);
          }),
        end: (size) => inLine(() => send({ type: 'end', reader: id, size })),
        error: (error) => inLine(() => send({ type: 'error', reader: id, fault: faultOf(error) })),
      },
    );
    readers.set(id, Object.assign(state, reader));
  };
  const heard = (message: Up): void => {
    switch (message.type) {
      case 'open':
        return begin(message);
      case 'free': {
        const reader = readers.get(message.reader);
        if (reader === undefined) return;
        reader.credit++;
        return reader.waiting.shift()?.();
      }
      case 'stop':
        void readers.get(message.reader)?.stop();
        readers.delete(message.reader);
        return;
      case 'event':
        return tell(message.card, message.event);
      case 'result':
        flashed = message.flashed;
        said();
        pipe.end();
        return;
      case 'failed':
        failure = errorOf(message.fault);
        pipe.end();
    }
  };
  // The writer leaves its cards as they are when nobody reads the image any more.
  const stop = (): void => void pipe.end();
  signal.addEventListener('abort', stop);
  const contents = plan.cards.flatMap((card) => card.patches.flatMap(({ content }) => content ?? []));
  const bare = plan.cards.map((card) => ({
    ...card,
    patches: card.patches.map(({ offset, length, content }) => ({ offset, length, given: content !== undefined })),
  }));
  const { prefix: _, ...source } = plan.source;
  // Not waited for: it is taken once the writer has begun.
  void send({ type: 'plan', plan: { ...plan, source, cards: bare } }, Buffer.concat(contents));
  try {
    const running = run(command, {
      input: pipe,
      stdout: 'lines',
      onLine: (line, stream) => {
        if (stream === 'stdout') heard(JSON.parse(line) as Up);
      },
    });
    // A writer with a thread that waits for a dead card cannot end before the card is taken out.
    await Promise.race([running, over.then(() => within(LAST_ANSWER, running))]);
  } catch (error) {
    if (failure === undefined) throw error;
  } finally {
    signal.removeEventListener('abort', stop);
    for (const reader of readers.values()) void reader.stop();
  }
  if (failure !== undefined) throw failure;
  if (flashed === undefined) throw new PiimgError('The writer ended without a word');
  return flashed;
}
