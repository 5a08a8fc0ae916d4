// Which packages of an npm lock file an image needs, and what an offline build refuses.
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { StepContext } from '../../../src/layers/steps/context.ts';
import { missingIn, packagesFor } from '../../../src/layers/steps/npm-lock.ts';
import { installNpmApp } from '../../../src/layers/steps/npm.ts';
import { runScript } from '../../../src/layers/steps/run.ts';
import { sha256 } from '../../../src/lib/digest.ts';
import { PiimgError } from '../../../src/lib/errors.ts';

const digest = (text: string): Buffer => createHash('sha512').update(text).digest();
const integrity = (text: string): string => `sha512-${digest(text).toString('base64')}`;
const entry = (name: string, more: object = {}): object => ({ version: '1.0.0', integrity: integrity(name), ...more });

/** A lock of what npm makes of packages for several machines, as sharp's or esbuild's. */
const LOCK = JSON.stringify({
  lockfileVersion: 3,
  packages: {
    '': { dependencies: { native: '1', alias: '1' }, devDependencies: { builder: '1' }, workspaces: ['packages/*'] },
    'node_modules/native': entry('native', {
      dependencies: { shared: '1' },
      optionalDependencies: {
        '@n/linux-arm64': '1',
        '@n/linux-x64': '1',
        '@n/musl': '1',
        '@n/wasm': '1',
        '@n/posix': '1',
      },
      peerDependencies: { absent: '1' },
    }),
    'node_modules/native/node_modules/shared': entry('inner shared', { version: '2.0.0' }),
    'node_modules/shared': entry('outer shared'),
    'node_modules/@n/linux-arm64': entry('a', { optional: true, os: ['linux'], cpu: ['arm64'], libc: ['glibc'] }),
    'node_modules/@n/linux-x64': entry('b', { optional: true, os: ['linux'], cpu: ['x64'] }),
    'node_modules/@n/musl': entry('c', { optional: true, libc: 'musl' }),
    'node_modules/@n/posix': entry('d', { optional: true, os: ['!win32'] }),
    'node_modules/@n/wasm': entry('e', { optional: true, cpu: ['wasm32'], dependencies: { runtime: '1' } }),
    'node_modules/runtime': entry('f', { optional: true }),
    'node_modules/alias': entry('g', { name: 'real', dependencies: { native: '1' } }),
    'node_modules/builder': entry('h', { dev: true }),
    'node_modules/part': { resolved: 'packages/part', link: true },
    'packages/part': { version: '1.0.0', dependencies: { shared: '1' } },
  },
});

test('what a machine of another kind asks for is not wanted, nor what is for development', () => {
  assert.equal(
    packagesFor(LOCK).map(({ label, optional }) => `${label}${optional ? '?' : ''}`),
    ['native@1.0.0', 'shared@2.0.0', '@n/linux-arm64@1.0.0?', '@n/posix@1.0.0?', 'real@1.0.0', 'shared@1.0.0'],
  );
});

/** Calls `work` with a folder that is removed afterwards. */
async function inFolder(work: (dir: string) => Promise<void>): Promise<void> {
  const dir = await mkdtemp(path.join(tmpdir(), 'piimg-npm-'));
  try {
    await work(dir);
  } finally {
    await rm(dir, { recursive: true });
  }
}

test('a package is missing until its content is in the cache', async () => {
  await inFolder(async (cache) => {
    const packages = packagesFor(LOCK);
    assert.is(missingIn(cache, packages).length, packages.length);
    const hex = digest('native').toString('hex');
    const content = path.join(cache, '_cacache/content-v2/sha512', hex.slice(0, 2), hex.slice(2, 4), hex.slice(4));
    await mkdir(path.dirname(content), { recursive: true });
    await writeFile(content, 'native');
    assert.equal(
      missingIn(cache, packages).map(({ label }) => label),
      packages.slice(1).map(({ label }) => label),
    );
  });
});

/** What the error says that `work` ends in. */
async function told(work: Promise<unknown>): Promise<string> {
  const error: unknown = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof PiimgError)) throw new Error('no error a person can act on', { cause: error });
  return [error.message, error.detail, error.hint].join('\n');
}

test('offline, every npm package that is missing is named, optional ones too', async () => {
  await inFolder(async (scratch) => {
    await writeFile(path.join(scratch, 'lock'), LOCK);
    const files = [{ path: 'package-lock.json', mode: 0o644, file: { sha256: sha256(LOCK), size: LOCK.length } }];
    const app = { destination: '/opt/app', owner: 'root', group: 'root', rebuild: [], files };
    const file = (): string => path.join(scratch, 'lock');
    const context = { scratch, file, offline: true, npmCache: path.join(scratch, 'npm'), step: { update: () => {} } };
    const words = await told(installNpmApp({ app }, context as unknown as StepContext));
    assert.match(words, /^Offline, and 6 of 6 npm packages of \/opt\/app are not in the cache\n/);
    assert.match(words, /^@n\/linux-arm64@1\.0\.0$/m);
    assert.match(words, /^Build once without --offline\.$/m);
  });
});

test('offline, a run step with network is refused, naming role file and step', async () => {
  const context = { offline: true, roleFile: 'images/roles/mine.yaml' } as StepContext;
  const words = await told(runScript({ name: 'fetch', script: 'true', network: true, env: {} }, context));
  assert.match(words, /^images\/roles\/mine\.yaml: the run step “fetch” asks for the network/);
  assert.match(words, /^Build once without --offline/m);
});

test.run();
