// The guard of layers: what must not get into an image, and what may.
import { readFile } from 'node:fs/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { elfMachine, openGuard } from '../../../src/layers/guard.ts';

/** e_machine of the architectures that occur (Linux include/uapi/linux/elf-em.h; 137 is what start4.elf has). */
const MACHINE = { x64: 62, arm64: 183, arm: 40, videocore: 137 };

/** The first bytes of a program. */
function elf(machine: keyof typeof MACHINE, bigEndian = false): Buffer {
  const head = Buffer.alloc(64);
  head.write('\x7fELF', 'latin1');
  head[4] = 2;
  head[5] = bigEndian ? 2 : 1;
  if (bigEndian) head.writeUInt16BE(MACHINE[machine], 18);
  else head.writeUInt16LE(MACHINE[machine], 18);
  return head;
}

type Files = Record<string, { head: Buffer; sha256?: string }>;

/** What a guard on an x86-64 machine says about files; `NATIVE` is the digest of a build tool. */
function verdict(files: Files, strict = false, arch = 'x64') {
  const guard = openGuard(new Set(['NATIVE']), strict, arch);
  for (const [path, { head, sha256 = 'other' }] of Object.entries(files)) guard.look(path, head, sha256);
  return guard.verdict();
}

test('knows an ELF header by its first bytes', async () => {
  assert.is(elfMachine(elf('arm64')), MACHINE.arm64);
  assert.is(elfMachine(elf('x64', true)), MACHINE.x64);
  assert.is(elfMachine(elf('x64').subarray(0, 19)), undefined);
  assert.is(elfMachine(Buffer.from('#!/bin/sh\nexec true # long enough\n')), undefined);
  assert.is(elfMachine(Buffer.alloc(0)), undefined);
  assert.is(elfMachine(await readFile(process.execPath)), process.arch === 'arm64' ? MACHINE.arm64 : MACHINE.x64);
});

test('code for this machine is refused where only packages are, named with its path', () => {
  assert.equal(verdict({ 'usr/bin/x': { head: elf('x64') } }, true), {
    failures: ['/usr/bin/x is code for this machine (x64), not for arm64'],
    notes: [],
  });
});

test('elsewhere it is a note', () => {
  assert.equal(verdict({ 'opt/tool/x': { head: elf('x64') } }), {
    failures: [],
    notes: ['/opt/tool/x is code for x64'],
  });
});

test("arm64 code, 32-bit Arm code, the VideoCore's firmware and scripts pass", () => {
  const files = {
    'usr/bin/true': { head: elf('arm64') },
    'usr/lib/ld-linux-armhf.so.3': { head: elf('arm') },
    'boot/firmware/start4.elf': { head: elf('videocore') },
    'usr/bin/ldd': { head: Buffer.from('#!/bin/bash\n') },
    'etc/empty': { head: Buffer.alloc(0) },
  };
  assert.equal(verdict(files, true), { failures: [], notes: [] });
  assert.equal(verdict(files, false), { failures: [], notes: [] });
});

for (const strict of [true, false]) {
  test(`a build tool is refused by its digest, ${strict ? 'in packages' : 'elsewhere'}, and said once`, () => {
    const expected = ['/usr/bin/tar is a native build tool, not a file of the image'];
    assert.equal(verdict({ 'usr/bin/tar': { head: elf('x64'), sha256: 'NATIVE' } }, strict), {
      failures: expected,
      notes: [],
    });
    // Also data and arm64 code: what counts is whose file it is.
    assert.equal(
      verdict({ 'usr/bin/tar': { head: Buffer.from('text'), sha256: 'NATIVE' } }, strict).failures,
      expected,
    );
    assert.equal(verdict({ 'usr/bin/tar': { head: elf('arm64'), sha256: 'other' } }, strict).failures, []);
  });
}

test('on an arm64 machine code cannot tell, digests still do', () => {
  const files = { 'usr/bin/a': { head: elf('arm64') }, 'usr/bin/b': { head: elf('arm64'), sha256: 'NATIVE' } };
  assert.equal(verdict(files, true, 'arm64').failures, ['/usr/bin/b is a native build tool, not a file of the image']);
});

const modules = 'opt/web/node_modules';
const addons: Record<string, { files: Record<string, Buffer>; failures: string[]; notes: number }> = {
  'for this machine only': {
    files: { [`${modules}/sqlite3/build/Release/a.node`]: elf('x64') },
    failures: [
      `/${modules}/sqlite3/build/Release/a.node: the add-on sqlite3 has no arm64 variant; name it under rebuild:`,
    ],
    notes: 1,
  },
  'for both, as prebuilt packages have them': {
    files: {
      [`${modules}/bcrypt/prebuilds/linux-x64/b.node`]: elf('x64'),
      [`${modules}/bcrypt/prebuilds/linux-arm64/b.node`]: elf('arm64'),
    },
    failures: [],
    notes: 1,
  },
  'for arm64 only': { files: { [`${modules}/bcrypt/b.node`]: elf('arm64') }, failures: [], notes: 0 },
  'for other machines only': { files: { [`${modules}/bcrypt/b.node`]: elf('arm') }, failures: [], notes: 0 },
  'of a scope, the arm64 one in another package': {
    files: { [`${modules}/@img/x64/i.node`]: elf('x64'), [`${modules}/@img/arm64/i.node`]: elf('arm64') },
    failures: [`/${modules}/@img/x64/i.node: the add-on @img/x64 has no arm64 variant; name it under rebuild:`],
    notes: 1,
  },
  'inside another package, which has its own': {
    files: {
      [`${modules}/outer/o.node`]: elf('arm64'),
      [`${modules}/outer/node_modules/inner/i.node`]: elf('x64'),
    },
    failures: [
      `/${modules}/outer/node_modules/inner/i.node: the add-on inner has no arm64 variant; name it under rebuild:`,
    ],
    notes: 1,
  },
  'outside of node_modules': {
    files: { 'opt/app/native.node': elf('x64') },
    failures: ['/opt/app/native.node: the add-on opt/app/native.node has no arm64 variant; name it under rebuild:'],
    notes: 1,
  },
  'that is a text': { files: { [`${modules}/x/notes.node`]: Buffer.from('no program') }, failures: [], notes: 0 },
};
for (const [title, { files, failures, notes }] of Object.entries(addons)) {
  test(`a Node add-on ${title}`, () => {
    const found = verdict(Object.fromEntries(Object.entries(files).map(([path, head]) => [path, { head }])));
    assert.equal(found.failures, failures);
    assert.is(found.notes.length, notes);
  });
}

test('a private key in /etc is a note: a package may have made it for itself', () => {
  const [pem, openssh] = ['', 'OPENSSH '].map((kind) => Buffer.from(`-----BEGIN ${kind}PRIVATE KEY-----\nMIIE`));
  const files = {
    'etc/ssl/private/ssl-cert-snakeoil.key': { head: pem ?? Buffer.alloc(0) },
    'etc/dropbear/initramfs/dropbear_ed25519_host_key': { head: Buffer.alloc(8) },
    'etc/backup/id': { head: openssh ?? Buffer.alloc(0) },
    'etc/ssl/certs/ca.pem': { head: Buffer.from('-----BEGIN CERTIFICATE-----\n') },
    'usr/share/doc/example/key.pem': { head: pem ?? Buffer.alloc(0) },
  };
  const found = Object.keys(files).slice(0, 3);
  assert.equal(verdict(files, true), {
    failures: [],
    notes: found.map((path) => `/${path} is a private key: every card gets the same one`),
  });
});

test.run();
