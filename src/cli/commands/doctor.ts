// `piimg doctor`: checks this machine, and with --fix installs what is missing.
import { type Check, examine, fix } from '../../host/doctor.ts';
import { EXIT } from '../../lib/errors.ts';
import { type Style, styleFor } from '../../ui/style.ts';
import { formatTable } from '../../ui/table.ts';
import { cacheFolder } from '../context.ts';
import { print, printJson, tell } from './output.ts';

/** Exits with 4 when something that building needs is missing; what only boot tests, piimg's own tests or benchmarks need may be. */
export async function doctor(flags: { fix?: boolean; json?: boolean }, signal: AbortSignal): Promise<void> {
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
