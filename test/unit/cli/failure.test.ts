// Whatever is thrown becomes the right exit code and a text to act on.
import { CommanderError } from 'commander';
import { readFile } from 'node:fs/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { describeFailure, failureEvent, failureText } from '../../../src/cli/failure.ts';
import { EXIT, PiimgError } from '../../../src/lib/errors.ts';
import { styleFor } from '../../../src/ui/style.ts';

const describe = (error: unknown, aborted = false) => {
  const failure = describeFailure(error, { aborted, version: '1.2.3' });
  return {
    exitCode: failure.exitCode,
    text: failure.message === undefined ? '' : failureText(failure, styleFor({}, {})),
  };
};

test('a known failure: message, detail, hint, its own exit code', () => {
  const error = new PiimgError('web.yaml is wrong', { exitCode: EXIT.usage, hint: 'Fix it.', detail: 'one\ntwo' });
  const text = 'error: web.yaml is wrong\n  | one\n  | two\nhint: Fix it.';
  assert.equal(describe(error), { exitCode: EXIT.usage, text });
  assert.equal(describe(new PiimgError('no')), { exitCode: EXIT.failed, text: 'error: no' });
});

test('a bug: stack, version, how to report', () => {
  const { exitCode, text } = describe(new TypeError('x is not a function'));
  assert.is(exitCode, EXIT.bug);
  assert.match(text, /TypeError: x is not a function\n {2}\| +at /);
  assert.match(text, `piimg 1.2.3, Node.js ${process.versions.node}`);
  assert.match(text, 'Please report it');
  assert.is(describe('a string').exitCode, EXIT.bug);
});

test('errors of the system are failures with a remedy; a missing file nobody expected is a bug', async () => {
  const full = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC', syscall: 'write' });
  const { exitCode, text } = describe(full);
  assert.is(exitCode, EXIT.failed);
  assert.match(text, 'no space left on device, write\nhint: The disk is full');
  const absent = await readFile('/no/such/file').catch((error: unknown) => error);
  assert.is(describe(absent).exitCode, EXIT.bug);
});

test('after Ctrl-C everything is an interruption', () => {
  const expected = { exitCode: EXIT.interrupted, text: 'Interrupted.' };
  assert.equal(describe(new Error('aborted'), true), expected);
  assert.equal(describe(new PiimgError('Interrupted', { exitCode: EXIT.interrupted })), expected);
});

test('a program gets the same as one line of JSON', () => {
  const of = (error: unknown): unknown =>
    JSON.parse(failureEvent(describeFailure(error, { aborted: false, version: '1' })));
  const error = new PiimgError('web.yaml is wrong', { exitCode: EXIT.usage, hint: 'Fix it.', detail: 'one\ntwo' });
  const said = { message: 'web.yaml is wrong', detail: 'one\ntwo', hint: 'Fix it.' };
  assert.equal(of(error), { type: 'failure', code: EXIT.usage, ...said });
  assert.equal(of(new PiimgError('no')), { type: 'failure', code: EXIT.failed, message: 'no' });
});

test('commander has spoken already', () => {
  assert.equal(describe(new CommanderError(1, 'commander.unknownOption', 'x')), { exitCode: EXIT.usage, text: '' });
  assert.equal(describe(new CommanderError(0, 'commander.helpDisplayed', 'x')), { exitCode: EXIT.done, text: '' });
});

test.run();
