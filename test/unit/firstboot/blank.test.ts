// Secrets are taken off a boot partition that has no journal: a write that a power cut has torn is known, and made again.
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { sha256 } from '../../../src/lib/digest.ts';
import { withRoot } from '../../helpers/first-boot.ts';
import { DOCUMENT, loadBalancer } from '../../helpers/load-balancer.ts';

test('a file torn while it was blanked is written again, though what was torn is valid; another seed stays', async () => {
  await withRoot(async (root) => {
    await loadBalancer(root);
    // Shorter by the secret, so that a part of the long value comes twice.
    const { variables: _, ...others } = DOCUMENT;
    const before = { ...others, variables: { port: 3000, long: 'a1b2c3'.repeat(200) } };
    await root.document(before);
    const whole = await readFile(root.paths.document);
    await root.boot();
    const blanked = await readFile(root.paths.document);
    const redo = {
      'piimg.json': { text: blanked.toString().trimEnd() + '\n', size: whole.length, before: sectors(whole) },
    };
    const torn = Buffer.concat([blanked.subarray(0, 512), whole.subarray(512)]);
    JSON.parse(torn.toString());
    assert.not.equal(JSON.parse(torn.toString()), JSON.parse(blanked.toString()));

    await root.write('var/lib/piimg/blanked.json', JSON.stringify(redo));
    await writeFile(root.paths.document, torn);
    assert.is((await root.boot()).result.status, 'applied');
    assert.equal(await readFile(root.paths.document), blanked);
    assert.not.ok(existsSync(root.machine.at('var/lib/piimg/blanked.json')));

    await root.write('var/lib/piimg/blanked.json', JSON.stringify(redo));
    await root.document({ ...others, variables: { port: 3000, long: 'of another seed' } });
    await root.boot();
    assert.match(await root.read('boot/firmware/piimg.json'), 'of another seed');
  });
});

const sectors = (bytes: Buffer): string[] =>
  Array.from({ length: bytes.length / 512 }, (_, at) => sha256(bytes.subarray(at * 512, (at + 1) * 512)).slice(0, 16));

test.run();
