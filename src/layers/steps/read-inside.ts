// Reads a text of the layers below as the image itself would: inside the sandbox, where its links lead nowhere else.
import { rootOf, type StepContext } from './context.ts';

/** Exit status of the script for a file that is not there. */
const MISSING = 97;

/**
 * The text at `path` (without leading slash) in the layers below, whiteouts and links included; undefined where there is no such file. Throws
 * PiimgError when it cannot be read.
 */
export async function readInside(path: string, context: StepContext): Promise<string | undefined> {
  if (context.below.length === 0) return undefined;
  const { lowers, overlay } = rootOf(context, 'native');
  const { stdout, exitCode } = await context.sandbox.inRoot(
    { lowers, overlay },
    {
      // The last line's end would be lost.
      argv: ['sh', '-euc', `[ -f "$1" ] || exit ${MISSING}; cat "$1"; printf .`, 'sh', `/${path}`],
      okCodes: [0, MISSING],
      signal: context.signal,
    },
  );
  return exitCode === 0 ? stdout.slice(0, -1) : undefined;
}
