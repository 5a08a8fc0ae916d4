// `piimg customize`: gives an image or a card of any maker its identity, in the words of its own first boot.
import path from 'node:path';
import { quote } from '../../lib/quote.ts';
import { formatCustomized } from '../../ui/customized.ts';
import { styleFor } from '../../ui/style.ts';
import { createContext } from '../context.ts';
import { customizeImage, type CustomizeResult } from '../customizing.ts';
import { readGiven } from '../seed-options.ts';
import { requireOneTarget, type Copying } from '../seed-target.ts';
import { ownName, print, printJson, tell } from './output.ts';
import { tellSeed, type SeedFlags } from './seed.ts';

/** `begun`: the copy for --out, where it was begun before. */
export async function customize(image: string, flags: SeedFlags, signal: AbortSignal, begun?: Copying): Promise<void> {
  requireOneTarget(flags);
  const { out, from } = flags;
  const given = await readGiven(flags);
  const result = await customizeImage({ image, out, begun, from, given }, createContext(signal, flags.progress));
  if ('seeded' in result) {
    tellSeed(result.seeded, flags.json);
    return;
  }
  for (const warning of result.warnings) tell(`warning: ${warning}`);
  if (flags.json) printJson(result);
  else print(formatCustomized(result, nextCommands(result), styleFor(process.stdout)));
}

function nextCommands({ target, inPlace, node, users, addresses }: CustomizeResult): string[] {
  const user = users.find(({ keys }) => keys > 0)?.name;
  const host = addresses[0]?.split('/')[0] ?? node;
  return [
    ...(inPlace
      ? []
      : [`${quote([...ownName(), 'flash', path.relative(process.cwd(), target)])}   write it to a card`]),
    ...(user === undefined ? [] : [`${quote(['ssh', `${user}@${host}`])}   log in, once it has booted`]),
  ];
}
