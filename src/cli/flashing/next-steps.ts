// What to do with cards that were flashed: log in, note their host keys, go on where it was stopped.
import { quote } from '../../lib/quote.ts';
import { ownName } from '../commands/output.ts';
import { nameOf, type Flashed } from './flash.ts';
import type { Identity } from './identities.ts';

/** Seconds of a first boot until ssh answers: measured on the emulated Pi 3. */
const FIRST_LOGIN = 90;

/**
 * Lines below the report. `own`: piimg has built the image, and so knows how its first boot shows itself; `closed`: the image lets nobody
 * in; `unknown`: whether it does could not be found out; `goOn`: the command that takes it up again, where there is one.
 */
export function nextSteps(
  flashed: Flashed[],
  identities: Identity[],
  {
    own,
    closed,
    unknown,
    goOn,
  }: { own: boolean; closed?: boolean | undefined; unknown?: boolean; goOn?: string | undefined },
): string[] {
  const lines: string[] = [];
  const good = identities.filter(
    (_, index) => flashed[index]?.problem === undefined && flashed[index]?.card.target !== undefined,
  );
  const logins = good.flatMap(({ login }) => login ?? []);
  if (logins.length > 0) {
    lines.push(
      '',
      `Put ${logins.length > 1 ? 'each' : 'it'} into its Pi and switch it on. ${own ? `After about ${FIRST_LOGIN} seconds` : 'Once it has booted'}:`,
    );
    for (const login of logins) lines.push(`  ${quote(['ssh', login])}`);
    if (own)
      lines.push(
        'Its green LED blinks quickly while it sets itself up, slowly when something failed; when all is well, it shows what the card does.',
      );
  }
  if (closed) {
    lines.push(
      '',
      'Nobody could log in: no user has a key or a password, before one is made with screen and keyboard. Or now:',
    );
    for (const { card, problem } of flashed) {
      const command = ['customize', nameOf(card), '--in-place', '--node', 'NAME', '--ssh-key', 'FILE.pub'];
      if (problem === undefined) lines.push(`  ${quote([...ownName(), ...command])}`);
    }
  }
  if (unknown) lines.push('', 'Whether anybody can log in is not known here.');
  const hosts = good.flatMap(({ knownHosts }) => knownHosts);
  if (hosts.length > 0) lines.push('', 'For ~/.ssh/known_hosts:', ...hosts.map((line) => `  ${line}`));
  if (flashed.some(({ verdict }) => verdict === 'stopped') && goOn !== undefined) lines.push('', `Go on with: ${goOn}`);
  return lines;
}
