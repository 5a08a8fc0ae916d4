// `piimg customize` as its users meet it, on small images of every first-boot format.
import { chmod, copyFile, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { run, type RunResult } from '../../../src/host/exec.ts';
import { bmapXml } from '../../../src/image/bmap.ts';
import { sha256 } from '../../../src/lib/digest.ts';
import { checkFat, freeInSecondTable, START } from '../../helpers/fat-image.ts';
import { BOOT, foreignImage, mtools, type LOOKALIKES } from '../../helpers/foreign-image.ts';
import { HASH } from '../../helpers/format-nodes.ts';
import { seedImage } from '../../helpers/seed-image.ts';
import { keyLine } from '../../helpers/ssh-keys.ts';
import { piimg } from './piimg.ts';

const SECRET = 'hunter2hunter2';

/** Beside the image, in its folder. */
async function withFiles(image: string): Promise<string> {
  const folder = dirname(image);
  await writeFile(join(folder, 'me.pub'), `${keyLine()}\n`);
  await writeFile(join(folder, 'password'), `${SECRET}\n`);
  await writeFile(join(folder, 'node.yaml'), `version: 1\nusers: [{ name: ann, passwordHash: '${HASH}' }]\n`);
  return folder;
}

const customize = (folder: string, ...args: string[]): Promise<RunResult> =>
  piimg(['customize', 'card.img', ...args], { cwd: folder });
const NODE = ['--node', 'pi1', '--user', 'ann', '--ssh-key', 'me.pub'];
const WIFI = ['--wifi', 'my "net"', '--wifi-password-file', 'password', '--wifi-country', 'DE'];
const PLAIN_WIFI = ['--wifi', 'net', '--wifi-password-file', 'password', '--wifi-country', 'DE'];
const EXPECTED: Record<string, string> = {
  'cloudinit-rpi': 'user-data',
  cloudinit: 'user-data',
  systemd: 'firstrun.sh',
  'custom-toml': 'custom.toml',
  'rpi-preseed': 'rpi-preseed.toml',
};

for (const [format, file] of Object.entries(EXPECTED)) {
  test(`${format}: a private copy, sound, with what the first boot reads; the image stays`, async () => {
    const image = await foreignImage(format as keyof typeof LOOKALIKES);
    const folder = await withFiles(image);
    const before = await readFile(image);
    const { stdout, stderr, exitCode } = await customize(folder, '--out', 'pi1.img', '--json', ...NODE, ...WIFI);
    assert.is(exitCode, 0, stderr);
    const result = JSON.parse(stdout) as { format: string; files: string[] };
    assert.is(result.format, format);
    assert.ok(result.files.includes(file));
    const copy = join(folder, 'pi1.img');
    const text = (await mtools(copy, 'mtype', `::${file}`)).stdout;
    assert.match(text, keyLine().split(' ')[1] ?? '');
    assert.not.match(`${text}${stdout}${stderr}`, SECRET);
    assert.is((await stat(copy)).mode & 0o777, 0o600);
    assert.ok((await readFile(image)).equals(before));
    assert.is((await checkFat(copy)).exitCode, 0);
    const after = await readFile(copy);
    const outside = (bytes: Buffer): Buffer =>
      Buffer.concat([bytes.subarray(0, START), bytes.subarray(START + BOOT.sectors * 512)]);
    assert.ok(outside(after).equals(outside(before)));
  });
}

test('userconf: a hash in the place of a key, and the name that the image has', async () => {
  const folder = await withFiles(await foreignImage('userconf'));
  const no = await customize(folder, '--in-place', ...NODE);
  assert.is(no.exitCode, 2);
  assert.match(no.stderr, /--node: host name; --ssh-key: ssh keys/);
  assert.match(no.stderr, /--node raspberrypi/);
  const { exitCode, stderr, stdout } = await customize(
    folder,
    '--in-place',
    '--from',
    'node.yaml',
    '--node',
    'raspberrypi',
  );
  assert.is(exitCode, 0, stderr);
  assert.match(stdout, /ann \(a password\)/);
  const image = join(folder, 'card.img');
  assert.is((await mtools(image, 'mtype', '::userconf.txt')).stdout, `ann:${HASH}`);
  assert.is((await stat(image)).mode & 0o777, 0o600);
});

test('what the best format does not carry goes into the next that the image reads', async () => {
  const folder = await withFiles(await foreignImage('custom-toml'));
  const { stdout, exitCode, stderr } = await customize(folder, '--in-place', '--ip', '192.168.254.122/24', ...NODE);
  assert.is(exitCode, 0, stderr);
  assert.match(stdout, /first boot +systemd\n +custom-toml does not carry all/);
  assert.match(
    (await mtools(join(folder, 'card.img'), 'mtype', '::firstrun.sh')).stdout,
    'address1=192.168.254.122/24',
  );
});

test('once more in another format: what the first one has left goes, and that is said', async () => {
  const folder = await withFiles(await foreignImage('custom-toml'));
  const image = join(folder, 'card.img');
  await customize(folder, '--in-place', '--ip', '192.168.254.122/24', ...NODE);
  const { stdout, exitCode, stderr } = await customize(folder, '--in-place', ...NODE, ...PLAIN_WIFI);
  assert.is(exitCode, 0, stderr);
  assert.match(stdout, /first boot +custom-toml[\s\S]*removed +firstrun\.sh/);
  assert.not.match((await mtools(image, 'mtype', '::cmdline.txt')).stdout, /systemd\./);
  assert.not.match((await mtools(image, 'mdir', '-b', '::')).stdout, /firstrun/);
  const back = await customize(folder, '--in-place', '--ip', '192.168.254.122/24', '--json', ...NODE);
  assert.equal((JSON.parse(back.stdout) as { removed: string[] }).removed, ['custom.toml']);
});

test('beside a live cloud-init nothing else is written; what stays on the boot partition is warned of', async () => {
  const image = await foreignImage('cloudinit-rpi');
  const folder = await withFiles(image);
  const before = await readFile(image);
  const { exitCode, stderr } = await customize(folder, '--in-place', '--host-keys', ...NODE);
  assert.is(exitCode, 2);
  assert.match(stderr, /\(cloudinit-rpi\) cannot be told: --host-keys: ssh host keys[\s\S]*cloud-init at work/);
  assert.ok((await readFile(image)).equals(before));
  const secret = await customize(folder, '--in-place', '--from', 'node.yaml', '--node', 'pi1', ...WIFI);
  assert.match(secret.stderr, /warning: the hash of a password and the key of the Wi-Fi stay on the boot partition/);
});

test('in place, twice: the second node takes the place of the first', async () => {
  const folder = await withFiles(await foreignImage('cloudinit-rpi'));
  for (const node of ['pi1', 'pi2']) {
    const { exitCode, stderr } = await customize(folder, '--in-place', '--node', node, '--ssh-key', 'me.pub');
    assert.is(exitCode, 0, stderr);
  }
  const cmdline = (await mtools(join(folder, 'card.img'), 'mtype', '::cmdline.txt')).stdout;
  assert.match(cmdline, /^console=tty1 root=PARTUUID=1a2b3c4d-02 rootwait resize ds=nocloud;i=piimg-pi2-[0-9a-f]{16}$/);
});

test('refusals: nothing is written, and each says what to do', async () => {
  const image = await foreignImage('none');
  const folder = await withFiles(image);
  const before = await readFile(image);
  const nothing = await customize(folder, '--in-place', ...NODE);
  assert.is(nothing.exitCode, 2);
  assert.match(nothing.stderr, /does nothing on its first boot[\s\S]*piimg inspect/);
  assert.is((await customize(folder, ...NODE)).exitCode, 2);
  assert.is((await customize(folder, '--out', 'x.img')).exitCode, 2);
  await run(['gzip', '-k', 'card.img'], { cwd: folder });
  const packed = await piimg(['customize', 'card.img.gz', '--out', 'x.img', ...NODE], { cwd: folder });
  assert.is(packed.exitCode, 2);
  assert.match(packed.stderr, 'gunzip -k card.img.gz');
  const secret = await piimg(['customize', 'card.img', '--in-place', '--secret', 'a=password', ...NODE], {
    cwd: folder,
  });
  assert.is(secret.exitCode, 2);
  assert.ok((await readFile(image)).equals(before));
  assert.equal(
    (await readdir(folder)).filter((name) => name.startsWith('x.img')),
    [],
  );
});

test('a damaged boot partition, found while the image is copied: refused, and there is no copy and no part of one', async () => {
  const image = await foreignImage('systemd');
  const folder = await withFiles(image);
  await freeInSecondTable(image, 'cmdline.txt');
  const names = await readdir(folder);
  const { exitCode, stderr } = await customize(folder, '--out', 'x.img', ...NODE);
  assert.is(exitCode, 3);
  assert.match(stderr, /boot partition of card.img [\s\S]*Nothing was written/);
  assert.equal(await readdir(folder), names);
});

/** Of format systemd, behind the header of an image of piimg's. */
async function withHeader(): Promise<string> {
  const own = await readFile(join(await seedImage(), 'web.img'));
  const folder = await withFiles(await foreignImage('systemd'));
  const image = join(folder, 'card.img');
  const bytes = await readFile(image);
  own.copy(bytes, 64 * 512, 64 * 512, 64 * 512 + 8192);
  await writeFile(image, bytes);
  return folder;
}

test('an image that piimg has built gets its seed', async () => {
  const folder = await withHeader();
  await mtools(join(folder, 'card.img'), 'mmd', '::piimg');
  const { exitCode, stderr } = await customize(folder, '--out', 'x.img', ...NODE);
  assert.is(exitCode, 0, stderr);
  const document = (await mtools(join(folder, 'x.img'), 'mtype', '::piimg.json')).stdout;
  assert.is((JSON.parse(document) as { node: string }).node, 'pi1');
});

test('a card that held an image of piimg once, and has another one now: its own first boot is written, and seed refuses it', async () => {
  const folder = await withHeader();
  const { exitCode, stderr } = await customize(folder, '--out', 'x.img', ...NODE);
  assert.is(exitCode, 0, stderr);
  assert.match(stderr, /held an image of piimg once/);
  assert.match((await mtools(join(folder, 'x.img'), 'mtype', '::firstrun.sh')).stdout, 'step set_hostname pi1');
  const flashed = await piimg(['flash', 'card.img', '--to', 'flashed.img', ...NODE], { cwd: folder });
  assert.is(flashed.exitCode, 0, flashed.stderr);
  assert.match((await mtools(join(folder, 'flashed.img'), 'mtype', '::firstrun.sh')).stdout, 'step set_hostname pi1');
  const seeded = await piimg(['seed', 'card.img', '--in-place', ...NODE], { cwd: folder });
  assert.is(seeded.exitCode, 3);
  assert.match(seeded.stderr, /held an image of piimg once[\s\S]*piimg customize/);
});

test('a time zone and a country that the image does not know are refused; a user whom a key of another shuts out is warned of', async () => {
  const folder = await withFiles(await foreignImage('systemd'));
  const users = `users: [{ name: ann, keys: ['${keyLine()}'] }, { name: bob, passwordHash: '${HASH}' }]`;
  const out = async (more: string): Promise<RunResult> => {
    await writeFile(join(folder, 'two.yaml'), `version: 1\n${users}\n${more}\n`);
    return customize(folder, '--out', 'y.img', '--from', 'two.yaml', '--node', 'pi1');
  };
  for (const [more, says] of [
    ['timezone: America/Knox_IN', 'no time zone America/Knox_IN'],
    ['network: { wifi: { ssid: net, country: FR } }', 'no country FR'],
  ] as const) {
    const { exitCode, stderr } = await out(more);
    assert.is(exitCode, 2, stderr);
    assert.match(stderr, says);
  }
  const two = await out('timezone: Europe/Berlin');
  assert.is(two.exitCode, 0, two.stderr);
  assert.match(two.stderr, /bob has no ssh key/);
});

test('a block map of another image stays, whichever way; a shared name is not taken from it', async () => {
  const folder = await withFiles(await foreignImage('systemd'));
  await copyFile(join(folder, 'card.img'), join(folder, 'card.raw'));
  const map = await mapOf(join(folder, 'card.img'));
  await writeFile(join(folder, 'card.bmap'), map);
  const raw = await customize(folder, '--out', 'card.raw', ...NODE);
  assert.is(raw.exitCode, 0, raw.stderr);
  assert.is(await readFile(join(folder, 'card.bmap'), 'utf8'), map);
  assert.match(await readFile(join(folder, 'card.raw.bmap'), 'utf8'), '<bmap');
  // One of an older image, of another length, fits nothing.
  await writeFile(join(folder, 'card.bmap'), bmapXml(4096, [{ offset: 0, length: 4096 }]));
  const out = await customize(folder, '--out', 'y.img', ...NODE);
  assert.is(out.exitCode, 0, out.stderr);
  assert.match(out.stderr, /y.img has no block map: card.bmap does not fit it/);
  assert.not.ok((await readdir(folder)).some((name) => name.startsWith('y') && name.endsWith('.bmap')));
});

/** Of what is not zeros, with checksums. */
async function mapOf(image: string): Promise<string> {
  const bytes = await readFile(image);
  const blocks = Array.from({ length: bytes.length / 4096 }, (_, index) => ({ offset: index * 4096, length: 4096 }));
  const ranges = blocks.flatMap(({ offset, length }) => {
    const content = bytes.subarray(offset, offset + length);
    return content.every((byte) => byte === 0) ? [] : [{ offset, length, sha256: sha256(content) }];
  });
  return bmapXml(bytes.length, ranges);
}

for (const out of [undefined, 'x.img']) {
  test(`a block map beside the image fits it ${out === undefined ? 'in place' : 'and its copy'}: what is flashed is all of it`, async () => {
    const folder = await withFiles(await foreignImage('systemd'));
    await writeFile(join(folder, 'card.img.bmap'), await mapOf(join(folder, 'card.img')));
    await writeFile(join(folder, 'x.bmap'), 'of an older x.img');
    const { exitCode, stderr } = await customize(
      folder,
      ...(out === undefined ? ['--in-place'] : ['--out', out]),
      ...NODE,
    );
    assert.is(exitCode, 0, stderr);
    const image = out ?? 'card.img';
    const flashed = await piimg(['flash', image, '--to', 'flashed.img', '--no-login', '--json'], { cwd: folder });
    assert.is(flashed.exitCode, 0, flashed.stderr);
    assert.match(flashed.stderr, /of it to write/);
    assert.ok((await readFile(join(folder, 'flashed.img'))).equals(await readFile(join(folder, image))));
    // As it was, the image is as its own map says.
    if (out !== undefined)
      assert.equal(await readFile(join(folder, 'card.img.bmap'), 'utf8'), await mapOf(join(folder, 'card.img')));
  });
}

test('a copy onto itself is refused; one onto another file keeps the mode of the image', async () => {
  const folder = await withFiles(await foreignImage('systemd'));
  await copyFile(join(folder, 'card.img'), join(folder, 'other.img'));
  const itself = await customize(folder, '--out', 'card.img', ...NODE);
  assert.is(itself.exitCode, 3);
  await chmod(join(folder, 'other.img'), 0o644);
  const onto = await customize(folder, '--out', 'other.img', ...NODE);
  assert.is(onto.exitCode, 0, onto.stderr);
  assert.is((await stat(join(folder, 'other.img'))).mode & 0o777, 0o644);
});

test.run();
