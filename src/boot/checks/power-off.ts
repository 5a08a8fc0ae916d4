// The end of a boot: the machine switches itself off, nothing resists, and its file systems are sound.
import type { Guest } from '../guest.ts';
import type { CheckResult } from '../report.ts';
import type { Look } from '../retry.ts';
import type { Session } from '../session.ts';
import { lookAtCard, type Range } from './after.ts';
import { judge, type Timing } from './judge.ts';

export interface PowerOff {
  /** Seconds for power-off. */
  powerOff: number;
  /** Where both file systems are on the card; the root's reaches to its end. */
  partitions: { boot: Range; root: Range };
  /** For copies of the file systems. */
  folder: string;
}

/** What systemd says of a unit or mount that it could not stop. */
const TROUBLE = /^.*(\[(FAILED| TIME )\]|timed out|Failed unmounting).*$/m;

/**
 * `seconds`: how long the power-off took. Of a machine that is still on nobody can say what its card will be. Throws when this
 * computer cannot read the card.
 */
export async function judgePowerOff(
  guest: Guest,
  session: Session,
  { powerOff, partitions, folder }: PowerOff,
  { elapsed, onResult }: Timing,
): Promise<{ checks: CheckResult[]; seconds?: number }> {
  // Without the signal of the machine's end, as that is what is asked for.
  const once = (name: string, look: () => Promise<Look>) =>
    judge({ name, kind: 'always' }, look, { elapsed, ...(onResult && { onResult }) }, { within: 0 });
  // The machine may be gone before it has answered.
  const ask = () => session.ask('systemctl poweroff --no-block').catch(() => {});
  const said = (await guest.console()).length;
  let seconds: number | undefined;
  const lookAtEnd = async (): Promise<Look> => {
    seconds = await guest.powerOff(powerOff, ask);
    const trouble = TROUBLE.exec((await guest.console()).slice(said))?.[0];
    return { ok: trouble === undefined, seen: trouble ?? `after ${seconds.toFixed(1)} s` };
  };
  const off = await once('switches itself off', lookAtEnd);
  if (seconds === undefined) return { checks: [off] };
  const found = await lookAtCard(guest.card, partitions, folder);
  const card = await once('file systems are clean', async () => found);
  return { checks: [off, card], seconds };
}
