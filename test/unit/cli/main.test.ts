// The command line as its users meet it: help, slips, exit codes.
import { readFile, writeFile } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createProgram } from '../../../src/cli/program.ts';
import { run } from '../../../src/host/exec.ts';
import { EXIT } from '../../../src/lib/errors.ts';
import { piimgCommand } from '../../helpers/command.ts';
import { piimg } from './piimg.ts';

const golden = fileURLToPath(new URL('../../golden/help.txt', import.meta.url));

/** The help of every command. `PIIMG_RECORD=1` writes the golden file anew, and fails so that it cannot be left on. */
test('--help of every command is the golden file', async () => {
  const root = createProgram(new AbortController().signal);
  const all = [root, ...root.commands, ...root.commands.flatMap(({ commands }) => commands)];
  const text = all.map((command) => command.configureHelp({ helpWidth: 80 }).helpInformation()).join('\n----\n');
  if (process.env.PIIMG_RECORD) {
    await writeFile(golden, text);
    throw new Error('the golden file was written: read the difference, run again without PIIMG_RECORD');
  }
  assert.fixture(text, await readFile(golden, 'utf8'));
});

test('--machine takes one name, or several, and leaves the image alone', () => {
  const given = (...args: string[]) => {
    const root = createProgram(new AbortController().signal);
    const command = root.commands.find((one) => one.name() === 'test');
    const operands = command?.parseOptions(args).operands;
    return [operands, command?.getOptionValue('machine')] as unknown;
  };
  assert.equal(given('--machine', 'raspi3b', 'web.img'), [['web.img'], ['raspi3b']]);
  assert.equal(given('--machine', 'raspi3b,virt', 'web.img', '--machine=x'), [['web.img'], ['raspi3b', 'virt', 'x']]);
  assert.equal(given('web.img'), [['web.img'], ['virt']]);
  assert.throws(() => given('--machine', 'virt,'), /names/);
});

test('cache prune --days 0 keeps nothing, and is taken', () => {
  const cache = createProgram(new AbortController().signal).commands.find((one) => one.name() === 'cache');
  const prune = cache?.commands.find((one) => one.name() === 'prune');
  prune?.parseOptions(['--days', '0']);
  assert.is(prune?.getOptionValue('days'), 0);
  assert.throws(() => prune?.parseOptions(['--days', '-1']), /at least 0/);
});

test('--help and --version go to stdout and are no failure', async () => {
  const [help, version] = await Promise.all([piimg(['--help']), piimg(['--version'])]);
  assert.match(help.stdout, /^Usage: piimg/);
  assert.match(help.stdout, 'Exit codes: 0 done');
  assert.match(version.stdout, /^\d+\.\d+\.\d+$/);
  assert.equal([help.exitCode, version.exitCode, help.stderr], [0, 0, '']);
});

const slips: { args: string[]; says: string | RegExp }[] = [
  { args: [], says: 'Usage: piimg' },
  { args: ['biuld'], says: "unknown command 'biuld'\n(Did you mean build?)" },
  { args: ['build', '--rol', 'web'], says: "unknown option '--rol'\n(Did you mean --role?)" },
  { args: ['build'], says: "option '--role <name|file>' is required" },
  { args: ['build', '--role', 'web', '--compress', 'zip'], says: 'Allowed choices are none, xz, zst, gz' },
  { args: ['build', '--role', 'web', '--size', 'big'], says: 'It is written like 4G' },
  { args: ['build', '--role', 'web', '--jobs', '0'], says: 'at least 1' },
  { args: ['build', '--role', 'web', '--mirror', 'ftp://x'], says: 'http or https URL' },
  { args: ['schema', 'rol'], says: 'Allowed choices are role, base, machine, node, nodes.\n(Did you mean role?)' },
  { args: ['show'], says: "missing required argument 'role'" },
  { args: ['diff', 'a'], says: "missing required argument 'b'" },
  { args: ['roles', 'extra'], says: 'too many arguments' },
  { args: ['boot', 'a.img', 'b.img'], says: 'too many arguments' },
  { args: ['build', 'shop'], says: 'a role is given with an option: --role shop' },
  { args: ['plan', '--role', 'web', 'more'], says: 'a role is given with an option: --role more' },
  { args: ['cache', 'prun'], says: 'Did you mean prune?' },
  { args: ['show', 'no-such-role'], says: 'no role `no-such-role`' },
];

