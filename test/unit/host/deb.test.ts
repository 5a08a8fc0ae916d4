// What a .deb file says of itself.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readDeb } from '../../../src/host/deb.ts';
import { PiimgError } from '../../../src/lib/errors.ts';
import { makeDeb } from '../../helpers/bad-luck-project.ts';

test('name, version and architecture; what is no .deb is refused by name', async () => {
  const dir = await mkdtemp('/var/tmp/piimg-deb-test-');
  try {
    const deb = await makeDeb(dir, { name: 'own', version: '1:2.3-4' }, {});
    assert.equal(await readDeb(deb), { name: 'own', version: '1:2.3-4', architecture: 'arm64' });
    const broken = path.join(dir, 'broken.deb');
    await writeFile(broken, 'no package');
    const error: unknown = await readDeb(broken).catch((caught: unknown) => caught);
    assert.instance(error, PiimgError);
    assert.is((error as PiimgError).message, `${broken} is not a Debian package`);
  } finally {
    await rm(dir, { recursive: true });
  }
});

test.run();
