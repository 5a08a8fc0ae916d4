// `piimg seed`: gives an image or a card its identity; `seed show` says which it carries.
import path from 'node:path';
import { quote } from '../../lib/quote.ts';
import type { ProgressKind } from '../../ui/progress.ts';
import { formatSeed, formatSeedSummary } from '../../ui/seed-summary.ts';
import { styleFor } from '../../ui/style.ts';
import { createContext } from '../context.ts';
import { withOpener } from '../flashing/opener.ts';
import { readGiven, type NodeFlags } from '../seed-options.ts';
import { requireOneTarget, type TargetFlags } from '../seed-target.ts';
import { hasSlots, readSeed, seedCard, type SeedResult } from '../seeding.ts';
import { ownName, print, printJson, tell } from './output.ts';

export interface SeedFlags extends NodeFlags, TargetFlags {
  from?: string;
  json?: boolean;
  progress: ProgressKind;
}

export async function seed(image: string, flags: SeedFlags, signal: AbortSignal): Promise<void> {
  const { out, from } = flags;
  requireOneTarget(flags);
  // What its base's own first boot is told is not in slots.
  if (!(await hasSlots(image, out === undefined)))
    return (await import('./customize.ts')).customize(image, flags, signal);
  const given = await readGiven(flags);
  const result = await seedCard({ image, out, from, given }, createContext(signal, flags.progress));
  tellSeed(result, flags.json);
}

/** What was written, on stdout; its warnings on stderr. */
export function tellSeed(result: SeedResult, json = false): void {
  for (const warning of result.warnings) tell(`warning: ${warning}`);
  if (json) printJson(result);
  else print(formatSeedSummary(result, nextCommands(result), styleFor(process.stdout)));
}

export async function show(file: string, flags: { json?: boolean }, signal: AbortSignal): Promise<void> {
  const carried = await withOpener([file], { signal }, (opener) => readSeed(file, opener));
  if (flags.json) printJson({ file, ...carried });
  else print(formatSeed(carried, styleFor(process.stdout)));
}

function nextCommands({ target, inPlace, node = '', users, network }: SeedResult): string[] {
  const shown = path.relative(process.cwd(), target);
  const user = users.find(({ keys }) => keys.length > 0)?.name;
  const host = network.cards[0]?.addresses[0]?.split('/')[0] ?? node;
  return [
    ...(inPlace && target.startsWith('/dev/') ? [] : [`${quote([...ownName(), 'flash', shown])}   write it to a card`]),
    `${quote([...ownName(), 'seed', 'show', inPlace ? target : shown])}   what it carries`,
    ...(user === undefined ? [] : [`${quote(['ssh', `${user}@${host}`])}   log in, once it has booted`]),
  ];
}
