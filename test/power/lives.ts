// Boots the card of every cut, some at the same time; one that comes to the same as another, once mended, is booted once.
import { mkdir, open, rm } from 'node:fs/promises';
import path from 'node:path';
import { inTurn } from '../../firstboot/durable.ts';
import { run } from '../../src/host/exec.ts';
import type { PiimgError } from '../../src/lib/errors.ts';
import type { Cut } from './cuts.ts';
import { differences } from './differences.ts';
import { keepEqual, keptEqual } from './kept.ts';
import { live } from './machine.ts';
import { recoveredDigest } from './recovered.ts';
import type { Recording } from './recording.ts';
import type { Subject } from './subject.ts';
import { replay, writesOf } from './write-log.ts';

export interface Lives {
  subject: Subject;
  recording: Recording;
  /** For the cards and what machines write: emptied as they end. */
  work: string;
  /** Machines at the same time. */
  jobs: number;
  /** No machine is started after this instant, in milliseconds since 1970. */
  until: number;
}

/** A life that was begun: of which cut, and what of it differs from the uncut one, in words; undefined when there was no time for it. */
interface Life {
  name: string;
  differs: Promise<string[] | undefined>;
}

/** `cuts` are in the order of the log. Says how each ended, and counts. */
export async function liveAll(
  cuts: Cut[],
  { subject, recording, work, jobs, until }: Lives,
): Promise<{ passed: number; failed: number; left: number; booted: number }> {
  const { expected, entries, log } = recording;
  const replayed = path.join(work, 'card.raw');
  await copyWith(subject.card, replayed, []);
  const player = await replay(replayed, log, entries);
  const equal = await keptEqual(subject.folder);
  const lives = new Map(
    [...equal].map(([digest, name]): [string, Life] => [digest, { name, differs: Promise.resolve([]) }]),
  );
  const keeping = inTurn();
  const running = new Set<Promise<unknown>>();
  const ended: Promise<void>[] = [];
  const count = { passed: 0, failed: 0, left: 0, booted: 0 };
  const tell = (cut: Cut, index: number, found: string[] | undefined, how: string): void => {
    if (found === undefined) count.left++;
    else if (found.length > 0) count.failed++;
    else count.passed++;
    const verdict = found === undefined ? 'left   ' : found.length === 0 ? 'equal  ' : 'DIFFERS';
    console.log(`${verdict}  ${index + 1}/${cuts.length}  ${cut.name}${how}`);
  };
  const boot = async (folder: string, card: string): Promise<string[]> => {
    try {
      return differences(expected, await live(subject, { image: card, folder }));
    } catch (error) {
      const { message, detail = '' } = error as PiimgError;
      return [message, ...detail.split('\n').filter(Boolean)];
    } finally {
      await rm(folder, { recursive: true });
    }
  };
  for (const [index, cut] of cuts.entries()) {
    await player.forwardTo(cut.entries);
    const folder = path.join(work, `life-${index}`);
    await mkdir(folder);
    const card = path.join(folder, 'cut.raw');
    await copyWith(replayed, card, await writesOf(log, entries, cut.further, cut.torn));
    const digest = (await recoveredDigest(card, folder)) ?? `${cut.entries} ${cut.further.join()} ${cut.torn}`;
    const known = lives.get(digest);
    if (known === undefined) while (running.size >= jobs) await Promise.race(running);
    if (known !== undefined || Date.now() > until) {
      await rm(folder, { recursive: true });
      const differs = known?.differs ?? Promise.resolve(undefined);
      lives.set(digest, known ?? { name: cut.name, differs });
      ended.push(differs.then((found) => tell(cut, index, found, known === undefined ? '' : `: as ${known.name}`)));
      continue;
    }
    const started = Date.now();
    const differs = boot(folder, card);
    count.booted++;
    lives.set(digest, { name: cut.name, differs });
    running.add(differs);
    const end = async (): Promise<void> => {
      const found = await differs;
      running.delete(differs);
      tell(cut, index, found, `: booted, ${Math.round((Date.now() - started) / 1000)} s`);
      for (const line of found.slice(0, 40)) console.log(`         ${line}`);
      if (found.length === 0) await keeping(() => keepEqual(subject.folder, equal.set(digest, cut.name)));
    };
    ended.push(end());
  }
  await Promise.all(ended);
  await player.close();
  return count;
}

async function copyWith(from: string, to: string, patches: { offset: number; content: Uint8Array }[]): Promise<void> {
  await run(['cp', '--sparse=always', '--reflink=auto', from, to]);
  const file = await open(to, 'r+');
  for (const { offset, content } of patches) await file.write(content, 0, content.length, offset);
  await file.close();
}
