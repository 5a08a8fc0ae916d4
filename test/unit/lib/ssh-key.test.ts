// Public ssh keys: which lines are whole, and that fingerprints are those that ssh-keygen prints.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { run } from '../../../src/host/exec.ts';
import { fingerprint, keyParts } from '../../../src/lib/ssh-key.ts';
import { publicKey } from '../../../src/lib/yaml/words.ts';
import { keyLine } from '../../helpers/ssh-keys.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';

for (const type of ['ed25519', 'ecdsa', 'rsa']) {
  test(`a key of ssh-keygen's is taken, and told as ssh-keygen tells it: ${type}`, async () => {
    const file = join(temporaryFolder(), 'id');
    await run(['ssh-keygen', '-q', '-t', type, '-N', '', '-C', 'a b@c', '-f', file]);
    const line = (await readFile(`${file}.pub`, 'utf8')).trim();
    const { stdout } = await run(['ssh-keygen', '-l', '-f', file]);
    assert.ok(publicKey.safeParse(line).success);
    assert.ok(stdout.includes(` ${fingerprint(line)} `), stdout);
    assert.is(keyParts(line).comment, 'a b@c');
  });
}

const whole = keyLine();
const wrong: Record<string, string> = {
  'one letter less': whole.replace(/..( me@laptop)/, '$1'),
  'another type in front': whole.replace('ssh-ed25519', 'ssh-rsa'),
  'a type nobody should use': keyLine('me', 'ssh-dss'),
  'options before it': `no-pty ${whole}`,
  'two lines': `${whole}\n${whole}`,
  'a carriage return in the comment': `${whole}\r`,
  'no key': 'ssh-ed25519',
};
for (const [name, line] of Object.entries(wrong)) {
  test(`no whole key: ${name}`, () => assert.not.ok(publicKey.safeParse(line).success));
}

test('security keys are taken', () => {
  assert.ok(publicKey.safeParse(keyLine('me', 'sk-ssh-ed25519@openssh.com')).success);
  assert.ok(publicKey.safeParse(whole).success);
});

test.run();
