#!/usr/bin/env node
// The program `piimg`: reads the command line, runs one command, turns whatever is thrown into an exit code.
import { piimgVersion } from '../host/package-root.ts';
import { styleFor } from '../ui/style.ts';
import { guardOutput } from './commands/output.ts';
import { describeFailure, failureEvent, failureText } from './failure.ts';
import { createProgram } from './program.ts';
import { abortOnSignals } from './signals.ts';

guardOutput();
const signal = abortOnSignals();
let forProgram = false;
try {
  const program = createProgram(signal).hook('preAction', (_program, command) => {
    forProgram = command.getOptionValue('progress') === 'json';
  });
  await program.parseAsync();
} catch (error) {
  const failure = describeFailure(error, { aborted: signal.aborted, version: piimgVersion() });
  if (failure.message !== undefined) {
    process.stderr.write(`${forProgram ? failureEvent(failure) : failureText(failure, styleFor(process.stderr))}\n`);
  }
  process.exitCode = failure.exitCode;
}
