// Files of the user's that are edited while a build goes on: what a layer is kept under must be what it was made from.
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { LockedPackage } from '../../../src/image/manifest.ts';
import { requireUnchanged } from '../../../src/layers/inputs.ts';
import type { StepContext } from '../../../src/layers/steps/context.ts';
import { installNpmApp } from '../../../src/layers/steps/npm.ts';
import { unpackPackages } from '../../../src/layers/steps/unpack.ts';
import { sha256 } from '../../../src/lib/digest.ts';
import { withFolder } from '../cli/piimg.ts';

const PLANNED = 'what it was';
const file = { sha256: sha256(PLANNED), size: PLANNED.length };

/** What the user may have made of the file meanwhile; undefined: it is gone. */
const EDITS = [`${PLANNED} not`, 'what it is!', '', undefined];

/** A step's context in which `source`, in a folder of its own, is what every digest stands for. */
async function withSource(
  text: string | undefined,
  work: (context: StepContext, source: string) => Promise<void>,
): Promise<void> {
  await withFolder(async (scratch) => {
    const source = path.join(scratch, 'source');
    if (text !== undefined) await writeFile(source, text);
    const context = { scratch, tree: scratch, work: scratch, below: [], epoch: 0, file: () => source, offline: true };
    await work(context as unknown as StepContext, source);
  });
}

async function refused(work: Promise<unknown>, source: string): Promise<void> {
  const error: unknown = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert.is((error as Error | undefined)?.message, `${source} was changed while the image was being built`);
}

const app = {
  destination: '/opt/app',
  owner: 'root',
  group: 'root',
  rebuild: [],
  files: [{ path: 'package-lock.json', mode: 0o644, file }],
};
const own: LockedPackage = { name: 'own', version: '1', architecture: 'all', source: '', local: true, ...file };

for (const text of EDITS) {
  test(`a file of the user's that has become ${JSON.stringify(text)} goes into no layer and no lock`, () =>
    withSource(text, async (context, source) => {
      await refused(installNpmApp({ app }, context), source);
      await refused(unpackPackages({ packages: [own], bootstrap: false }, context), source);
      await refused(requireUnchanged([{ path: source, ...file }]), source);
    }));
}

test('dpkg reads a copy of a .deb: what is changed once it has begun no longer matters', () =>
  withSource(PLANNED, async (context, source) => {
    let read = '';
    const sandbox = {
      inRoot: async ({ binds }: { binds: { from: string }[] }) => {
        await writeFile(source, 'what it is!');
        read = await readFile(binds[0]?.from ?? '', 'utf8');
      },
    };
    await unpackPackages({ packages: [own], bootstrap: false }, { ...context, sandbox } as unknown as StepContext);
    assert.is(read, PLANNED);
  }));

test.run();
