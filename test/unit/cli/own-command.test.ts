// The command as root would have it: by sudo, and by su where there is none.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { startedAs, withSudo } from '../../../src/cli/own-command.ts';
import { run } from '../../../src/host/exec.ts';
import { programs } from '../../helpers/local-session.ts';

test('what is printed has the very words run, whichever program it names', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'piimg-sudo-'));
  process.argv.push("it's one");
  try {
    for (const [name, script] of [
      ['sudo', 'printf "%s\\n" "$@"'],
      ['su', '[ "$1" = -c ] && eval "set -- $2" && printf "%s\\n" "$@"'],
    ] as const) {
      const only = await programs(path.join(folder, name), { [name]: script });
      const typed = withSudo(name === 'sudo');
      assert.is(typed.split(' ')[0], name);
      const { stdout } = await run(['sh', '-c', typed], { env: { PATH: `${only}:${process.env.PATH}` } });
      const owner = ['env', `SUDO_UID=${process.getuid?.()}`, `SUDO_GID=${process.getgid?.()}`];
      assert.equal(stdout.trim().split('\n'), [
        ...(name === 'su' ? owner : []),
        process.execPath,
        ...process.execArgv,
        ...process.argv.slice(1),
      ]);
    }
  } finally {
    process.argv.pop();
    await rm(folder, { recursive: true });
  }
});

test('under sudo it is started so again; root alone, and anybody else, needs none', () => {
  const script = process.argv[1];
  const sudo = ['sudo', process.execPath, ...process.execArgv, script];
  assert.equal(startedAs({ uid: 0, env: { SUDO_UID: '1000' } }), sudo);
  assert.equal(startedAs({ uid: 0, env: {} }), ['piimg']);
  assert.equal(startedAs({ uid: 1000, env: { SUDO_UID: '1000' } }), ['piimg']);
});

test.run();
