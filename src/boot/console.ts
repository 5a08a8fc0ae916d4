// What the console and the processors of a machine tell: recognises a boot that cannot go well, as text arrives. Pure.
import { plainText } from '../lib/plain-text.ts';
import { FAULTS, ROOT_HINT, UP, type Fault } from './faults.ts';
import type { Reason } from './report.ts';

/**
 * Seconds without a word and with idle processors that make a hang. An initramfs waits 30 s for its root, systemd 90 s for a device
 * (DefaultDeviceTimeoutSec), without a word; then both say what is missing, which is worth more.
 */
const SILENCE = 120;
/** Processor seconds that a machine which does nothing may take in that time: timer ticks, a kernel thread. */
const IDLE = 12;
/**
 * Linux, init/do_mounts.c: with `rootwait` the kernel itself waits for ever, and asks every 5 ms, which costs more than idling: 8 s in SILENCE
 * on one computer, 21 s on another. Whatever it takes, it does nothing else.
 */
const WAITS_FOR_ROOT = /Waiting for root device (\S+)\.\.\./;

/** Lines marked before and from the one that tells, and how far before it a cause may be to be marked too. */
const BEFORE = 8;
const AFTER = 5;
const FAR = 60;

/** What was seen since the last look. */
export interface Observation {
  /** Seconds since power-on. */
  at: number;
  /** What the console has said, as it came. */
  text: string;
  /** Seconds its processors ran or waited for one of the host's; undefined where the host does not tell. */
  busy: number | undefined;
  /** The machine was asked to switch itself off. */
  mayGoOff: boolean;
}

export interface Watched {
  /** Complete lines, without colours. */
  lines: readonly string[];
  /** The line under way, as it came. */
  rest: string;
  reason?: Reason;
  /** Lines to look at first: from, to (0-based, exclusive). */
  marked?: [from: number, to: number];
  /** The system is up: from now on silence is its good right. */
  up: boolean;
  /** Since when there was not a word, and the processor seconds taken since. */
  quiet: { since: number; busy: number };
}

export const NOTHING_SEEN: Watched = { lines: [], rest: '', up: false, quiet: { since: 0, busy: 0 } };

/** Takes in what was seen. The first reason stays: what comes later is mostly its consequence. */
export function observe(before: Watched, seen: Observation): Watched {
  const parts = (before.rest + seen.text).split('\n');
  const rest = parts.pop() ?? '';
  const lines = [...before.lines, ...parts.map(plainText)];
  const watched: Watched = { ...before, lines, rest, quiet: quietAfter(before.quiet, seen, lines.at(-1)) };
  watched.up ||= [...lines.slice(before.lines.length), plainText(rest)].some((line) => UP.test(line));
  if (watched.reason !== undefined) return watched;
  return findFault(watched, before.lines.length, seen.mayGoOff) ?? findSilence(watched, seen.at) ?? watched;
}

/** All the console has said, without colours. */
export function consoleText({ lines, rest }: Watched): string {
  return [...lines, plainText(rest)].join('\n');
}

/** A slow machine that is busy is not quiet: the wait begins anew when it took more than an idle one. */
function quietAfter({ since, busy }: Watched['quiet'], seen: Observation, line = ''): Watched['quiet'] {
  const sum = busy + (seen.busy ?? Infinity);
  const works = sum > IDLE && !WAITS_FOR_ROOT.test(line);
  return seen.text !== '' || works ? { since: seen.at, busy: 0 } : { since, busy: sum };
}

function findFault(watched: Watched, from: number, mayGoOff: boolean): Watched | undefined {
  const faults = FAULTS.filter(({ whenAsked }) => !(mayGoOff && whenAsked === true));
  const ended = watched.lines.length - from;
  for (const [index, line] of [...watched.lines.slice(from), plainText(watched.rest)].entries()) {
    // A prompt never ends its line; every other line is whole only when it has ended.
    const fault = faults.find(({ pattern, prompt }) => (index < ended || prompt === true) && pattern.test(line));
    if (fault !== undefined) return withFault(watched, fault, from + index, line);
  }
  return undefined;
}

function withFault(
  watched: Watched,
  { code, pattern, message, hint, cause }: Fault,
  at: number,
  line: string,
): Watched {
  const [, ...words] = pattern.exec(line) ?? [];
  const earlier = cause === undefined ? -1 : watched.lines.findIndex((text) => cause.test(text));
  const known = watched.lines[earlier];
  const reason: Reason = {
    code,
    message: message(words[0]?.trim() ?? '') + (known === undefined ? '' : `: ${known.trim()}`),
    ...(hint !== undefined && { hint }),
  };
  const first = known === undefined || at - earlier > FAR ? at - BEFORE : earlier;
  return { ...watched, reason, marked: [Math.max(0, first), at + AFTER] };
}

function findSilence(watched: Watched, at: number): Watched | undefined {
  if (watched.up || at - watched.quiet.since < SILENCE) return undefined;
  const { lines } = watched;
  return {
    ...watched,
    reason: reasonOfSilence(lines.at(-1)),
    marked: [Math.max(0, lines.length - BEFORE), lines.length],
  };
}

function reasonOfSilence(line: string | undefined): Reason {
  const [, root] = WAITS_FOR_ROOT.exec(line ?? '') ?? [];
  if (root !== undefined) {
    return { code: 'no-root', message: `The kernel did not find its root file system ${root}`, hint: ROOT_HINT };
  }
  const what = line === undefined ? 'The console never said a word' : 'The console fell silent';
  return { code: 'silent', message: `${what}, and the processors have been idle for ${SILENCE} s: the machine hangs` };
}
