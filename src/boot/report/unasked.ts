// A boot on a machine that nothing can be asked of: the role's checks are in its report too, as not run.
import type { Question } from '../checks/judge.ts';
import type { BootReport, CheckResult } from '../report.ts';

/** The report of a boot that was followed to the login prompt; `questions`: what the role asks of a healthy machine. */
export function withUnasked(report: BootReport, questions: Question[]): BootReport {
  const unasked = questions.map((question): CheckResult => ({
    ...question,
    status: 'not run',
    seen: 'this machine has no network to be asked by',
    at: 0,
    attempts: 0,
  }));
  return {
    ...report,
    machine: { ...report.machine, reaches: 'login' },
    boots: report.boots.map((boot) => ({ ...boot, checks: [...boot.checks, ...unasked] })),
  };
}
