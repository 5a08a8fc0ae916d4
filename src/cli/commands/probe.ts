// `piimg probe`: what a card really has, and how quick it is. All that is on it is lost.
import { probeThrough } from '../../flash/probe/probe.ts';
import type { ProbeResult } from '../../flash/probe/types.ts';
import { EXIT } from '../../lib/errors.ts';
import type { Progress } from '../../lib/progress.ts';
import { formatProbe, formatProbePlan } from '../../ui/probe-summary.ts';
import type { ProgressKind } from '../../ui/progress.ts';
import { styleFor } from '../../ui/style.ts';
import { createContext } from '../context.ts';
import { confirmTargets } from '../flashing/confirm.ts';
import { recordsOn } from '../flashing/known-card.ts';
import { withOpener, type Opener } from '../flashing/opener.ts';
import { findTargets, type Target } from '../flashing/targets.ts';
import { print, printJson, sayer } from './output.ts';

export interface ProbeFlags {
  full?: boolean;
  yes?: boolean;
  confirm?: string[];
  allowFixed?: boolean;
  json?: boolean;
  progress: ProgressKind;
}

/** Exit code 1 for a card that is not what it says. Throws PiimgError, refused for a disk that may not be written to. */
export async function probe(card: string, flags: ProbeFlags, signal: AbortSignal): Promise<void> {
  const { full = false, yes = false, confirm = [], allowFixed = false } = flags;
  const context = createContext(signal, flags.progress);
  const [target] = await findTargets([{ path: card }], { image: undefined, size: undefined, allowFixed, write: true });
  if (target === undefined) throw new Error(`no target for ${card}`);
  const { path } = target.identity;
  const result = await withOpener([path], { write: true, signal }, async (opener) => {
    const [was] = await recordsOn([path], opener);
    signal.throwIfAborted();
    sayer(flags.progress)(formatProbePlan(target.device, was, full, styleFor(process.stderr)));
    await confirmTargets([target], { yes, confirm }, signal);
    return probeTarget(target, full, context.progress, opener);
  });
  if (flags.json) printJson({ device: target.device.path, ...result });
  else print(formatProbe(target.device.path, result, styleFor(process.stdout)));
  if (result.verdict !== 'good') process.exitCode = EXIT.failed;
}

async function probeTarget(
  { device, identity }: Target,
  full: boolean,
  progress: Progress,
  opener: Opener,
): Promise<ProbeResult> {
  const prober = await opener.probe(identity);
  let result: ProbeResult | undefined;
  try {
    return (result = await probeThrough(prober.ask, { name: device.path, size: identity.size, full }, progress));
  } finally {
    // A card that hangs would be waited for.
    await prober.end(result !== undefined && result.verdict !== 'failed');
  }
}
