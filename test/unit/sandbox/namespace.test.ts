// Commands for the namespace: words stay words, and failures name what failed.
import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { run } from '../../../src/host/exec.ts';
import { EXIT, PiimgError } from '../../../src/lib/errors.ts';
import { explainFailure, inNamespace, sh } from '../../../src/sandbox/namespace.ts';

test('any words reach a program as they are', async () => {
  const word = fc.oneof(
    fc.string({ unit: 'grapheme', maxLength: 30 }),
    fc.string({ unit: fc.constantFrom(...`'"\\$\`;&|<>(){}*?~! \n\t#=-`.split('')), maxLength: 12 }),
  );
  const words = fc.array(
    word.map((text) => text.replaceAll('\0', '')),
    { minLength: 1, maxLength: 20 },
  );
  const check = fc.asyncProperty(words, async (given) => {
    const { stdout } = await run(['sh', '-c', `printf '%s\\0' ${given.map(sh).join(' ')}`]);
    assert.equal(stdout.split('\0').slice(0, -1), given);
  });
  await fc.assert(check, { numRuns: 30, endOnFailure: true });
});

test('unquoted, a word would be more than a word', async () => {
  const { stdout } = await run(['sh', '-c', `printf '%s|' $(echo a b); printf '%s|' ${sh('$(echo a b)')}`]);
  assert.is(stdout, 'a|b|$(echo a b)|');
});

test('the script comes last and whole; without network there is a namespace for it', () => {
  const [alone, connected] = [false, true].map((network) => inNamespace("echo 'x'\nexit 3", { network }));
  assert.match(alone?.at(-1) ?? '', /hostname localhost\necho 'x'\nexit 3$/);
  assert.ok(alone?.includes('--net'));
  assert.not(connected?.includes('--net'));
  for (const option of ['--mount', '--pid', '--ipc', '--uts', '--fork', '--kill-child']) {
    assert.ok(connected?.includes(option), option);
  }
  // It dies with this process.
  assert.equal(alone?.slice(0, 3), ['setpriv', '--pdeathsig', 'KILL']);
});

const failed = (message: string, detail?: string) =>
  new PiimgError(message, { ...(detail !== undefined && { detail }), cause: 'cause' });

test('a failure names the program that ran inside, not what mounted its world', () => {
  const error = failed('Command failed with status 3: sh -c mount --make-rprivate', 'tar: cannot open: x');
  const told = explainFailure(error, ['tar', '-x', '-f', 'a\n  b']) as PiimgError;
  assert.is(told.message, 'In the sandbox, a command failed with status 3: tar -x -f a b');
  assert.equal([told.detail, told.exitCode, told.cause], ['tar: cannot open: x', EXIT.failed, 'cause']);
});

test('a long command is cut, a signal is told', () => {
  const told = explainFailure(failed('Command was ended by SIGKILL: sh'), ['sh', '-c', 'x'.repeat(500)]) as PiimgError;
  assert.match(told.message, /^In the sandbox, a command was ended by SIGKILL: sh -c x{114}…$/);
  assert.is(told.detail, undefined);
});

for (const line of [
  'unshare: unshare failed: Operation not permitted',
  'newuidmap: uid range [1-65536) -> [100000-165535) not allowed',
  'newgidmap: write to gid_map failed',
]) {
  test(`a machine without user namespaces is told to ask doctor: ${line}`, () => {
    const told = explainFailure(failed('Command failed with status 1: sh', `noise\n${line}`), ['true']) as PiimgError;
    assert.match(told.message, 'does not let piimg make a user namespace');
    assert.is(told.exitCode, EXIT.missingTool);
    assert.match(told.hint ?? '', /piimg doctor.*sudo/);
    assert.match(told.detail ?? '', line);
  });
}

test('what is no failure of a command passes as it is', () => {
  const others = [
    new TypeError('bug'),
    new PiimgError('unshare: not installed', { exitCode: EXIT.missingTool, detail: 'unshare: x' }),
    new PiimgError('Interrupted', { exitCode: EXIT.interrupted }),
    'text',
  ];
  for (const error of others) assert.is(explainFailure(error, ['true']), error);
});

test('a program that only mentions unshare has failed by itself', () => {
  const told = explainFailure(failed('Command failed with status 1: x', 'see unshare: not a command'), ['x']);
  assert.match((told as PiimgError).message, 'In the sandbox, a command failed with status 1: x');
});

test.run();
