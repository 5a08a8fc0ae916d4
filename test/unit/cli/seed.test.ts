// `piimg seed` as its users meet it, on an image of a boot partition alone: options, refusals, what it prints and what it leaves.
import { chmod, copyFile, open, readdir, readFile, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CommanderError } from 'commander';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import { describeFailure, type Failure } from '../../../src/cli/failure.ts';
import { createProgram } from '../../../src/cli/program.ts';
import { EXIT } from '../../../src/lib/errors.ts';
import { run, type RunResult } from '../../../src/host/exec.ts';
import { checkFat, mtools, OTHER, seedImage } from '../../helpers/seed-image.ts';
import { keyLine } from '../../helpers/ssh-keys.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';
import { piimg } from './piimg.ts';

const SECRET = 'hunter2hunter2';
const made = await seedImage();
const old = await seedImage({ schemas: false });

/** A folder with a copy of the image and the files that options name. */
async function project(image = made): Promise<string> {
  const folder = temporaryFolder();
  await copyFile(join(image, 'web.img'), join(folder, 'web.img'));
  await writeFile(join(folder, 'me.pub'), `# my laptop\n${keyLine()}\n`);
  await writeFile(join(folder, 'password'), `${SECRET}\n`);
  return folder;
}

const seed = (folder: string, ...args: string[]): Promise<RunResult> => piimg(['seed', ...args], { cwd: folder });
const slot = async (image: string, name: string): Promise<string> => (await mtools(image, 'mtype', `::${name}`)).stdout;
const yamlSlot = async (image: string, name: string): Promise<Record<string, unknown>> =>
  parse(await slot(image, name)) as Record<string, unknown>;

const OPTIONS = [
  ['--node', 'pi-web1', '--user', 'ann', '--ssh-key', 'me.pub'],
  ['--ip', '192.168.254.122/24', '--gateway', '192.168.254.1', '--dns', '1.1.1.1,9.9.9.9'],
  ['--wifi', 'my "net"', '--wifi-password-file', 'password', '--wifi-country', 'DE'],
  ['--set', 'port=3000', '--set', 'motd=a=b', '--set', 'pin=007', '--set', 'on=true'],
  ['--secret', 'db_password=password', '--host-keys'],
].flat();

test('every option: a private copy with a whole file system, and no secret in what is printed', async () => {
  const folder = await project();
  const before = await readFile(join(folder, 'web.img'));
  const { stdout, stderr, exitCode } = await seed(folder, 'web.img', '--out', 'pi.img', ...OPTIONS);
  assert.is(exitCode, 0, stderr);
  const image = join(folder, 'pi.img');
  const user = await yamlSlot(image, 'user-data');
  assert.equal(
    (user.users as { name: string }[]).map(({ name }) => name),
    ['ann'],
  );
  assert.is(user.hostname, 'pi-web1');
  const { variables, secrets } = JSON.parse(await slot(image, 'piimg.json')) as Record<string, unknown>;
  assert.equal(variables, { port: 3000, motd: 'a=b', pin: '007', on: true });
  assert.equal(secrets, { db_password: SECRET });
  assert.equal(Object.keys((await yamlSlot(image, 'network-config')).wifis as object), ['wlan0']);
  assert.match(await slot(image, 'meta-data'), /"piimg-pi-web1-[0-9a-f]{16}"/);
  assert.not.match(`${stdout}${stderr}`, /hunter2|PRIVATE/);
  assert.match(stdout, /^ {2}pi-web1,192\.168\.254\.122 ssh-ed25519 AAAA\S+$/m);
  assert.match(stdout, /host keys +ssh-ed25519 SHA256:/);
  assert.match(stdout, "with cloud-init's schemas");
  assert.match(stdout, 'flash pi.img');
  assert.is((await stat(image)).mode & 0o777, 0o600);
  assert.is(`${await slot(image, OTHER.name)}\n`, OTHER.content.toString(), 'other slots are left alone');
  await checkFat(image);
  assert.ok((await readFile(join(folder, 'web.img'))).equals(before), 'the image is not changed');
  assert.equal((await readdir(folder)).sort(), ['me.pub', 'password', 'pi.img', 'web.img']);
});

