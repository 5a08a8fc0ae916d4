// Ctrl-C: the first stops the work in order, a second one at once. A terminal that is closed stops it in order as well.
import { EXIT, PiimgError } from '../lib/errors.ts';

/** npm hands its own SIGINT on, so that one Ctrl-C may arrive twice: within this many milliseconds it is the same one. */
const SAME = 500;

/** A signal that SIGINT, SIGTERM and SIGHUP abort; `now` in milliseconds. */
export function abortOnSignals(now: () => number = () => performance.now()): AbortSignal {
  const controller = new AbortController();
  let first = 0;
  const stop = () => {
    if (!controller.signal.aborted) {
      first = now();
      controller.abort(new PiimgError('Interrupted', { exitCode: EXIT.interrupted }));
    } else if (now() - first > SAME) {
      process.exit(EXIT.interrupted);
    }
  };
  // Node resets what nohup(1) has said: it would end at SIGHUP in any case.
  process.on('SIGINT', stop).on('SIGTERM', stop).on('SIGHUP', stop);
  return controller.signal;
}
