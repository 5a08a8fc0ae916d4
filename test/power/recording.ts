// A first boot that nobody cuts, with every write and flush of its card; and which of them belong to which part of it.
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Role } from '../../firstboot/document.ts';
import type { TestGuest } from '../helpers/qemu.ts';
import { readRoot } from '../helpers/image-files.ts';
import { stepBoundaries, tornSlots, type Cut, type Region } from './cuts.ts';
import { live, type Outcome } from './machine.ts';
import type { Subject } from './subject.ts';
import { findText, readWriteLog, type LogEntry } from './write-log.ts';

export interface Recording {
  expected: Outcome;
  log: string;
  entries: LogEntry[];
  regions: Region[];
  boundaries: Cut[];
}

/** On the console: when cloud-init begins and ends, and when the root file system has grown. */
const SIGNS = {
  begun: /Cloud-init v\. \S+ running 'init-local'/,
  grown: /EXT4-fs \(\w+\): resized filesystem to \d+/,
  finished: /Cloud-init v\. \S+ finished at/,
};

/** `careful`: the agent flushes what it writes, so that each step's boundaries are in the log. */
export async function record(subject: Subject, careful: boolean): Promise<Recording> {
  const log = path.join(subject.folder, 'writes.log');
  await writeFile(log, '');
  const at: Partial<Record<keyof typeof SIGNS, number>> = {};
  const watch = async (guest: TestGuest): Promise<void> => {
    for (const [sign, pattern] of Object.entries(SIGNS)) {
      await guest.said(pattern);
      at[sign as keyof typeof SIGNS] = (await readWriteLog(log)).length;
    }
  };
  const folder = path.join(subject.folder, 'uncut');
  const expected = await live(subject, { image: subject.card, folder, writeLog: log, watch });
  if (expected.result.status !== 'applied')
    throw new Error(`the uncut boot failed: ${expected.result.failure?.message}`);
  const entries = await readWriteLog(log);
  const { begun = 0, grown = 0, finished = 0 } = at;
  // growpart writes the partition table, in the first sector.
  const table = entries.findIndex(({ kind, offset }, index) => kind === 'write' && offset === 0 && index >= begun);
  // What is never flushed may reach the card when it is long over, if at all.
  const working = (await findText(log, entries, /"status": "working"/)) ?? finished;
  const seen = await findText(log, entries, /^[0-9a-f]{64} {2}\/boot\/firmware\/piimg\.json/m, working);
  const regions = [
    { name: 'cloud-init', from: begun, to: finished },
    // What is noted while it grows reaches the card with the journal's next commit (ext4(5): every five seconds).
    { name: 'growth', from: table, to: grown },
    { name: 'agent', from: working, to: (seen ?? entries.length - 1) + 1 },
  ];
  for (const { name, from, to } of regions)
    if (from < 0 || to <= from) throw new Error(`the log does not show ${name}`);
  const steps = careful ? await stepsOf(subject.card) : [];
  const boundaries = [
    ...(await stepBoundaries(log, entries, steps, working)),
    ...(await tornSlots(log, entries, { slots: subject.secretive, from: working })),
  ];
  return { expected, log, entries, regions, boundaries };
}

async function stepsOf(card: string): Promise<string[]> {
  const files = await readRoot(card, { keep: /^\/usr\/lib\/piimg\/role\.json$/ });
  const { provision } = JSON.parse(files.get('/usr/lib/piimg/role.json')?.text ?? '') as Role;
  return provision.map(({ name }) => name);
}
