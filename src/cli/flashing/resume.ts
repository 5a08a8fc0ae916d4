// How far a flash had come, for `--resume`: a hint, as everything is read back in the end.
import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { CARD_RECORD } from '../../flash/card-record.ts';
import type { Range } from '../../flash/write/chunks.ts';
import { hasPlaces } from '../../image/header.ts';
import { writeWhole } from '../../lib/write-whole.ts';
import type { FlashImage } from './image.ts';
import type { Target } from './targets.ts';

/** Milliseconds between two notes. */
const PAUSE = 1000;

interface Note {
  image: string;
  /** Bytes. */
  upTo: number;
  /** As `hasOwn`, of this run or one that it has gone on from. */
  own: boolean;
}

/** What an image is told from another by, without reading it. */
function imageKey({ source, size, header }: FlashImage): string {
  const { name, kind } = source;
  const changed = kind === 'file' ? statSync(name).mtimeMs : 0;
  return JSON.stringify([kind === 'file' ? path.resolve(name) : name, size, changed, header?.buildId]);
}

/** The card may be in another slot of the same kind: what counts is its reader's serial number and its size. */
function noteFile(cacheDir: string, { device, identity }: Target): string {
  const card = JSON.stringify([device.serial ?? device.path, device.model, identity.size]);
  return path.join(cacheDir, 'flash', `${createHash('sha256').update(card).digest('hex').slice(0, 16)}.json`);
}

/**
 * Bytes that an earlier run has written of this image to this card; 0 when nothing is known, or when an identity of then could stay: what is
 * read back, and so put right, is only what a block map names.
 */
export function resumePoint(cacheDir: string, target: Target, image: FlashImage): number {
  const { image: key, upTo, own } = noteIn(noteFile(cacheDir, target)) ?? {};
  if (key !== imageKey(image) || (own !== false && image.ranges !== undefined)) return 0;
  return typeof upTo === 'number' && upTo > 0 ? upTo : 0;
}

function noteIn(file: string): Partial<Note> | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Partial<Note>;
  } catch {
    return undefined;
  }
}

export interface Keeper {
  /** All before this byte is on the card. */
  keep(upTo: number): void;
  /** `whole`: nothing is left to take up. */
  end(whole: boolean): Promise<void>;
}

/** Whether the card has bytes of its own where others of the image need not have any. */
const hasOwn = ({ header }: FlashImage, patches: Range[]): boolean =>
  !hasPlaces(header) && patches.some(({ offset }) => offset !== CARD_RECORD.offset);

/** Whether a flash with such `patches` can go on once it was stopped: as `resumePoint` has it. */
export const canGoOn = (image: FlashImage, patches: Range[]): boolean =>
  image.source.rereadable && (image.ranges === undefined || !hasOwn(image, patches));

/**
 * Notes now and then how far a card with such `patches` is, which goes on from byte `resumeFrom` of an earlier run. What cannot be noted is no
 * failure.
 */
export function keepNotes(
  cacheDir: string,
  image: FlashImage,
  { target, patches, resumeFrom }: { target: Target; patches: Range[]; resumeFrom: number },
): Keeper {
  const file = noteFile(cacheDir, target);
  const key = imageKey(image);
  const own = hasOwn(image, patches) || (resumeFrom > 0 && noteIn(file)?.own !== false);
  let last = 0;
  let writing: Promise<void> = Promise.resolve();
  const write = (upTo: number): void => {
    const note: Note = { image: key, upTo, own };
    writing = writing
      .then(() => mkdir(path.dirname(file), { recursive: true }))
      .then(() => writeWhole(file, JSON.stringify(note)))
      .catch(() => {});
  };
  return {
    keep(upTo) {
      const now = performance.now();
      if (now - last < PAUSE) return;
      last = now;
      write(upTo);
    },
    async end(whole) {
      await writing;
      if (whole) await rm(file, { force: true });
    },
  };
}
