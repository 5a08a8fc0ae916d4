// Picks how progress is shown: a live list on a terminal, lines in a log, JSON for programs, or not at all.
import type { Progress } from '../lib/progress.ts';
import { liveSteps } from './live.ts';
import { logSteps } from './log.ts';
import { type Listener, type Stage, throttle, trackSteps } from './steps.ts';
import { styleFor } from './style.ts';

export type ProgressKind = 'auto' | 'log' | 'json' | 'silent';

/** At most five updates a second and step for programs that read along. */
const JSON_INTERVAL = 200;

/** A Progress on `stream` (stderr, as stdout is for results), and the stages that have ended. `auto` is live on a terminal, else a log. */
export function createProgress(
  kind: ProgressKind,
  stream: NodeJS.WriteStream = process.stderr,
): { progress: Progress; stages: Stage[] } {
  return trackSteps(listenerFor(kind, stream));
}

function listenerFor(kind: ProgressKind, stream: NodeJS.WriteStream): Listener {
  const write = (line: string) => void stream.write(`${line}\n`);
  switch (kind) {
    case 'silent':
      return () => {};
    case 'json':
      return jsonSteps(write);
    case 'log':
      return logSteps(write);
    case 'auto':
      return stream.isTTY && process.env.TERM !== 'dumb' ? liveSteps(stream, styleFor(stream)) : logSteps(write);
  }
}

/** One JSON object a line, as in steps.ts. */
export function jsonSteps(write: (line: string) => void): Listener {
  const due = throttle(JSON_INTERVAL);
  return (event) => {
    if (event.type !== 'update' || due(event.id)) write(JSON.stringify(event));
  };
}
