#!/usr/bin/env node
// The program `piimg`: reads the command line, runs one command, turns whatever is thrown into an exit code.
import { piimgVersion } from '../host/package-root.ts';
import { styleFor } from '../ui/style.ts';
import { describeFailure } from './failure.ts';
import { createProgram } from './program.ts';
import { abortOnSignals } from './signals.ts';

// Whoever reads our output may have seen enough (`piimg roles | head`).
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit();
  throw error;
});

const signal = abortOnSignals();
try {
  await createProgram(signal).parseAsync();
} catch (error) {
  const style = styleFor(process.stderr);
  const failure = describeFailure(error, { aborted: signal.aborted, version: piimgVersion(), style });
  if (failure.text !== '') process.stderr.write(`${failure.text}\n`);
  process.exitCode = failure.exitCode;
}
