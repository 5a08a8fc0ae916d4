// `piimg flash` for tests: images that are made in no time, and the command with what it said.
import { randomFillSync } from 'node:crypto';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import * as assert from 'uvu/assert';
import { encodeMbr } from '../../src/image/mbr.ts';
import { run, type Running } from '../../src/host/exec.ts';
import type { LedgerRow } from '../../src/flash/ledger.ts';
import { PiimgError } from '../../src/lib/errors.ts';
import { quote } from '../../src/lib/quote.ts';
import { asRoot } from './as-root.ts';
import { piimgCommand } from './command.ts';
import { moved, type Card } from './rig/card.ts';

export const MIB = 1 << 20;
const SECTOR = 512;

/** Makes `plain.img` in `folder`: a partition table, noise, and a hole; nobody's but for that. */
export async function plainImage(folder: string, size = 24 * MIB): Promise<string> {
  const file = path.join(folder, 'plain.img');
  const handle = await open(file, 'w');
  const noise = randomFillSync(Buffer.alloc(size));
  noise.fill(0, size / 2, Math.min(size, size / 2 + 5 * MIB));
  encodeMbr(0x1a2b3c4d, [{ number: 1, type: 0x83, start: 2048, sectors: size / SECTOR - 2048 }]).copy(noise);
  await handle.write(noise);
  await handle.close();
  return file;
}

/** Until so many bytes have been written to the card, or read from it. */
export async function untilMoved(card: Card, kind: 'write' | 'read', bytes: number): Promise<void> {
  while (moved(await card.requests(), kind) < bytes) await sleep(20);
}

export interface FlashedJson {
  cards: {
    device: string;
    node?: string;
    verdict: 'verified' | 'written' | 'failed' | 'stopped';
    problem?: string;
    hint?: string;
    notes: string[];
    login?: string;
    knownHosts: string[];
    written: number;
    read: number;
    digest?: string;
  }[];
  ledger: LedgerRow[];
}

export interface Said {
  code: number;
  stdout: string;
  stderr: string;
  /** Whether the card has other bytes than before, where that was looked at. */
  touched?: boolean;
}

/** `piimg` with root's rights: sudo leaves nothing of the environment. */
export async function piimgAsRoot(folder: string, ...args: string[]): Promise<Said> {
  const own = ['env', `PIIMG_CACHE=${path.join(folder, 'cache')}`, 'FORCE_COLOR=0'];
  const options = { cwd: folder, okCodes: [0, 1, 2, 3, 70], signal: AbortSignal.timeout(60_000) };
  const { stdout, stderr, exitCode } = await run(asRoot([...own, ...piimgCommand(), ...args]), options);
  return { stdout, stderr, code: exitCode };
}

/** Starts `piimg ARGS` in `folder`, with a cache of its own there. Any exit status will do. */
export function startPiimg(folder: string, args: string[], seconds = 120, input?: string | Buffer): Running {
  return run([...piimgCommand(), ...args], {
    cwd: folder,
    env: { PIIMG_CACHE: path.join(folder, 'cache'), FORCE_COLOR: '0', HOME: folder },
    okCodes: [0, 1, 2, 3, 4, 70, 130],
    signal: AbortSignal.timeout(seconds * 1000),
    ...(input !== undefined && { input }),
  });
}

export async function piimg(folder: string, ...args: string[]): Promise<Said> {
  const { stdout, stderr, exitCode } = await startPiimg(folder, args);
  return { stdout, stderr, code: exitCode };
}

/** Flashes `image` to the card from where its mounts are seen, after a script there; with a look at all of the card before and after. */
export async function inside(card: Card, script: string, folder: string, ...args: string[]): Promise<Said> {
  const all = `digest() { sync; dd if="$CARD" bs=1M iflag=direct status=none | sha256sum; }
${script}
before=$(digest)
"$@" && echo code=0 || echo "code=$?"
[ "$before" = "$(digest)" ] || echo touched`;
  const command = ['sh', '-euc', all, 'sh', ...piimgCommand(), 'flash', ...args];
  const { stdout, stderr } = await run(
    card.inside(['env', `PIIMG_CACHE=${folder}/cache`, `CARD=${card.path}`, `AT=${folder}`, ...command]),
    {
      cwd: folder,
      signal: AbortSignal.timeout(60_000),
    },
  );
  return { code: Number(/code=(\d+)/.exec(stdout)?.[1]), stdout, stderr, touched: /^touched$/m.test(stdout) };
}

/** It refused, said why and what to do, did not fall over, and wrote nothing where that was looked at (`inside`). */
export function refused({ code, stderr, touched = false }: Said, reason: RegExp, hint?: RegExp): void {
  assert.is(code, 3, stderr);
  assert.match(stderr, reason);
  assert.match(stderr, hint ?? /^hint: /m);
  assert.not.match(stderr, /^ {4}at /m, 'a stack is for bugs');
  assert.not.ok(touched, 'the card was touched');
}

/**
 * `piimg ARGS` as a person at a terminal has it (script(1)): each answer is typed, or done, when its question is on the screen. Gives all that
 * was there, and the exit status.
 */
export async function atTerminal(
  folder: string,
  args: string[],
  answers: [RegExp, string | (() => Promise<void>)][],
): Promise<{ screen: string; code: number }> {
  const keyboard = new PassThrough();
  const running = run(
    ['script', '--quiet', '--return', '--command', quote([...piimgCommand(), ...args]), '/dev/null'],
    {
      cwd: folder,
      env: { PIIMG_CACHE: path.join(folder, 'cache'), NO_COLOR: '1', HOME: folder, TERM: 'dumb' },
      okCodes: [0, 1, 2, 3, 4, 70, 130],
      input: keyboard,
      stdout: 'stream',
      signal: AbortSignal.timeout(120_000),
    },
  );
  let screen = '';
  const open = [...answers];
  let acting: Promise<void> = Promise.resolve();
  const answer = async (): Promise<void> => {
    const [next] = open;
    if (!next?.[0].test(screen)) return;
    open.shift();
    if (typeof next[1] === 'string') keyboard.write(`${next[1]}\n`);
    else {
      await next[1]();
      // One question may want something done, and then to be answered.
      await answer();
    }
  };
  let failed: unknown;
  running.stdout.on('data', (bytes: Buffer) => {
    screen += bytes.toString();
    acting = acting.then(answer).catch((error: unknown) => {
      failed ??= error;
      running.kill();
    });
  });
  const { exitCode } = await running
    .catch((error: unknown) => {
      throw failed ?? error;
    })
    .finally(() => keyboard.end());
  await acting;
  return { screen, code: exitCode };
}

/** Options that agree to cards of the rig, which are loops. */
export const agreed = (cards: Card[]): string[] => [
  '--yes',
  '--allow-fixed',
  ...cards.flatMap((card) => ['--confirm', path.basename(card.path)]),
];

/** What `piimg flash … --json` said. Throws Error with its words when that is no JSON. */
export function flashedOf({ stdout, stderr, code }: Said): FlashedJson & { code: number } {
  try {
    return { ...(JSON.parse(stdout) as FlashedJson), code };
  } catch {
    throw new PiimgError(`exit status ${code}\n${stdout}\n${stderr}`);
  }
}
