// The command as root would have it: by sudo, and by su where there is none.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { again, withSudo } from '../../../src/cli/own-command.ts';
import { run } from '../../../src/host/exec.ts';
import { quote } from '../../../src/lib/quote.ts';
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

test('what was started by sudo goes on by sudo, or by su where there is none; root alone, and anybody else, needs neither', () => {
  const program = quote([process.execPath, ...process.execArgv, process.argv[1] ?? '']);
  const env = { SUDO_UID: '1000', SUDO_GID: '1001' };
  const words = ['flash', "it's one"];
  const own = `${program} ${quote(words)}`;
  assert.is(again(words, { uid: 0, env, sudo: true }), `sudo ${own}`);
  assert.is(again(words, { uid: 0, env, sudo: false }), `su -c ${quote([`env SUDO_UID=1000 SUDO_GID=1001 ${own}`])}`);
  assert.is(again(words, { uid: 0, env: {}, sudo: true }), `piimg ${quote(words)}`);
  assert.is(again(words, { uid: 1000, env, sudo: true }), `piimg ${quote(words)}`);
});

test.run();
