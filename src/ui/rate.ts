// Numbers as people read them: durations, rates, and how long it will still take. Pure.
import { formatBytes } from '../lib/bytes.ts';
import type { ProgressUpdate } from '../lib/progress.ts';

/** A moment of a step: `at` in milliseconds. */
export interface Sample {
  at: number;
  done: number;
}

/** Rates are of the last five seconds: long enough to be calm, short enough to follow a network. */
const WINDOW = 5_000;

/** Seconds as `0.4 s`, `12.3 s`, `2 min 05 s`, `1 h 02 min`. */
export function formatDuration(seconds: number): string {
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${pad(whole % 60)} s`;
  return `${Math.floor(whole / 3600)} h ${pad(Math.floor((whole % 3600) / 60))} min`;
}

const pad = (value: number) => String(value).padStart(2, '0');

/** Keeps what a rate needs of `samples` with `next` added; a count that went back starts anew. */
export function addSample(samples: Sample[], next: Sample): Sample[] {
  const last = samples.at(-1);
  if (last !== undefined && next.done < last.done) return [next];
  const recent = samples.filter(({ at }) => next.at - at <= WINDOW);
  return [...recent, next];
}

/** Units per second over the samples; undefined while there is less than half a second of them. */
export function rateOf(samples: Sample[]): number | undefined {
  const [first, last] = [samples[0], samples.at(-1)];
  if (first === undefined || last === undefined || last.at - first.at < 500) return undefined;
  return ((last.done - first.done) * 1000) / (last.at - first.at);
}

/** What a step is doing in one line: `34.1 of 102 MB · 12.3 MB/s · 6 s left · libc6`. */
export function describeUpdate(update: ProgressUpdate, samples: Sample[] = []): string {
  const { message, done, total, unit } = update;
  const rate = rateOf(samples);
  const parts = [
    ...(done === undefined ? [] : [count(done, total, unit)]),
    ...(rate !== undefined && rate > 0 && unit === 'bytes' ? [`${formatBytes(rate)}/s`] : []),
    ...(done !== undefined && total !== undefined && rate ? remaining((total - done) / rate) : []),
    ...(message ? [message] : []),
  ];
  return parts.join(' · ');
}

function count(done: number, total: number | undefined, unit: ProgressUpdate['unit']): string {
  if (unit === 'bytes')
    return total === undefined ? formatBytes(done) : `${formatBytes(done)} of ${formatBytes(total)}`;
  const noun = unit === undefined ? '' : ` ${(total ?? done) === 1 ? unit.slice(0, -1) : unit}`;
  return total === undefined ? `${done}${noun}` : `${done} of ${total}${noun}`;
}

/** Below two seconds a remaining time is noise. */
function remaining(seconds: number): string[] {
  return seconds < 2 ? [] : [`${seconds < 60 ? `${Math.round(seconds)} s` : formatDuration(seconds)} left`];
}
