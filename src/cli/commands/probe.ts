// `piimg probe`: what a card really has, and how quick it is. All that is on it is lost.
import { probeCard } from '../../flash/probe/probe.ts';
import type { ProbeResult } from '../../flash/probe/types.ts';
import { rescanDisk, unmountDisk } from '../../host/card-upkeep.ts';
import { openDisk } from '../../host/open-disk.ts';
import { requireUnwritten } from '../../host/writers.ts';
import { EXIT } from '../../lib/errors.ts';
import { formatProbe, formatProbePlan } from '../../ui/probe-summary.ts';
import type { ProgressKind } from '../../ui/progress.ts';
import { styleFor } from '../../ui/style.ts';
import { createContext, type Context } from '../context.ts';
import { ranAsRoot } from '../flashing/as-root.ts';
import { confirmTargets } from '../flashing/confirm.ts';
import { recordOn } from '../flashing/known-card.ts';
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
  if (await ranAsRoot([target.identity.path], true)) return;
  const was = await recordOn(target.device.path);
  sayer(flags.progress)(formatProbePlan(target.device, was, full, styleFor(process.stderr)));
  await confirmTargets([target], { yes, confirm }, signal);
  const result = await probeTarget(target, full, context);
  if (flags.json) printJson({ device: target.device.path, ...result });
  else print(formatProbe(target.device.path, result, styleFor(process.stdout)));
  if (result.verdict !== 'good') process.exitCode = EXIT.failed;
}

async function probeTarget(
  { device, identity }: Target,
  full: boolean,
  { progress, signal }: Context,
): Promise<ProbeResult> {
  await unmountDisk(device.path, signal);
  const handle = await openDisk(identity, true);
  let result: ProbeResult | undefined;
  try {
    await requireUnwritten(device.path);
    const job = { name: device.path, fd: handle.fd, size: identity.size, full };
    return (result = await probeCard(job, progress, { signal }));
  } finally {
    await handle.close();
    // A card that hangs would be waited for.
    if (result !== undefined && result.verdict !== 'failed') await rescanDisk(device.path);
  }
}
