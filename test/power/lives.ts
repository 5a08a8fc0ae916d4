// Boots the card of every cut, some at the same time; one that comes to the same as another, once mended, is booted once.
import { mkdir, open, rm } from 'node:fs/promises';
import path from 'node:path';
import { run } from '../../src/host/exec.ts';
import type { Cut } from './cuts.ts';
import { differences } from './differences.ts';
import { live } from './machine.ts';
import { recoveredDigest } from './recovered.ts';
import type { Recording } from './recording.ts';
import type { Subject } from './subject.ts';
import { replay, writesOf } from './write-log.ts';

/** A life that was begun, and what of it differs from the uncut one, in words. */
interface Life {
  name: string;
  differs: Promise<string[]>;
}

/** `cuts` are in the order of the log. Says how each ended. */
export async function liveAll(
  cuts: Cut[],
  subject: Subject,
  { expected, entries, log }: Recording,
  jobs: number,
): Promise<{ passed: number; failed: number; booted: number }> {
  const player = await replay(subject.card, log, entries);
  const lives = new Map<string, Life>();
  const running = new Set<Promise<unknown>>();
  const ended: Promise<void>[] = [];
  const count = { passed: 0, failed: 0, booted: 0 };
  const tell = (cut: Cut, index: number, found: string[], how: string): void => {
    const verdict = found.length === 0 ? 'equal  ' : 'DIFFERS';
    console.log(`${verdict}  ${index + 1}/${cuts.length}  ${cut.name}: ${how}`);
    if (found.length > 0) count.failed++;
    else count.passed++;
  };
  const boot = async (folder: string, card: string): Promise<string[]> => {
    try {
      return differences(expected, await live(subject, { image: card, folder }));
    } catch (error) {
      return [(error as Error).message];
    } finally {
      await rm(folder, { recursive: true });
    }
  };
  for (const [index, cut] of cuts.entries()) {
    await player.forwardTo(cut.entries);
    const folder = path.join(subject.folder, `life-${index}`);
    await mkdir(folder);
    const card = path.join(folder, 'cut.raw');
    await copyWith(subject.card, card, await writesOf(log, entries, cut.further));
    const digest = (await recoveredDigest(card, folder)) ?? cut.name;
    const known = lives.get(digest);
    if (known !== undefined) {
      await rm(folder, { recursive: true });
      ended.push(known.differs.then((found) => tell(cut, index, found, `as ${known.name}`)));
      continue;
    }
    while (running.size >= jobs) await Promise.race(running);
    const started = Date.now();
    const differs = boot(folder, card);
    count.booted++;
    lives.set(digest, { name: cut.name, differs });
    running.add(differs);
    ended.push(
      differs.then((found) => {
        running.delete(differs);
        tell(cut, index, found, `booted, ${Math.round((Date.now() - started) / 1000)} s`);
        for (const line of found.slice(0, 40)) console.log(`         ${line}`);
      }),
    );
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
