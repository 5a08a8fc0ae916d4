// The connection that stays open: logging in, asking, deadlines; ssh and sudo are played by scripts.
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { makeSeedKey, TEST_USER } from '../../../src/boot/seed-key.ts';
import { type Session, sshCommand, withSession } from '../../../src/boot/session.ts';
import { programs } from '../../helpers/local-session.ts';

const work = await mkdtemp(path.join(tmpdir(), 'piimg-session-'));

// ssh's last argument is the command. While there is a file `starting`, a login finds no such user yet.
const SSH = `
for last; do :; done
case "$*" in
  *" -M "*)
    echo login >>"$PIIMG_TEST/logins"
    if rm "$PIIMG_TEST/starting" 2>/dev/null; then echo "Permission denied (publickey)." >&2; exit 255; fi
    echo $$ >"$PIIMG_TEST/master" ;;
  *) [ -e "$PIIMG_TEST/lost" ] && exit 255 ;;
esac
exec sh -c "$last"`;
process.env.PIIMG_TEST = work;
process.env.PATH = `${await programs(path.join(work, 'bin'), { ssh: SSH, sudo: 'shift; exec "$@"' })}:${process.env.PATH}`;

/** What sshd says first; with `quiet` the server is QEMU's, which accepts for a machine that is not up. */
async function greeting(quiet: boolean): Promise<{ server: Server; port: number }> {
  const server = createServer((socket) => quiet || socket.end('SSH-2.0-test\r\n')).listen(0, '127.0.0.1');
  await new Promise((done) => server.once('listening', done));
  return { server, port: (server.address() as AddressInfo).port };
}

async function logIn<T>(asked: (session: Session) => Promise<T>): Promise<T> {
  const { server, port } = await greeting(false);
  try {
    return await withSession({ login: { port, user: 'me', key: 'key' }, seconds: 30 }, asked);
  } finally {
    server.close();
  }
}

const failure = (failing: Promise<unknown>): Promise<string> =>
  failing.then(
    () => 'it did not fail',
    (error: Error) => error.message,
  );

test('logs in when the machine takes the key at last, and ends the connection with the work', async () => {
  await writeFile(path.join(work, 'starting'), '');
  const pid = await logIn(async () => (await readFile(path.join(work, 'master'), 'utf8')).trim());
  assert.is((await readFile(path.join(work, 'logins'), 'utf8')).trim().split('\n').length, 2);
  assert.not.ok(existsSync(`/proc/${pid}`) && (await readFile(`/proc/${pid}/cmdline`, 'utf8')).includes('sleep'));
});

test('a command has a status of its own, both outputs, and nothing to read', async () => {
  const answer = await logIn(({ ask }) => ask(`cat; echo out; echo 'it'"'"'s' >&2; exit 255`));
  assert.equal(answer, { status: 255, stdout: 'out', stderr: "it's\n" });
});

for (const status of [124, 137]) {
  test(`a command may end with ${status}, as those do that are ended`, async () => {
    const answer = await logIn(({ ask }) => ask(`echo said >&2; exit ${status}`, { seconds: 30 }));
    assert.equal(answer, { status, stdout: '', stderr: 'said\n' });
  });
}

test('more commands than sshd takes at once wait for each other', async () => {
  const answers = await logIn(({ ask }) => Promise.all(Array.from({ length: 20 }, (_, i) => ask(`echo ${i}`))));
  assert.equal(
    answers.map(({ stdout }) => stdout),
    Array.from({ length: 20 }, (_, i) => String(i)),
  );
});

test('a command that does not end is ended', async () => {
  const message = await logIn(({ ask }) => failure(ask('sleep 60', { seconds: 1 })));
  assert.is(message, 'Not done within 1 seconds: sleep 60');
  const stubborn = await logIn(({ ask }) => failure(ask(`trap '' TERM; while :; do sleep 1; done`, { seconds: 1 })));
  assert.match(stubborn, /^Not done within 1 seconds: trap/);
});

test('a lost connection is no status of the command', async () => {
  const message = await logIn(async ({ ask }) => {
    await ask(`touch ${work}/lost`);
    return failure(ask('true'));
  });
  assert.match(message, 'Command failed with status 255: ssh');
});

test('a machine that accepts connections and says nothing gives no login', async () => {
  const { server, port } = await greeting(true);
  const nobody = withSession({ login: { port, user: 'me', key: 'key' }, seconds: 0 }, async () => {});
  assert.match(
    await failure(nobody),
    'No login by ssh as me within 0 seconds: it accepted the connection and said nothing',
  );
  server.close();
});

test('nothing of the user’s own ssh counts', () => {
  const command = sshCommand({ port: 2222, user: 'me', key: '/k' }, ['-v'], 'true').join(' ');
  for (const word of [
    '-F none',
    'UserKnownHostsFile=/dev/null',
    'IdentitiesOnly=yes',
    'IdentityAgent=none',
    'BatchMode=yes',
  ]) {
    assert.match(command, word);
  }
  assert.match(command, /-v -i \/k -p 2222 me@127\.0\.0\.1 true$/);
});

test('each test has a key of its own, which nobody else can read', async () => {
  const key = await makeSeedKey(work);
  assert.match(key.public, new RegExp(`^ssh-ed25519 [A-Za-z0-9+/]{68} ${TEST_USER}$`));
  assert.is((await stat(key.file)).mode & 0o777, 0o600);
});

test('the work is cleaned up', async () => {
  await rm(work, { recursive: true });
});

test.run();
