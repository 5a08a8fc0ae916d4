// Progress as plain lines, for logs: one when a step starts, one when it ends, and every few seconds what a long one does.
import { addSample, describeUpdate, formatDuration, type Sample } from './rate.ts';
import { type Listener, throttle } from './steps.ts';

/** A long step is heard of at most this often, in milliseconds. */
const INTERVAL = 5_000;

/** A listener that writes lines through `write` (without line feed). */
export function logSteps(write: (line: string) => void, now: () => number = () => performance.now()): Listener {
  const due = throttle(INTERVAL, now);
  const steps = new Map<number, { title: string; depth: number; samples: Sample[]; said: string }>();
  /** A step that does the same as when it was last heard of is not heard of again. */
  const say = (step: { said: string }, line: string): void => {
    if (step.said !== line) write(line);
    step.said = line;
  };
  return (event) => {
    if (event.type === 'start') {
      const depth = event.parent === undefined ? 0 : (steps.get(event.parent)?.depth ?? 0) + 1;
      steps.set(event.id, { title: event.title, depth, samples: [], said: '' });
      write(`${'  '.repeat(depth)}> ${event.title}`);
      due(event.id);
      return;
    }
    const step = steps.get(event.id);
    if (step === undefined) return;
    const indent = '  '.repeat(step.depth);
    switch (event.type) {
      case 'update':
        if (event.done !== undefined) step.samples = addSample(step.samples, { at: now(), done: event.done });
        if (due(event.id)) say(step, `${indent}  ${step.title}: ${describeUpdate(event, step.samples)}`);
        break;
      case 'note':
        write(`${indent}  ${step.title}: ${event.message}`);
        break;
      case 'cached':
        break;
      case 'end': {
        const how = event.ok ? (event.cached === undefined ? 'done' : `reused: ${event.cached}`) : 'FAILED';
        write(`${indent}${event.ok ? '=' : '!'} ${step.title}: ${how} (${formatDuration(event.seconds)})`);
        steps.delete(event.id);
      }
    }
  };
}
