// What every bench does with an error: says it as piimg does, and exits as piimg does.
import { describeFailure, failureText } from '../../src/cli/failure.ts';
import { piimgVersion } from '../../src/host/package-root.ts';
import { styleFor } from '../../src/ui/style.ts';

export async function runMain(main: () => Promise<void>): Promise<void> {
  try {
    await main();
  } catch (error) {
    const failure = describeFailure(error, { aborted: false, version: piimgVersion() });
    process.stderr.write(`${failureText(failure, styleFor(process.stderr))}\n`);
    process.exitCode = failure.exitCode;
  }
}
