// The verdict in one line, and the checks behind it in numbers: what every kind of report begins with.
import type { BootReport } from '../report.ts';

/** `web boots and is healthy on virt`; of a machine that nothing can be asked of, no more than what was seen. */
export function headlineOf({ verdict, image, machine }: BootReport): string {
  if (verdict === 'failed') return `${image.role} failed its boot test on ${machine.name}`;
  return machine.reaches === 'login'
    ? `${image.role} boots to its login prompt on ${machine.name}; whether it is healthy was not checked`
    : `${image.role} boots and is healthy on ${machine.name}`;
}

/** `11 of 12 checks passed, 1 not run`. */
export function countsOf({ boots }: BootReport): string {
  const checks = boots.flatMap((boot) => boot.checks);
  const having = (wanted: string): number => checks.filter(({ status }) => status === wanted).length;
  const skipped = having('not run');
  return `${having('passed')} of ${checks.length} checks passed${skipped > 0 ? `, ${skipped} not run` : ''}`;
}