test('the host keys on the card are those that are told, one of each type, and ssh-keygen reads them', async () => {
  const folder = await project();
  const { stdout } = await seed(folder, 'web.img', '--in-place', '--node', 'pi', '--host-keys', '--json');
  const { hostKeys, knownHosts } = JSON.parse(stdout) as { hostKeys: { fingerprint: string }[]; knownHosts: string[] };
  const keys = (await yamlSlot(join(folder, 'web.img'), 'user-data')).ssh_keys as Record<string, string>;
  const derived: string[] = [];
  for (const [index, type] of ['ed25519', 'ecdsa', 'rsa'].entries()) {
    await writeFile(join(folder, type), keys[`${type}_private`] ?? '', { mode: 0o600 });
    const told = await run(['ssh-keygen', '-l', '-f', join(folder, type)]);
    assert.match(told.stdout, hostKeys[index]?.fingerprint ?? '-');
    const { stdout: line } = await run(['ssh-keygen', '-y', '-f', join(folder, type)]);
    derived.push(`pi ${line.split(' ').slice(0, 2).join(' ').trim()}`);
  }
  assert.equal(knownHosts, derived);
  assert.is(Object.keys(keys).length, 6);
});

test('options go over the file of --from, and what they do not name stays', async () => {
  const folder = await project();
  const file = { version: 1, node: 'pi-file', timezone: 'Europe/Berlin', variables: { port: 1, host: 'a' } };
  await writeFile(join(folder, 'node.yaml'), JSON.stringify(file));
  const args = ['--from', 'node.yaml', '--node', 'pi-option', '--set', 'port=2', '--ssh-key', 'me.pub'];
  assert.is((await seed(folder, 'web.img', '--out', 'pi.img', ...args)).exitCode, 0);
  const user = await yamlSlot(join(folder, 'pi.img'), 'user-data');
  assert.equal([user.hostname, user.timezone], ['pi-option', 'Europe/Berlin']);
  const document = JSON.parse(await slot(join(folder, 'pi.img'), 'piimg.json')) as { variables: object };
  assert.equal(document.variables, { port: 2, host: 'a' });
});

test('without secrets the copy has the mode of the image; two copies are two machines', async () => {
  const folder = await project();
  await chmod(join(folder, 'web.img'), 0o640);
  for (const out of ['a.img', 'b.img'])
    await seed(folder, 'web.img', '--out', out, '--node', 'pi', '--ssh-key', 'me.pub');
  assert.is((await stat(join(folder, 'a.img'))).mode & 0o777, 0o640);
  assert.is.not(await slot(join(folder, 'a.img'), 'meta-data'), await slot(join(folder, 'b.img'), 'meta-data'));
});

test('a seed nobody can log in with, and an image without schemas, are told', async () => {
  const folder = await project(old);
  const { stderr, stdout } = await seed(folder, 'web.img', '--out', 'pi.img', '--node', 'pi');
  assert.match(stderr, /warning: no ssh key was given/);
  assert.match(stderr, /warning: the image carries no schemas/);
  assert.match(stdout, /checked +no/);
  const { stderr: quiet } = await seed(await project(), 'web.img', '--in-place', '--node', 'pi', '--ssh-key', 'me.pub');
  assert.not.match(quiet, 'warning');
});

test('--json says what was written, to a program', async () => {
  const folder = await project();
  const { stdout } = await seed(folder, 'web.img', '--out', 'pi.img', ...OPTIONS, '--json');
  const result = JSON.parse(stdout) as Record<string, unknown>;
  assert.equal([result.node, result.target, result.checked, result.warnings], ['pi-web1', 'pi.img', true, []]);
  assert.equal(result.secrets, { db_password: 'set' });
  assert.not.match(stdout, /hunter2|PRIVATE/);
  const shown = await seed(folder, 'show', 'pi.img', '--json');
  const carried = JSON.parse(shown.stdout) as Record<string, unknown>;
  for (const key of ['node', 'instanceId', 'users', 'network', 'variables', 'hostKeys', 'secrets']) {
    assert.equal(carried[key], result[key]);
  }
  assert.not.match(shown.stdout, /hunter2|PRIVATE/);
});

