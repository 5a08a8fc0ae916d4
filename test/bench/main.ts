// What every bench does with an error: says it as piimg does, and exits as piimg does.
import { describeFailure } from '../../src/cli/failure.ts';
import { piimgVersion } from '../../src/host/package-root.ts';
import { styleFor } from '../../src/ui/style.ts';

export async function runMain(main: () => Promise<void>): Promise<void> {
  try {
    await main();
  } catch (error) {
    const options = { aborted: false, version: piimgVersion(), style: styleFor(process.stderr) };
    const { text, exitCode } = describeFailure(error, options);
    process.stderr.write(`${text}\n`);
    process.exitCode = exitCode;
  }
}
