// An image that piimg has built on a base whose own first boot is told who the machine is: that gets its files, the agent its document.
import { copyFile, mkdtemp, open, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { firstBootAgent } from '../../../src/cli/agent.ts';
import { searchPaths } from '../../../src/cli/context.ts';
import { isAgents } from '../../../src/cli/customizing.ts';
import { openImage } from '../../../src/cli/flashing/image.ts';
import { prepareIdentities, type Identity } from '../../../src/cli/flashing/identities.ts';
import { loginPatches } from '../../../src/cli/own-first-boot.ts';
import type { NodeFlags } from '../../../src/cli/seed-options.ts';
import { CARD_RECORD, parseCardRecord } from '../../../src/flash/card-record.ts';
import { run, type RunResult } from '../../../src/host/exec.ts';
import { encodeHeader, type ImageHeader } from '../../../src/image/header.ts';
import { HEADER_LBA } from '../../../src/image/layout.ts';
import { minimalSeed } from '../../../src/seed/minimal.ts';
import { checkFat } from '../../helpers/fat-image.ts';
import { BOOT, foreignImage, mtools } from '../../helpers/foreign-image.ts';
import { keyLine } from '../../helpers/ssh-keys.ts';
import { piimg } from './piimg.ts';

const BUILD_ID = 'c0ffee01'.repeat(8);
const RESULT = 'piimg-result.json';

/** Where the slot lies is found by its name. */
const HEADER: ImageHeader = {
  buildId: BUILD_ID,
  role: 'web',
  base: 'plain',
  slots: minimalSeed(BUILD_ID, 'own').map(({ name, content }) => ({ name, offset: 0, length: content.length })),
  partitions: [],
  created: 0,
  logins: [],
  firstBoot: 'own',
};

async function writeHeader(to: string, header: ImageHeader): Promise<void> {
  const bytes = encodeHeader(header);
  const file = await open(to, 'r+');
  await file.write(bytes, 0, bytes.length, HEADER_LBA * 512);
  await file.close();
}

const image = await foreignImage('systemd', {
  root: { 'etc/passwd': 'root:x:0:0::/root:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\n' },
});
const folder = dirname(image);
await writeFile(join(folder, 'me.pub'), `${keyLine()}\n`);
await writeFile(join(folder, 'word'), 'hunter2hunter2\n');
{
  const seed = minimalSeed(BUILD_ID, 'own');
  assert.equal(
    seed.map(({ name }) => name),
    ['piimg.json'],
  );
  for (const { name, content } of [...seed, { name: RESULT, content: Buffer.from('{"status":"applied"}\n\n\n') }]) {
    await writeFile(join(folder, name), content);
    await mtools(image, 'mcopy', join(folder, name), '::/');
  }
  await writeHeader(image, HEADER);
}

const own = (...args: string[]): Promise<RunResult> => piimg(args, { cwd: folder });
const text = async (file: string, name: string): Promise<string> => (await mtools(file, 'mtype', `::${name}`)).stdout;
const search = searchPaths(folder);
const NODE = ['--node', 'pi1', '--ssh-key', 'me.pub', '--set', 'port=3000', '--secret', 'db=word'];

async function assertTold(file: string, node = 'pi1'): Promise<void> {
  const script = await text(file, 'firstrun.sh');
  assert.match(script, `step set_hostname ${node}\n`);
  assert.not.match(script, /hunter2|3000/, 'what is the agent’s');
  assert.match(await text(file, 'cmdline.txt'), 'systemd.run=/boot/firmware/firstrun.sh');
  const document = JSON.parse(await text(file, 'piimg.json')) as Record<string, unknown>;
  assert.equal(
    [document.node, document.role, document.buildId, document.variables, document.secrets],
    [node, 'web', BUILD_ID, { port: 3000 }, { db: 'hunter2hunter2' }],
  );
  assert.is((await text(file, RESULT)).trim(), '', 'how it went before says nothing of this');
  assert.is((await checkFat(file)).exitCode, 0);
}

test('seed: files of its own first boot, and the agent’s document; what it carries is shown', async () => {
  const { stdout, stderr, exitCode } = await own('seed', 'card.img', '--out', 'pi1.img', ...NODE);
  assert.is(exitCode, 0, stderr);
  assert.match(stdout, 'firstrun.sh');
  assert.not.match(stdout, /hunter2/);
  await assertTold(join(folder, 'pi1.img'));
  const shown = await own('seed', 'show', 'pi1.img', '--json');
  assert.is(shown.exitCode, 0, shown.stderr);
  const { node, variables, secrets, problems, firstBoot } = JSON.parse(shown.stdout) as Record<string, unknown>;
  assert.equal([node, variables, secrets, problems, firstBoot], ['pi1', { port: 3000 }, { db: 'set' }, [], 'own']);
  assert.match((await own('seed', 'show', 'pi1.img')).stdout, /users, network +told to its base's own first boot/);
  assert.match((await own('card', 'pi1.img')).stdout, /node +pi1\n +logs in +who is told to its base's own first boot/);
  const inspected = await own('inspect', 'pi1.img', '--json');
  assert.match(inspected.stdout, '"systemd"');
  await copyFile(image, join(folder, 'in-place.img'));
  assert.is((await own('customize', 'in-place.img', '--in-place', ...NODE)).exitCode, 0);
  await assertTold(join(folder, 'in-place.img'));
});

test('one that was seeded is flashed as it is, once: somebody can log in, and it is who it is', async () => {
  const said = await own('flash', 'pi1.img', '--to', 'as-it-is.img', '--json');
  assert.is(said.exitCode, 0, said.stderr);
  const opened = await openImage(join(folder, 'pi1.img'), new AbortController().signal);
  const prepared = (names: undefined[]): Promise<Identity[]> =>
    prepareIdentities(opened, names, { login: true }, { search, signal: new AbortController().signal });
  const [identity] = await prepared([undefined]);
  assert.equal([identity?.node, identity?.login, identity?.patches.length], ['pi1', 'pi@pi1', 1]);
  const twice = await prepared([undefined, undefined]).catch((error: unknown) => error);
  assert.match((twice as Error).message, /carries the identity of pi1/);
});

test('flash: a card has the same, and its record; nobody to log in is told; a packed one gets no name', async () => {
  const { signal } = new AbortController();
  const flags = { login: true, node: 'pi1', sshKey: [join(folder, 'me.pub')] };
  const agents = { set: [['port', '3000']], secret: [['db', join(folder, 'word')]] } satisfies NodeFlags;
  const opened = await openImage(image, signal);
  const [identity] = await prepareIdentities(opened, [undefined], { ...flags, ...agents }, { search, signal });
  assert.equal([identity?.node, identity?.login, identity?.secret], ['pi1', 'pi@pi1', true]);
  const bytes = await readFile(image);
  for (const { offset, content } of identity?.patches ?? []) bytes.set(content ?? [], offset);
  const card = join(await mkdtemp(join(folder, 'card-')), 'card.img');
  await writeFile(card, bytes);
  await assertTold(card);
  const { offset, length } = CARD_RECORD;
  assert.is(parseCardRecord(bytes.subarray(offset, offset + length))?.node, 'pi1');
  assert.ok(offset + length <= BOOT.start * 512);

  const closed = await own('flash', 'card.img', '--to', 'x.img', '--json');
  assert.is(closed.exitCode, 2, closed.stderr);
  assert.match(closed.stderr, 'Nobody could log in');
  // Nor to one that was given a name, and nobody with a key.
  assert.is((await own('seed', 'card.img', '--out', 'closed.img', '--node', 'pi3', '--user', 'me')).exitCode, 0);
  const keyless = await own('flash', 'closed.img', '--to', 'x.img', '--json');
  assert.is(keyless.exitCode, 2, keyless.stderr);
  assert.match(keyless.stderr, 'Nobody could log in');
  await run(['xz', '-k', '-0', image]);
  const unnamed = await own('flash', 'card.img.xz', '--to', 'x.img');
  assert.is(unnamed.exitCode, 2, unnamed.stderr);
  assert.match(unnamed.stderr, /Whether anybody can log in to card\.img\.xz is not known here[^]*Unpack it/);
  const packed = await own('flash', 'card.img.xz', '--to', 'x.img', ...NODE);
  assert.is(packed.exitCode, 2, packed.stderr);
  assert.match(packed.stderr, 'is no plain file');
});

test('a boot test tells the first boot of its login, and leaves the agent what the image has', async () => {
  const { signal } = new AbortController();
  const patches = await loginPatches(image, { node: 'piimg-test-1', user: 'tester', key: keyLine() }, signal);
  const bytes = await readFile(image);
  for (const { offset, content } of patches) bytes.set(content, offset);
  const card = join(await mkdtemp(join(folder, 'card-')), 'card.img');
  await writeFile(card, bytes);
  assert.match(await text(card, 'firstrun.sh'), /step set_hostname piimg-test-1\nstep first_user tester /);
  for (const name of ['piimg.json', RESULT]) {
    assert.ok(isAgents(name));
    assert.is(await text(card, name), await text(image, name));
  }
  assert.ok(patches.length < 20, 'neighbours go together');
});

test('a header that another system has been written behind is not taken for it', async () => {
  const foreign = await foreignImage('systemd');
  await writeHeader(foreign, HEADER);
  await writeFile(join(dirname(foreign), 'me.pub'), `${keyLine()}\n`);
  const said = await piimg(['seed', 'card.img', '--in-place', '--node', 'pi1'], { cwd: dirname(foreign) });
  assert.is(said.exitCode, 3, said.stderr);
  assert.match(said.stderr, 'held an image of piimg once');
});

test('where cloud-init does not start what mends accounts, something else does', async () => {
  const link = 'usr/lib/systemd/system/sysinit.target.wants/piimg-repair.service';
  const has = (entries: { path: string }[]): boolean => entries.some(({ path }) => path === link);
  assert.equal([has(await firstBootAgent('own')), has(await firstBootAgent())], [true, false]);
});

test('a user of the role with id 1000 is not made the first user', async () => {
  await copyFile(image, join(folder, 'roles.img'));
  const ownUsers = { ...HEADER, users: ['app'] };
  await writeHeader(join(folder, 'roles.img'), ownUsers);
  const { stdout, stderr, exitCode } = await own('seed', 'roles.img', '--in-place', ...NODE);
  assert.is(exitCode, 0, stderr + stdout);
  assert.match(await text(join(folder, 'roles.img'), 'firstrun.sh'), /step further_user pi /);
  assert.match(await text(join(folder, 'pi1.img'), 'firstrun.sh'), /step first_user pi /, 'control');
});

test.run();