/** How a command ends, in this process: starting one for each slip would take longer than the work. */
async function failureOf(folder: string, ...args: string[]): Promise<Failure> {
  const here = process.cwd();
  process.chdir(folder);
  try {
    const program = createProgram(new AbortController().signal);
    for (const command of program.commands) command.configureOutput({ writeErr: () => {} });
    await program.parseAsync(['seed', ...args, '--progress', 'silent'], { from: 'user' });
  } catch (error) {
    const failure = describeFailure(error, { aborted: false, version: '0' });
    return error instanceof CommanderError ? { ...failure, message: error.message } : failure;
  } finally {
    process.chdir(here);
  }
  throw new Error('it did not fail');
}

interface Slip {
  args: string[];
  says: RegExp;
  code?: number;
  prepare?: (folder: string) => Promise<unknown>;
}
const to = ['web.img', '--out', 'pi.img', '--node', 'pi'];
const slips: Record<string, Slip> = {
  'neither --out nor --in-place': { args: ['web.img', '--node', 'pi'], says: /Either --out or --in-place/ },
  'both --out and --in-place': { args: [...to, '--in-place'], says: /Either --out or --in-place/ },
  'no image': { args: ['--out', 'pi.img'], says: /missing required argument 'image'/ },
  'an image that is not there': {
    args: ['no.img', '--out', 'pi.img', '--node', 'pi'],
    says: /no image or card no\.img/,
  },
  'a file that is no image': {
    args: ['password', '--out', 'pi.img', '--node', 'pi'],
    says: /password is no image or card/,
  },
  'a file that is no image, in place': {
    args: ['password', '--in-place', '--node', 'pi'],
    says: /password is no image or card/,
    code: EXIT.refused,
  },
  'the image as its own copy': {
    args: ['web.img', '--out', 'link.img', '--node', 'pi'],
    says: /link\.img is the image itself/,
    code: EXIT.refused,
    prepare: (folder) => symlink('web.img', join(folder, 'link.img')),
  },
  'a folder as the copy': {
    args: ['web.img', '--out', '.', '--node', 'pi'],
    says: /\. is no file/,
    code: EXIT.refused,
  },
  'a device as the copy': {
    args: ['web.img', '--out', '/dev/null', '--node', 'pi'],
    says: /\/dev\/null is no file/,
    code: EXIT.refused,
  },
  'a folder that is not there': {
    args: ['web.img', '--out', 'no/pi.img', '--node', 'pi'],
    says: /There is no folder \S+\/no for no\/pi\.img/,
  },
  'no name': { args: ['web.img', '--out', 'pi.img'], says: /The machine has no name/ },
  'a key that is not there': { args: [...to, '--ssh-key', 'no.pub'], says: /--ssh-key: no\.pub is not there/ },
  'a private key': {
    args: [...to, '--ssh-key', 'id'],
    says: /--ssh-key: id is a private key[^]*id\.pub/,
    prepare: (folder) => writeFile(join(folder, 'id'), `-----BEGIN OPENSSH PRIVATE KEY-----\n${SECRET}\n`),
  },
  'a file that is no key': { args: [...to, '--ssh-key', 'password'], says: /--ssh-key: password line 1 is no public/ },
  'an empty file of keys': {
    args: [...to, '--ssh-key', 'empty'],
    says: /--ssh-key: empty is no public ssh key/,
    prepare: (folder) => writeFile(join(folder, 'empty'), '\n'),
  },
  'a secret that is not there': { args: [...to, '--secret', 'a=no'], says: /--secret a: no is not there/ },
  'a secret that is binary': {
    args: [...to, '--secret', 'a=binary'],
    says: /--secret a: binary is no text in UTF-8/,
    prepare: (folder) => writeFile(join(folder, 'binary'), Buffer.from([0xff, 0xfe])),
  },
  'a secret without file': { args: [...to, '--secret', 'a'], says: /It is written like key=value/ },
  'a variable twice': { args: [...to, '--set', 'a=1', '--set', 'a=2'], says: /There is a value for a already/ },
  'a variable that cannot be one': { args: [...to, '--set', '__proto__=1'], says: /cannot be a key/ },
  'a Wi-Fi password of two lines': {
    args: [...to, '--wifi', 'a', '--wifi-country', 'DE', '--wifi-password-file', 'lines'],
    says: /--wifi-password-file: the password of a Wi-Fi has/,
    prepare: (folder) => writeFile(join(folder, 'lines'), `${SECRET}\r\n${SECRET}\r\n`),
  },
  'a file of --from that is not there': { args: [...to, '--from', 'no.yaml'], says: /no\.yaml cannot be read/ },
  'a file of --from that is wrong': {
    args: [...to, '--from', 'node.yaml'],
    says: /node\.yaml:2:1: error: unknown key `nod`/,
    prepare: (folder) => writeFile(join(folder, 'node.yaml'), `version: 1\nnod: a\nsecrets: { a: ${SECRET} }\n`),
  },
  "a time zone that cloud-init's schema does not know": {
    args: [...to, '--from', 'node.yaml'],
    says: /own schemas do not take[^]*user-data: timezone: Instance does not match any of/,
    code: 1,
    prepare: (folder) => writeFile(join(folder, 'node.yaml'), 'version: 1\ntimezone: Europe/Paris\n'),
  },
  'more than a slot holds': {
    args: [...to, '--secret', 'a=large'],
    says: /piimg\.json is \d+ bytes long; its place on the card holds 131072/,
    code: 1,
    prepare: (folder) => writeFile(join(folder, 'large'), 'x'.repeat(140_000)),
  },
  'an image whose table was written over': {
    args: to,
    says: /web\.img held an image of piimg once, and has no partition table any more/,
    code: 1,
    async prepare(folder) {
      const file = await open(join(folder, 'web.img'), 'r+');
      await file.write(Buffer.from('another'), 0, 7, 508);
      await file.close();
    },
  },
  'an image that is cut': {
    args: to,
    says: /The boot partition of web\.img cannot be read/,
    code: 1,
    prepare: (folder) => truncate(join(folder, 'web.img'), 8_388_608 + 100),
  },
};
for (const [name, { args, says, code = EXIT.usage, prepare }] of Object.entries(slips)) {
  test(`refused, and nothing is left: ${name}`, async () => {
    const folder = await project();
    await prepare?.(folder);
    const before = (await readdir(folder)).sort();
    const image = await readFile(join(folder, 'web.img'));
    const { exitCode, ...failure } = await failureOf(folder, ...args);
    const said = Object.values(failure).join('\n');
    assert.match(said, says);
    assert.not.match(said, /hunter2/);
    assert.is(exitCode, code);
    assert.equal((await readdir(folder)).sort(), before);
    assert.ok((await readFile(join(folder, 'web.img'))).equals(image));
  });
}

test('a boot partition without room is told before anything is written', async () => {
  const folder = await project();
  const image = join(folder, 'web.img');
  await mtools(image, 'mdel', '::piimg.json');
  await writeFile(join(folder, 'fill'), Buffer.alloc(35_100_000));
  await mtools(image, 'mcopy', join(folder, 'fill'), '::fill');
  const before = await readFile(image);
  const { stderr, exitCode } = await seed(folder, 'web.img', '--in-place', '--node', 'pi');
  assert.match(stderr, /has no room for piimg\.json: 135168 bytes, \d+ are free/);
  assert.is(exitCode, EXIT.failed);
  assert.ok((await readFile(image)).equals(before));
  await mtools(image, 'mdel', '::fill');
  assert.is((await seed(folder, 'web.img', '--in-place', '--node', 'pi')).exitCode, 0, 'negative control');
  await checkFat(image);
});

test('secrets in an image that others may read make it private', async () => {
  const folder = await project();
  await seed(folder, 'web.img', '--in-place', '--node', 'pi', '--secret', 'a=password');
  assert.is((await stat(join(folder, 'web.img'))).mode & 0o777, 0o600);
});

test.run();
