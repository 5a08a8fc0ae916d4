// Scripts in the image that may find that no package of it has what the role names.
import { EXIT, PiimgError } from '../../lib/errors.ts';
import { nearest } from '../../lib/suggest.ts';
import { clock, rootOf, type StepContext } from './context.ts';

/** Exit status of such a script then: one that no program in it has for anything else. */
const LACKING = 97;

/** Run with what, its name, and names that exist: the lines of the output. */
const LACKS = `exec 3>&1 >&2; lacks() { printf '%s\\n' "$@" >&3; exit ${LACKING}; }`;

/** Runs shell commands that may call `lacks WHAT NAME KNOWN…`. Throws PiimgError (usage) when they do, with the nearest of those known. */
export async function runOrLack(script: string[], context: StepContext): Promise<string[]> {
  const { stdout, exitCode } = await context.sandbox.inRoot(rootOf(context, 'native'), {
    argv: ['sh', '-euc', [LACKS, ...script].join('\n')],
    env: { ...clock(context), SYSTEMD_OFFLINE: '1' },
    okCodes: [0, LACKING],
    signal: context.signal,
  });
  if (exitCode === 0) return [];
  const [what = '', name = '', ...known] = stdout.split('\n');
  const suggestion = nearest(name, known);
  throw new PiimgError(`No package of the image has the ${what} ${name}`, {
    exitCode: EXIT.usage,
    hint: `${suggestion === undefined ? '' : `Did you mean ${suggestion}? `}The role can name another, or add the package that has it.`,
  });
}
