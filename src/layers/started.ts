// A layer under way: what is made on top of it need not wait until its archive is written.
import type { Progress, Step } from '../lib/progress.ts';
import type { Layer, LayerEntry } from './layer.ts';

/** How the making of a layer tells its progress. */
export interface Phases {
  /** Its files are complete and lie here. */
  tree: Deferred<string>;
  /** Its archive is written. */
  entries: Deferred<LayerEntry[]>;
  /** Settled from outside: it may take its place, or must not. */
  free: Deferred<void>;
}

export interface Started {
  tree: Promise<string>;
  entries: Promise<LayerEntry[]>;
  /** Moves it into the cache; its tree must not be in use. Rejects when the layer is not fit for that. */
  place(): Promise<Layer>;
  /** Removes what there is of it. */
  discard(reason: unknown): Promise<void>;
}

/** Starts `make`, shown as a step that lasts until the archive is written. */
export function startLayer(
  title: string,
  progress: Progress,
  make: (step: Step, phases: Phases) => Promise<Layer>,
): Started {
  const phases: Phases = { tree: deferred(), entries: deferred(), free: deferred() };
  const { tree, entries, free } = phases;
  const placed = deferred<Layer>();
  progress
    .step(title, async (step) => {
      make(step, phases).then(placed.resolve, placed.reject);
      await Promise.race([placed.promise, entries.promise]);
    })
    .catch(placed.reject);
  placed.promise.then(({ dir }) => `${dir}/tree`).then(tree.resolve, tree.reject);
  placed.promise.then(({ index }) => index.entries).then(entries.resolve, entries.reject);
  return {
    tree: tree.promise,
    entries: entries.promise,
    place() {
      free.resolve();
      return placed.promise;
    },
    async discard(reason) {
      free.reject(reason);
      await placed.promise.catch(() => {});
    },
  };
}

interface Deferred<T> {
  promise: Promise<T>;
  resolve: (value: T) => void;
  reject: (reason: unknown) => void;
}

/** A promise settled from outside; nobody has to wait for it. */
function deferred<T>(): Deferred<T> {
  let settle: Omit<Deferred<T>, 'promise'> | undefined;
  const promise = new Promise<T>((resolve, reject) => (settle = { resolve, reject }));
  promise.catch(() => {});
  return { promise, resolve: (value) => settle?.resolve(value), reject: (reason) => settle?.reject(reason) };
}
