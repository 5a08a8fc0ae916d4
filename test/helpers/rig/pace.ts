// The time a card takes, and its hanging: answers are kept back until they are due.

export interface Pace {
  /**
   * Calls `answer` when a card of that speed is done with so many more bytes that came at that time (of performance.now()); at once
   * without a speed. Not while it hangs.
   */
  take(came: number, length: number, bytesPerSecond: number | undefined, answer: () => void): void;
  hang(hangs: boolean): void;
  /** Answers all that wait. */
  giveUp(): void;
}

/** Timers of Node are exact to a millisecond or two; the rest is waited for standing still. */
const COARSE = 2;

/** Milliseconds that a request takes through loop and FUSE and back. No card does: who asks again within them has not paused. */
const DETOUR = 1;

const sleeper = new Int32Array(new SharedArrayBuffer(4));

/**
 * One request after the other: the next one's time begins when the one before is done, or when it comes, if that is later. So
 * late answers do not add up, and a card that was idle has not saved time for later.
 */
export function openPace(): Pace {
  const waiting: { due: number; answer: () => void }[] = [];
  let free = 0;
  let hanging = false;
  let timer: NodeJS.Timeout | undefined;

  const serve = (): void => {
    timer = undefined;
    for (;;) {
      const next = waiting[0];
      if (next === undefined || hanging) return;
      const left = next.due - performance.now();
      if (left > COARSE) {
        timer = setTimeout(serve, left - COARSE);
        return;
      }
      if (left > 0) Atomics.wait(sleeper, 0, 0, left);
      waiting.shift();
      next.answer();
    }
  };

  return {
    take(came, length, bytesPerSecond, answer) {
      if (bytesPerSecond === undefined) free = came;
      else free = Math.max(free, came - DETOUR) + (length / bytesPerSecond) * 1000;
      waiting.push({ due: free, answer });
      if (timer === undefined) serve();
    },
    hang(hangs) {
      hanging = hangs;
      if (timer === undefined) serve();
    },
    giveUp() {
      hanging = false;
      for (const { answer } of waiting.splice(0)) answer();
    },
  };
}