for (const { args, says } of slips) {
  test(`wrong usage: piimg ${args.join(' ')}`, async () => {
    const { exitCode, stdout, stderr } = await piimg(args);
    assert.match(stderr, says);
    assert.equal([exitCode, stdout], [EXIT.usage, '']);
  });
}

test('schema prints that of roles, or of the kind that is named', async () => {
  const titles = await Promise.all(
    [[], ['role'], ['base'], ['node'], ['nodes']].map(async (kind) => {
      const { stdout } = await piimg(['schema', ...kind]);
      return (JSON.parse(stdout) as { title: string }).title;
    }),
  );
  assert.equal(titles, ['piimg role', 'piimg role', 'piimg base', 'piimg node', 'piimg nodes']);
});

test('a reader that closes the pipe early is no failure', async () => {
  const script = `"$0" "$@" schema; echo "exit $?" >&2`;
  const { stderr } = await run(['sh', '-c', `(${script}) | head -c 1 >/dev/null`, ...piimgCommand()]);
  assert.is(stderr, 'exit 0');
});

test('with --progress json a failure is a line of JSON too', async () => {
  const { stderr, exitCode } = await piimg(['update', '--role', 'no-such-role', '--progress', 'json']);
  const events = stderr
    .split('\n')
    .map((line) => JSON.parse(line) as { type: string; code?: number; message?: string });
  assert.is(events.at(-1)?.type, 'failure');
  assert.equal([events.at(-1)?.code, exitCode], [EXIT.usage, EXIT.usage]);
  assert.match(events.at(-1)?.message ?? '', 'no role `no-such-role`');
});

const outputs: [what: string, redirection: string, says: RegExp][] = [
  ['a full disk for stdout', '>/dev/full', /^error: stdout cannot be written: ENOSPC.*\nexit 1$/],
  ['a full disk for stderr', '>/dev/null 2>/dev/full', /^exit 1$/],
  ['nobody who reads stderr', '2>&1 >/dev/null | true', /^exit 2$/],
];
for (const [what, redirection, says] of outputs) {
  test(`output that cannot be written: ${what}`, async () => {
    const command = what.includes('stderr') ? 'show no-such-role' : 'schema';
    const script = `exec 3>&2; run() { "$@" ${command}; echo "exit $?" >&3; }; run "$0" "$@" ${redirection}`;
    const { stderr } = await run(['sh', '-c', script, ...piimgCommand()]);
    assert.match(stderr, says);
  });
}

test('the first SIGINT aborts the work, a second one ends it at once', async () => {
  const signals = new URL('../../../src/cli/signals.ts', import.meta.url).href;
  const source = `
    import { abortOnSignals } from ${JSON.stringify(signals)};
    abortOnSignals().addEventListener('abort', () => console.log('aborted'));
    setInterval(() => {}, 1000);
    console.log('ready');`;
  const seen: string[] = [];
  const child = run([process.execPath, '--import', 'tsx', '--input-type=module', '-e', source], {
    okCodes: [EXIT.interrupted],
    signal: AbortSignal.timeout(30_000),
    onLine: (line, stream) => {
      if (stream === 'stderr') return;
      seen.push(line);
      child.kill('SIGINT');
      // At once it may be the same Ctrl-C, handed on by npm.
      if (line === 'aborted') void wait(700).then(() => child.kill('SIGINT'));
    },
  });
  await child;
  assert.equal(seen, ['ready', 'aborted']);
});

test.run();
