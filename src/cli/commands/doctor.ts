// `piimg doctor`: checks this machine, and with --fix installs what is missing; with --selftest checks the list of its disks.
import { arch, release } from 'node:os';
import { listDisks } from '../../flash/list.ts';
import { selftest, type SelftestCheck } from '../../flash/selftest.ts';
import { dfMounts, folderNow, isBlockDevice, mountsNow, swapNow } from '../../host/disk-witnesses.ts';
import { type Check, examine, fix } from '../../host/doctor.ts';
import { piimgVersion } from '../../host/package-root.ts';
import { EXIT } from '../../lib/errors.ts';
import { plainText } from '../../lib/plain-text.ts';
import { formatDrives } from '../../ui/drives.ts';
import { type Style, styleFor } from '../../ui/style.ts';
import { formatTable } from '../../ui/table.ts';
import { cacheFolder } from '../context.ts';
import { print, printJson, tell } from './output.ts';

/**
 * Exits with 4 when something that building needs is missing; what only boot tests, piimg's own tests or benchmarks need may be. With
 * `selftest` with 1 when the list of disks is not what others tell of them; throws PiimgError where disks cannot be listed.
 */
export async function doctor(
  flags: { fix?: boolean; selftest?: boolean; json?: boolean },
  signal: AbortSignal,
): Promise<void> {
  if (flags.selftest) return testDisks(flags.json === true);
  const cacheDir = cacheFolder(process.env);
  let checks = await examine(cacheDir);
  if (flags.fix && checks.some(({ ok }) => !ok)) {
    for (const { command, output } of fix(checks, tell)) {
      if (output !== undefined) tell(output);
      tell(`run by hand: ${command}`);
    }
    signal.throwIfAborted();
    checks = await examine(cacheDir);
  }
  const ok = checks.every((check) => check.ok || !check.needed.includes('build'));
  if (!ok) process.exitCode = EXIT.missingTool;
  if (flags.json) return printJson({ ok, checks });
  print(formatChecks(checks, styleFor(process.stdout)));
}

/** One row a check, then what to do about those that failed. */
export function formatChecks(checks: Check[], style: Style): string {
  const rows = checks.map((check) => [
    mark(check, style),
    check.name,
    check.found,
    style.dim(check.needed.includes('build') ? check.reason : `${check.reason} (only ${check.needed.join(', ')})`),
  ]);
  const failed = checks.filter(({ ok }) => !ok);
  const remedies = failed.map(({ name, found, minimum, remedy }) => [
    `  ${name}`,
    found === 'missing' || minimum === undefined ? found : `${found}, needs ${minimum}`,
    remedy ?? '',
  ]);
  const verdict =
    failed.length === 0
      ? 'Everything is there.'
      : `To do (piimg doctor --fix does what it can):\n${formatTable(remedies)}`;
  return `${formatTable(rows)}\n\n${verdict}`;
}

function mark({ ok, needed }: Check, style: Style): string {
  if (ok) return style.green('ok');
  return needed.includes('build') ? style.red('MISSING') : style.yellow('missing');
}

/** Nothing is written to any disk. */
async function testDisks(json: boolean): Promise<void> {
  const folder = await folderNow();
  const disks = await listDisks([{ file: folder, what: 'the folder you are in' }]);
  const [mounts, df, swap] = await Promise.all([mountsNow(), dfMounts(), swapNow()]);
  const paths = [...disks.map(({ device }) => device.path), ...[...mounts, ...df].map(({ source }) => source)];
  const real = await Promise.all([...new Set(paths)].map(async (path) => ((await isBlockDevice(path)) ? [path] : [])));
  const checks = selftest(disks, { mounts, df, swap, folder, devices: real.flat() });
  const ok = checks.every(({ result }) => result !== 'failed');
  if (!ok) process.exitCode = EXIT.failed;
  const system = `piimg ${piimgVersion()}, ${process.platform} ${release()}, ${arch()}, Node.js ${process.versions.node}`;
  // Serial numbers are nobody else's business.
  if (json) return printJson({ ok, system, checks, disks: disks.map(withoutSerial) });
  const style = styleFor(process.stdout);
  print([system, formatDrives(disks, style), formatSelftest(checks, style)].filter(Boolean).join('\n\n'));
}

function withoutSerial({
  device: { serial: _, ...device },
  ...judgement
}: Awaited<ReturnType<typeof listDisks>>[number]) {
  return { device, ...judgement };
}

/** One row a check, then what to do with them. */
export function formatSelftest(checks: SelftestCheck[], style: Style): string {
  const marks = { ok: style.green('ok'), failed: style.red('FAILED'), none: style.dim('nothing to see') };
  const rows = checks.map(({ name, result, found }) => [marks[result], name, style.dim(plainText(found))]);
  const has = (result: SelftestCheck['result']): boolean => checks.some((check) => check.result === result);
  const verdict = has('failed')
    ? 'The list of disks is wrong here: write no card with piimg on this computer.'
    : `${has('none') ? 'What could be seen' : 'All'} is as it should be.`;
  return `${formatTable(rows)}\n\n${verdict} ${REPORT}`;
}

const REPORT = `Nothing was written to any disk.
Please report this output, good or bad, without names that are nobody's business: few kinds of computers have been seen so far.`;
