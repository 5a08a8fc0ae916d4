// The record of the native tools notices what became of them.
import { appendFile, chmod, mkdir, mkdtemp, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { sha256 } from '../../../src/lib/digest.ts';
import { nativeDigests, toolsDamage, writeRecord } from '../../../src/sandbox/tools-record.ts';

const FILES = {
  'shadow/usr/bin/tar': '\x7fELF tar',
  'root/usr/share/doc': 'text',
  'stubs/usr/sbin/depmod': '#!/bin/sh\n',
  'first/usr/bin/uname': '#!/bin/sh\n# first\n',
};

/** Tools made by hand, complete a moment ago. */
async function withTools(work: (dir: string) => Promise<void>): Promise<void> {
  const dir = await mkdtemp('/var/tmp/piimg-tools-record-');
  try {
    for (const [file, content] of Object.entries(FILES)) {
      await mkdir(path.dirname(path.join(dir, file)), { recursive: true });
      await writeFile(path.join(dir, file), content);
    }
    await symlink('tar', path.join(dir, 'shadow/usr/bin/gtar'));
    // The clock of a file system ticks every few milliseconds.
    await new Promise((resolve) => setTimeout(resolve, 20));
    await writeRecord(dir);
    await work(dir);
  } finally {
    await rm(dir, { recursive: true });
  }
}

/** As if the folder had been completed after whatever was done to its files. */
const hideTimes = (dir: string) => utimes(dir, new Date(), new Date(Date.now() + 3_600_000));

test('tools that nobody touched are whole; native code and stubs are what no layer may hold', () =>
  withTools(async (dir) => {
    assert.is(await toolsDamage(dir), undefined);
    assert.is(await toolsDamage(dir, true), undefined);
    const held = [FILES['shadow/usr/bin/tar'], FILES['stubs/usr/sbin/depmod']].map((content) => sha256(content));
    assert.equal([...(await nativeDigests(dir))].sort(), held.sort());
  }));

test('another length is noticed, whatever the times say', () =>
  withTools(async (dir) => {
    await appendFile(path.join(dir, 'root/usr/share/doc'), '!');
    await hideTimes(dir);
    assert.is(await toolsDamage(dir), 'root/usr/share/doc is not what was stored');
  }));

test('another byte is noticed by its time; where the times hide it, by looking at all', () =>
  withTools(async (dir) => {
    await new Promise((resolve) => setTimeout(resolve, 20));
    await writeFile(path.join(dir, 'shadow/usr/bin/tar'), '\x7fELF rat');
    assert.is(await toolsDamage(dir), 'shadow/usr/bin/tar is not what was stored');
    await hideTimes(dir);
    assert.is(await toolsDamage(dir), undefined);
    assert.is(await toolsDamage(dir, true), 'shadow/usr/bin/tar is not what was stored');
  }));

test('a file or the record that is gone is noticed', () =>
  withTools(async (dir) => {
    await rm(path.join(dir, 'first/usr/bin/uname'));
    assert.is(await toolsDamage(dir), 'first/usr/bin/uname is not what was stored');
    await rm(path.join(dir, 'tools.json'));
    assert.is(await toolsDamage(dir), 'tools.json is missing');
    assert.is(await toolsDamage(path.join(dir, 'none')), 'tools.json is missing');
  }));

test('what was touched and is the same counts as complete from then on', () =>
  withTools(async (dir) => {
    await utimes(dir, 0, 0);
    await chmod(path.join(dir, 'shadow/usr/bin/tar'), 0o755);
    assert.is(await toolsDamage(dir), undefined);
    await writeFile(path.join(dir, 'root/usr/share/doc'), await readFile(path.join(dir, 'root/usr/share/doc')));
    await hideTimes(dir);
    assert.is(await toolsDamage(dir), undefined);
  }));

test.run();
