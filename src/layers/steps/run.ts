// Runs a script of the role's, or of the base's, inside the image.
import { PiimgError } from '../../lib/errors.ts';
import { offerShell } from './configure.ts';
import { clock, rootOf, type StepContext } from './context.ts';

/** `/bin/sh -eu` as root in /, with native tools, for a role but perl and python, without network unless the step asks for it: offline that is refused. */
export async function runScript(
  spec: { name: string; script: string; network: boolean; env: Record<string, string>; interpreters?: 'own' },
  context: StepContext,
): Promise<string[]> {
  if (spec.network && context.offline) {
    throw new PiimgError(
      `${context.roleFile}: the run step “${spec.name}” asks for the network, and this build is offline`,
      {
        hint: 'Build once without --offline: what the step makes is kept, and used again as long as it and what it stands on stay the same.',
      },
    );
  }
  const overlay = spec.interpreters === 'own' ? 'interpreted' : 'native';
  try {
    await context.sandbox.inRoot(
      { ...rootOf(context, overlay), network: spec.network },
      {
        argv: ['sh', '-euc', spec.script],
        env: { ...clock(context), SYSTEMD_OFFLINE: '1', ...spec.env },
        signal: context.signal,
        onLine: (line) => context.step.update({ message: line }),
      },
    );
  } catch (error) {
    if (!(error instanceof PiimgError) || context.signal?.aborted) throw error;
    await offerShell(context, overlay);
    throw new PiimgError(`The run step “${spec.name}” failed`, {
      ...(error.detail !== undefined && { detail: error.detail }),
      hint: spec.network
        ? 'Look around with --shell-on-error.'
        : 'It has no network unless it says `network: true`. Look around with --shell-on-error.',
      cause: error,
    });
  }
  return [];
}
