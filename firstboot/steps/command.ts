// A script of the role's, unless its work is done.
import { lstat } from 'node:fs/promises';
import type { Lack, StepContext, StepKind, StepOf } from '../step.ts';
import { render } from '../step.ts';
import { quote } from '../../src/lib/quote.ts';

type Command = Pick<StepOf<'command'>, 'script' | 'creates' | 'unless' | 'timeout'>;

/** In scripts `{{name}}` is one word, whatever is in it. */
const asWord = (value: string): string => (value === '' ? "''" : quote([value]));

export const command: StepKind<StepOf<'command'>, Command> = {
  prepare({ name, script, creates, unless, timeout }, { data }) {
    return {
      script: render(script, `the script of step ${name}`, data, asWord),
      unless: unless === undefined ? undefined : render(unless, `\`unless\` of step ${name}`, data, asWord),
      creates,
      timeout,
    };
  },
  async check(step, context) {
    if (step.creates === undefined && step.unless === undefined)
      return context.applied ? undefined : 'it was not run yet';
    // Its guards say nothing of a script that was cut: what they look at may have come first.
    return context.interrupted ? 'it was interrupted' : guards(step, context);
  },
  async apply({ script, timeout }, { machine }) {
    await machine.script(script, { timeout: timeout * 1000 });
  },
  verify: guards,
};

async function guards({ creates, unless, timeout }: Command, { machine }: StepContext): Promise<Lack> {
  if (creates !== undefined && !(await lstat(machine.at(creates)).catch(() => undefined)))
    return `${creates} is not there`;
  if (unless === undefined) return undefined;
  const any = Array.from({ length: 256 }, (_, code) => code);
  const { code } = await machine.script(unless, { timeout: timeout * 1000, okCodes: any });
  return code === 0 ? undefined : `\`unless\` ends with status ${code}`;
}
