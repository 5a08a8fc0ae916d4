// dpkg in the sandbox: the tools' own program, which speaks for the image's architecture.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Lock } from '../../src/base/lock.ts';
import type { LockedPackage } from '../../src/image/manifest.ts';
import { testSandbox } from '../helpers/image-tools.ts';
import { HOST_ARCHITECTURE } from '../../src/sandbox/shadow.ts';

const STATUS = `Package: bash
Status: install ok installed
Maintainer: nobody
Architecture: arm64
Version: 1
Description: of the image
`;

const QUESTIONS = `
dpkg --print-architecture
dpkg --version
dpkg-query --show --showformat='\${binary:Package}\\n' bash
dpkg --print-foreign-architectures
`;

/** A root with no program in it: what answers there is native. */
async function withRoot(work: (lower: string) => Promise<void>): Promise<void> {
  const lower = await mkdtemp('/var/tmp/piimg-native-dpkg-');
  try {
    for (const folder of ['dev', 'proc', 'run', 'tmp', 'var/lib/dpkg'])
      await mkdir(path.join(lower, folder), { recursive: true });
    await writeFile(path.join(lower, 'var/lib/dpkg/status'), STATUS);
    await work(lower);
  } finally {
    await rm(lower, { recursive: true, force: true });
  }
}

test('it answers as the image’s own would, and natively', () =>
  withRoot(async (lower) => {
    const sandbox = await testSandbox();
    const argv = ['sh', '-euc', QUESTIONS];
    const { stdout } = await sandbox.inRoot({ lowers: [lower], overlay: 'native' }, { argv });
    assert.match(stdout, /^arm64\nDebian 'dpkg' package management program version \S+ \(arm64\)\.\n/);
    assert.match(stdout, /\nbash$/, 'a package of the image is not one of a foreign architecture');
    // The same program as its package brings it would take the image for a foreign one.
    const args = ['--admindir', path.join(lower, 'var/lib/dpkg'), '--show', '--showformat=${binary:Package}', 'bash'];
    const control = await sandbox.tool(['dpkg-query', ...args], { readable: [lower] });
    assert.is(control.stdout, HOST_ARCHITECTURE === 'arm64' ? 'bash' : 'bash:arm64');
  }));

test('where the image has another version it unpacks the first packages, and stands over nothing', () =>
  withRoot(async (lower) => {
    const cacheDir = await mkdtemp('/var/tmp/piimg-native-dpkg-cache-');
    try {
      const older = (locked: LockedPackage): LockedPackage =>
        locked.name === 'dpkg' ? { ...locked, version: '1.0' } : locked;
      const change = (lock: Lock): Lock => ({ ...lock, basePackages: lock.basePackages.map(older) });
      const sandbox = await testSandbox({ change, cacheDir });
      const script = '/usr/lib/piimg-native/dpkg --print-architecture; ls /usr/bin/dpkg* 2>/dev/null || echo none';
      const { stdout } = await sandbox.inRoot({ lowers: [lower], overlay: 'native' }, { argv: ['sh', '-euc', script] });
      assert.is(stdout, 'arm64\nnone');
    } finally {
      await rm(cacheDir, { recursive: true, force: true });
    }
  }));

test.run();
