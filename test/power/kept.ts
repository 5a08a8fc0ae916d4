// What a run of `npm run test:power` leaves for the next one of the same image: its recording, and the cards that came up as they
// should, so that hours need not be spent in one go.
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { writeWhole } from '../../src/lib/write-whole.ts';
import type { Outcome } from './machine.ts';
import type { Recording } from './recording.ts';
import type { Subject } from './subject.ts';
import { readWriteLog } from './write-log.ts';

interface Kept extends Pick<Recording, 'regions' | 'boundaries'> {
  key: Subject['key'];
  secretive: Subject['secretive'];
  card: string;
  log: string;
  expected: {
    [Part in keyof Outcome]: Outcome[Part] extends Map<infer Key, infer Value> ? [Key, Value][] : Outcome[Part];
  };
}

/** By what a card comes to once it is mended: the cut whose card was booted. */
export type Equal = Map<string, string>;

const FILE = 'recording.json';
const EQUAL = 'equal.json';

/** The recording in `folder`; `make` makes it there when there is none. */
export async function keptRecording(
  folder: string,
  make: () => Promise<{ subject: Subject; recording: Recording }>,
): Promise<{ subject: Subject; recording: Recording }> {
  const file = path.join(folder, FILE);
  if (existsSync(file)) {
    const { key, secretive, card, log, expected, regions, boundaries } = JSON.parse(
      await readFile(file, 'utf8'),
    ) as Kept;
    const outcome = { ...expected, root: new Map(expected.root), boot: new Map(expected.boot) };
    const recording = { expected: outcome, log, entries: await readWriteLog(log), regions, boundaries };
    return { subject: { card, key, folder, secretive }, recording };
  }
  const { subject, recording } = await make();
  const { expected, log, regions, boundaries } = recording;
  const outcome = { ...expected, root: [...expected.root], boot: [...expected.boot] };
  const { key, secretive, card } = subject;
  const kept: Kept = { key, secretive, card, log, expected: outcome, regions, boundaries };
  await writeWhole(file, JSON.stringify(kept));
  return { subject, recording };
}

export async function keptEqual(folder: string): Promise<Equal> {
  const text = await readFile(path.join(folder, EQUAL), 'utf8').catch(() => '[]');
  return new Map(JSON.parse(text) as [string, string][]);
}

export const keepEqual = (folder: string, equal: Equal): Promise<void> =>
  writeWhole(path.join(folder, EQUAL), JSON.stringify([...equal]));
