// dpkg in the sandbox: the tools' own program, which speaks for the image's architecture.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
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

test('it answers as the image’s own would, and natively', async () => {
  const sandbox = await testSandbox();
  const lower = await mkdtemp('/var/tmp/piimg-native-dpkg-');
  try {
    // No program in it: what answers here is native.
    for (const folder of ['dev', 'proc', 'run', 'tmp', 'var/lib/dpkg'])
      await mkdir(path.join(lower, folder), { recursive: true });
    await writeFile(path.join(lower, 'var/lib/dpkg/status'), STATUS);
    const { stdout } = await sandbox.inRoot(
      { lowers: [lower], overlay: 'native' },
      { argv: ['sh', '-euc', QUESTIONS] },
    );
    assert.match(stdout, /^arm64\nDebian 'dpkg' package management program version \S+ \(arm64\)\.\n/);
    assert.match(stdout, /\nbash$/, 'a package of the image is not one of a foreign architecture');
    // The same program as its package brings it would take the image for a foreign one.
    const args = ['--admindir', path.join(lower, 'var/lib/dpkg'), '--show', '--showformat=${binary:Package}', 'bash'];
    const control = await sandbox.tool(['dpkg-query', ...args], { readable: [lower] });
    assert.is(control.stdout, HOST_ARCHITECTURE === 'arm64' ? 'bash' : 'bash:arm64');
  } finally {
    await rm(lower, { recursive: true, force: true });
  }
});

test.run();
