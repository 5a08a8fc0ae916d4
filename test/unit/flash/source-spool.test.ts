// What stdin brings, read by several: each from its beginning, at its own pace, while it comes.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { run } from '../../../src/host/exec.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';
import { deadline, image, packAll } from './source-helpers.ts';

const script = fileURLToPath(new URL('source-by-several.ts', import.meta.url));
const reader = [process.execPath, '--import', import.meta.resolve('tsx'), script];
const whole = createHash('sha256').update(image).digest('hex');
const [raw = '', , xz = ''] = await packAll();

for (const [packing, file] of Object.entries({ none: raw, xz })) {
  test(`${packing}: two readings, the second begun in the middle of the first; nothing stays in the folder`, async () => {
    const folder = join(temporaryFolder(), 'made', 'by it');
    const slow = '{ head -c 900000 "$0"; sleep 0.3; tail -c +900001 "$0"; } | "$@"';
    const { stdout } = await run(['sh', '-c', slow, file, ...reader, folder, '2'], { signal: deadline() });
    assert.equal(JSON.parse(stdout), [whole, whole]);
    assert.equal(readdirSync(folder), []);
  });
}

test('one reading: nothing is kept', async () => {
  const folder = join(temporaryFolder(), 'none');
  const { stdout } = await run(['sh', '-c', '"$@" <"$0"', raw, ...reader, folder, '1'], { signal: deadline() });
  assert.equal(JSON.parse(stdout), [whole]);
  assert.not.ok(existsSync(folder));
});

test.run();
