// How the stages tell what they are doing, without knowing who shows it (src/ui does).

/** What happens inside a step at this moment; `done` of `total` are bytes, packages or files by `unit`. */
export interface ProgressUpdate {
  message?: string;
  done?: number;
  total?: number;
  unit?: 'bytes' | 'packages' | 'files';
}

/** A running step, handed to the work it reports on. */
export interface Step {
  update(event: ProgressUpdate): void;
  /** A line worth keeping after the step is over: a rebuilt cache entry, an emulated package. */
  note(message: string): void;
  /** The result was already there; `reason` says where it came from. */
  cached(reason: string): void;
  /** The work is done, and its result a failure that is no error: a boot test that did not pass. */
  failed(reason: string): void;
}

/** Opens steps; they may run inside one another and side by side. */
export interface Progress {
  step<T>(title: string, work: (step: Step) => Promise<T>): Promise<T>;
}
