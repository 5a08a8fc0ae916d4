// Orders of a probe, carried out on a device: blocking, and on any device, be it one of memory.
import { BLOCK, chunksOf, type Range } from '../write/chunks.ts';
import { isGone } from './fault.ts';
import { append, judgeMarks, writeMarks, type Stamp } from './mark.ts';
import type { Answer, Order } from './orders.ts';
import type { Wrong } from './types.ts';

/** All of `view` each; they throw errors with errno's `code`. */
export interface Device {
  write(view: Uint8Array, offset: number): void;
  read(view: Uint8Array, offset: number): void;
  flush(): void;
}

export interface Work {
  device: Device;
  /** Room for a piece, as direct I/O needs it. */
  room: Uint8Array;
  run: Stamp['run'];
  progress(done: number, total: number): void;
}

/** So many failures one after the other, and the rest is not tried: each may take a device half a minute. */
const HOPELESS = 3;
/** Wrong ranges that are told. */
const MOST = 1000;

/** Throws what the device throws when it is gone, and when it fails where that cannot be told of a place. */
export function obey(order: Order, work: Work): Answer {
  const task = begin(work, order.round);
  switch (order.op) {
    case 'mark':
      visit(task, order.places, (view, place) => task.write(view, place));
      task.flush();
      break;
    case 'look':
      visit(task, order.places, (view, place) => task.check(view, place));
      break;
    case 'fill':
    case 'zero':
      pass(task, order.range, (view, offset) => task.write(view, offset, order.op === 'zero'));
      task.flush();
      break;
    case 'check':
      pass(task, order.range, (view, offset) => task.check(view, offset));
      break;
    case 'random write':
    case 'random read':
      random(task, order);
  }
  return task.answer;
}

interface Task extends Work {
  answer: Answer;
  write(view: Uint8Array, offset: number, zeros?: boolean): void;
  check(view: Uint8Array, offset: number): void;
  flush(): void;
  /** A range that failed, and why. Throws `error` when that is no news of the device. */
  failed(range: Range, error: unknown): void;
}

function begin(work: Work, round: number): Task {
  const { device, run } = work;
  const answer: Answer = { wrong: [], wrongBytes: 0, slips: 0, tried: [], bytes: 0, seconds: 0 };
  const stamp = { run, round };
  const timed = (io: () => void): void => {
    const started = performance.now();
    io();
    answer.seconds += (performance.now() - started) / 1000;
  };
  const note = (wrong: Wrong): void => {
    answer.wrongBytes += wrong.length;
    if (answer.wrong.length < MOST) append(answer.wrong, wrong);
  };
  return {
    ...work,
    answer,
    write(view, offset, zeros = false) {
      if (zeros) view.fill(0);
      else writeMarks(view, offset, stamp);
      timed(() => device.write(view, offset));
      answer.bytes += view.length;
    },
    check(view, offset) {
      timed(() => device.read(view, offset));
      answer.bytes += view.length;
      const once = judgeMarks(view, offset, stamp);
      if (once.length === 0) return;
      // A reader or its contacts may slip, but not for all of a piece.
      const slip = view.length === BLOCK || totalOf(once) < view.length;
      if (slip) device.read(view, offset);
      const twice = slip ? judgeMarks(view, offset, stamp) : once;
      answer.slips += Math.max(0, totalOf(once) - totalOf(twice));
      for (const wrong of twice) note(wrong);
    },
    flush() {
      try {
        timed(() => device.flush());
      } catch (error) {
        // Of what failed it is known.
        if (answer.wrong.length === 0) throw error;
      }
    },
    failed(range, error) {
      const { code = '' } = error as NodeJS.ErrnoException;
      if (code === '' || isGone(code)) throw error;
      note({ ...range, what: 'error', code });
    },
  };
}

const totalOf = (ranges: Range[]): number => ranges.reduce((sum, { length }) => sum + length, 0);

/** Blocks one by one; when they fail again and again, only the last one is tried of the rest. */
function visit(task: Task, places: number[], touch: (view: Uint8Array, place: number) => void): void {
  const view = task.room.subarray(0, BLOCK);
  let failures = 0;
  for (let index = 0; index < places.length; index++) {
    if (failures === HOPELESS) index = places.length - 1;
    const place = places[index] as number;
    task.answer.tried.push(place);
    try {
      touch(view, place);
      failures = 0;
    } catch (error) {
      task.failed({ offset: place, length: BLOCK }, error);
      failures++;
    }
    task.progress(index + 1, places.length);
  }
}

/** A range piece by piece, a piece that fails block by block; when pieces fail as wholes again and again, so does the rest. */
function pass(task: Task, range: Range, touch: (view: Uint8Array, offset: number) => void): void {
  const end = range.offset + range.length;
  let failures = 0;
  for (const { offset, length } of chunksOf([range])) {
    const view = task.room.subarray(0, length);
    try {
      touch(view, offset);
      failures = 0;
    } catch (error) {
      const whole = blockByBlock(task, view, offset, touch, error);
      failures = whole ? failures + 1 : 0;
      if (failures === HOPELESS) {
        const next = offset + length;
        if (next < end) task.failed({ offset: next, length: end - next }, error);
        return;
      }
    }
    task.progress(offset + length - range.offset, range.length);
  }
}

/** Whether none of a piece's blocks could be had. */
function blockByBlock(
  task: Task,
  view: Uint8Array,
  offset: number,
  touch: (view: Uint8Array, offset: number) => void,
  cause: unknown,
): boolean {
  const { code = '' } = cause as NodeJS.ErrnoException;
  if (code === '' || isGone(code)) throw cause;
  let failures = 0;
  for (let at = 0; at < view.length; at += BLOCK) {
    const block = view.subarray(at, at + BLOCK);
    try {
      touch(block, offset + at);
      failures = 0;
    } catch (error) {
      failures++;
      const length = failures === HOPELESS ? view.length - at : block.length;
      task.failed({ offset: offset + at, length }, error);
      if (failures === HOPELESS) return at === (HOPELESS - 1) * BLOCK;
    }
  }
  return false;
}

function random(task: Task, { op, range, seconds }: Extract<Order, { seconds: number }>): void {
  const view = task.room.subarray(0, BLOCK);
  const blocks = Math.floor(range.length / BLOCK);
  const started = performance.now();
  for (;;) {
    const passed = (performance.now() - started) / 1000;
    if (passed >= seconds) break;
    const offset = range.offset + Math.floor(Math.random() * blocks) * BLOCK;
    if (op === 'random write') task.write(view, offset);
    else task.check(view, offset);
    task.progress(passed, seconds);
  }
  if (op === 'random write') task.flush();
}
