// Progress as a live task list on a terminal, drawn by listr2: running steps with what happens inside them, ended ones with their time.
import { writeSync } from 'node:fs';
import { createWritable, DefaultRenderer, Listr, ListrLogger, type ListrTaskWrapper, ProcessOutput } from 'listr2';
import { addSample, describeUpdate, formatDuration, type Sample } from './rate.ts';
import { type Listener, type StepEvent, throttle } from './steps.ts';
import type { Style } from './style.ts';

type Wrapper = ListrTaskWrapper<unknown, typeof DefaultRenderer, typeof DefaultRenderer>;
type StartEvent = Extract<StepEvent, { type: 'start' }>;
type EndEvent = Extract<StepEvent, { type: 'end' }>;

/** A step on the screen; `settle` tells listr2 that it is over. */
interface Row {
  title: string;
  parent: Row | undefined;
  wrapper: Promise<Wrapper>;
  shown: Wrapper | undefined;
  /** The title last wanted: what is said before listr2 shows the row is not lost. */
  said: string;
  samples: Sample[];
  settle: (error?: Error) => void;
}

/** One drawing of the list: from the first step until no step is open; then its lines stay and the next drawing begins. */
interface Drawing {
  root: Promise<Wrapper>;
  open: number;
  close: () => void;
  closed: Promise<unknown>;
}

/** Titles are redrawn at most every 100 ms per step. */
const INTERVAL = 100;

/** A listener that draws on `stream`. */
export function liveSteps(stream: NodeJS.WriteStream, style: Style): Listener {
  const due = throttle(INTERVAL);
  const rows = new Map<number, Row>();
  let drawing: Drawing | undefined;
  let last: Promise<unknown> = Promise.resolve();

  function start(event: StartEvent): void {
    if (drawing === undefined) {
      drawing = startDrawing(stream, last);
      last = drawing.closed;
    }
    drawing.open += 1;
    const parent = event.parent === undefined ? undefined : rows.get(event.parent);
    rows.set(event.id, addRow(event.title, parent, drawing));
  }

  async function end(event: EndEvent, row: Row): Promise<void> {
    const how = event.cached === undefined ? '' : `${style.dim(`· reused: ${event.cached}`)} `;
    const wrapper = await row.wrapper;
    wrapper.title = `${row.title} ${how}${style.dim(formatDuration(event.seconds))}`;
    row.settle(event.ok ? undefined : new Error(event.error));
    rows.delete(event.id);
    if (drawing === undefined || --drawing.open > 0) return;
    const { close, closed } = drawing;
    drawing = undefined;
    close();
    await closed;
  }

  return (event) => {
    if (event.type === 'start') return start(event);
    const row = rows.get(event.id);
    if (row === undefined) return;
    if (event.type === 'end') return end(event, row);
    if (event.type === 'note') return void note(row, event.message);
    if (event.type === 'cached') return;
    if (event.done !== undefined) row.samples = addSample(row.samples, { at: performance.now(), done: event.done });
    if (!due(event.id)) return;
    row.said = `${row.title} ${style.dim(describeUpdate(event, row.samples))}`;
    if (row.shown !== undefined) row.shown.title = row.said;
  };
}

/** A note is written below the outermost step: what is inside folds away when that ends. */
async function note(row: Row, message: string): Promise<void> {
  let outermost = row;
  while (outermost.parent !== undefined) outermost = outermost.parent;
  const wrapper = await outermost.wrapper;
  wrapper.output = outermost === row ? message : `${row.title}: ${message}`;
}

/** It begins when the one before has given the stream back: listr2 takes what it finds there for the stream's own way to write. */
function startDrawing(stream: NodeJS.WriteStream, before: Promise<unknown>): Drawing {
  const root = deferred<Wrapper>();
  const over = deferred<void>();
  const task = (_context: unknown, wrapper: Wrapper) => {
    root.resolve(wrapper);
    return over.promise;
  };
  const closed = before.then(() => draw(stream, task));
  return { root: root.promise, open: 0, close: () => over.resolve(), closed };
}

/** Draws until `task` is over. */
async function draw(
  stream: NodeJS.WriteStream,
  task: (context: unknown, wrapper: Wrapper) => Promise<void>,
): Promise<void> {
  // stdout is for results and is left alone: listr2's "stdout" is our stderr, its "stderr" goes nowhere.
  const logger = new ListrLogger({
    useIcons: true,
    processOutput: new ProcessOutput(stream, createWritable(() => {}) as NodeJS.WriteStream, { leaveEmptyLine: false }),
  });
  const rendererOptions = {
    logger,
    collapseErrors: false,
    showErrorMessage: false,
    collapseSubtasks: true,
    formatOutput: 'truncate' as const,
  };
  // The fallback is for a stdout that is no terminal, which does not matter here: the same renderer again.
  const list = new Listr<unknown, typeof DefaultRenderer, typeof DefaultRenderer>([{ task }], {
    renderer: DefaultRenderer,
    rendererOptions,
    fallbackRenderer: DefaultRenderer,
    fallbackRendererOptions: rendererOptions,
    registerSignalListeners: false,
    exitOnError: false,
  });
  process.once('exit', showCursor);
  await list.run().finally(() => process.off('exit', showCursor));
}

/** A second Ctrl-C ends the process in the midst of a drawing; past the stream, whose writing listr2 holds back. */
const showCursor = () => void writeSync(process.stderr.fd, '\x1b[?25h\n');

/** Hangs a step below its parent while that is running: listr2 draws whatever is in a task's `subtasks`. */
function addRow(title: string, parent: Row | undefined, drawing: Drawing): Row {
  const over = deferred<void>();
  const wrapper = deferred<Wrapper>();
  const row: Row = {
    title,
    parent,
    wrapper: wrapper.promise,
    shown: undefined,
    said: title,
    samples: [],
    settle: (error) => (error ? over.reject(error) : over.resolve()),
  };
  const task = (_context: unknown, own: Wrapper) => {
    row.shown = own;
    own.title = row.said;
    wrapper.resolve(own);
    return over.promise;
  };
  const options = { renderer: 'silent', fallbackRenderer: 'silent', exitOnError: false } as const;
  const rendererOptions = { persistentOutput: true, outputBar: Infinity };
  void (parent?.wrapper ?? drawing.root).then((above) => {
    const list = above.newListr([{ title, task, rendererOptions, fallbackRendererOptions: rendererOptions }], options);
    above.task.subtasks = [...(above.task.subtasks ?? []), ...list.tasks] as typeof above.task.subtasks;
    return list.run();
  });
  return row;
}

function deferred<T>() {
  let resolve!: (value: T) => void;
  let reject!: (error: Error) => void;
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}
