// Every kind of step there is.
import type { ProvisionStep } from '../src/role/schema/provision.ts';
import { group, user } from './steps/account.ts';
import { command } from './steps/command.ts';
import { disk } from './steps/disk.ts';
import { directory, template } from './steps/file.ts';
import { hosts } from './steps/hosts.ts';
import { sql } from './steps/sql.ts';
import { swap } from './steps/swap.ts';
import { firewall, unit } from './steps/unit.ts';
import { wait } from './steps/wait.ts';
import { Problem } from './problem.ts';
import type { Knowledge, Lack, StepContext, StepKind, StepOf } from './step.ts';

/** A step with all that it will do worked out, before anything is changed. */
export interface Prepared {
  name: string;
  kind: string;
  after: string[];
  shares: string | undefined;
  flushes: boolean;
  /** What it will do, as data: secrets included. */
  content: unknown;
  check(context: StepContext): Promise<Lack>;
  apply(context: StepContext): Promise<void>;
  verify(context: StepContext): Promise<Lack>;
}

type Prepare<Step> = (step: Step, knowledge: Knowledge) => Promise<Prepared>;

function preparing<Step extends ProvisionStep, Content>(kind: StepKind<Step, Content>): Prepare<Step> {
  return async (step, knowledge) => {
    const content = await kind.prepare(step, knowledge);
    const check = (context: StepContext): Promise<Lack> => kind.check(content, context);
    return {
      name: step.name,
      kind: step.step,
      after: step.after,
      shares: kind.shares,
      flushes: kind.flushes ?? false,
      content,
      check,
      apply: (context) => kind.apply(content, context),
      verify: (context) => (kind.verify ? kind.verify(content, context) : check(context)),
    };
  };
}

const KINDS: { [Kind in ProvisionStep['step']]: Prepare<StepOf<Kind>> } = {
  template: preparing(template),
  directory: preparing(directory),
  user: preparing(user),
  group: preparing(group),
  unit: preparing(unit),
  command: preparing(command),
  wait: preparing(wait),
  sql: preparing(sql),
  disk: preparing(disk),
  swap: preparing(swap),
  hosts: preparing(hosts),
  firewall: preparing(firewall),
};

/** Throws Problem: an unknown kind, a name that templates do not know, a peer that the document does not name. */
export function prepare(step: ProvisionStep, knowledge: Knowledge): Promise<Prepared> {
  // That a step and the table's entry for its kind belong together is what the compiler cannot see.
  const known = (KINDS as Record<string, Prepare<ProvisionStep> | undefined>)[step.step];
  if (known !== undefined) return known(step, knowledge);
  throw new Problem(`Step ${step.name} is a ${step.step}, which this agent does not know`, {
    hint: 'Build the image again: role and agent belong together.',
  });
}
