// `piimg inspect` on an image that is one, and what it exits with where it is not.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EXIT } from '../../../src/lib/errors.ts';
import type { Description } from '../../../src/vendor/describe.ts';
import type { FactValue } from '../../../src/vendor/facts.ts';
import { keyLine } from '../../helpers/ssh-keys.ts';
import { BOOKWORM, dpkgStatus } from '../../helpers/vendor-eras.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';
import { makeVendorImage } from '../../helpers/vendor-image.ts';
import { piimg } from './piimg.ts';

test('an image is told in text, as JSON, and fact by fact', async () => {
  const { file } = await makeVendorImage({ ...BOOKWORM, start: 8192 });
  const [text, json, facts, both] = await Promise.all([
    piimg(['inspect', file]),
    piimg(['inspect', file, '--json']),
    piimg(['inspect', file, '--facts']),
    piimg(['inspect', file, '--facts', '--json']),
  ]);
  for (const { exitCode, stderr } of [text, json, facts, both]) assert.equal([exitCode, stderr], [0, '']);
  assert.match(text.stdout, /told by +custom-toml: custom\.toml/);
  assert.match(text.stdout, /os +Debian GNU\/Linux 12 \(bookworm\)/);
  const { init, boot, root, release, layout } = JSON.parse(json.stdout) as Description;
  assert.equal([init.format, init.others], ['custom-toml', ['systemd', 'userconf']]);
  assert.equal([boot.kind, boot.bits, root.kind, root.label], ['fat', 16, 'ext4', 'rootfs']);
  assert.equal([release?.date, layout.partitions[0]?.start], ['2023-10-10', 8192]);
  assert.match(
    facts.stdout,
    /^p1-start .*\n +image +8192\n +documented +16384 in releases since 2025-05-06, 8192 before\n +source +RPi-Distro\/pi-gen/m,
  );
  const values = JSON.parse(both.stdout) as FactValue[];
  assert.is(values.find(({ id }) => id === 'machine-id')?.value, 'empty');
});

test('an image for armhf is no base, but it can be looked at, and told who it is', async () => {
  const status = dpkgStatus('dpkg 1.21.22 armhf', 'python3-toml 0.10.2 all');
  const { file } = await makeVendorImage({
    ...BOOKWORM,
    root: { ...BOOKWORM.root, 'var/lib/dpkg/status': status },
    start: 8192,
  });
  const { stdout } = await piimg(['inspect', file, '--json']);
  assert.is((JSON.parse(stdout) as Description).architecture, 'armhf');
  const key = join(temporaryFolder(), 'me.pub');
  await writeFile(key, `${keyLine()}\n`);
  const told = await piimg(['customize', file, '--in-place', '--node', 'pi1', '--user', 'ann', '--ssh-key', key]);
  assert.is(told.exitCode, 0, told.stderr);
  const { identity } = JSON.parse((await piimg(['inspect', file, '--json'])).stdout) as Description;
  assert.is(identity.hostname, 'pi1');
  assert.ok(identity.users.some(({ name, from }) => name === 'ann' && from === 'custom.toml'));
});

test('what is no image is refused with a reason', async () => {
  const file = join(temporaryFolder(), 'text.img');
  await writeFile(file, 'no image at all\n');
  const [none, text] = await Promise.all([piimg(['inspect', '/none.img']), piimg(['inspect', file])]);
  assert.equal([none.exitCode, text.exitCode, none.stdout + text.stdout], [EXIT.usage, EXIT.failed, '']);
  assert.match(none.stderr, 'There is no image or card /none.img');
  assert.match(text.stderr, 'holds no MBR partition table');
});

test.run();
