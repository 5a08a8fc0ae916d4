// `piimg customize` on look-alikes of Raspberry Pi OS, booted as a Raspberry Pi 3: somebody can log in as was said.
import { mkdtemp, rm } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { run } from '../../src/host/exec.ts';
import type { EraName } from '../fixtures/raspios/eras.ts';
import { makeLookAlike } from '../fixtures/raspios/make.ts';
import { showDetail } from '../helpers/built.ts';
import { piimgCommand } from '../helpers/command.ts';
import { askAnn, bootForeign } from '../helpers/foreign-boot.ts';

const ERAS: { era: EraName; format: string }[] = [
  { era: 'trixie-512', format: 'cloud-init' },
  { era: 'trixie-cloud-init', format: 'cloud-init' },
  // Those that carry it out are our look-alikes of Raspberry Pi's.
  { era: 'rpi-preseed', format: 'rpi-preseed.toml' },
  { era: 'bookworm', format: 'custom.toml' },
  { era: 'trixie-systemd', format: 'firstrun.sh' },
];

for (const { era, format } of ERAS) {
  test(`${era}: name, user and key by ${format}`, async () => {
    const folder = await mkdtemp('/var/tmp/piimg-raspios-');
    try {
      const image = await makeLookAlike(era, { size: 'bootable', folder });
      const key = path.join(folder, 'key');
      await run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', key]);
      const out = path.join(folder, 'pi1.img');
      const node = ['--node', 'pi1', '--user', 'ann', '--ssh-key', `${key}.pub`];
      await run([...piimgCommand(), 'customize', image, ...node, '--out', out]).catch(showDetail);
      await bootForeign({ machine: 'raspi3b', image: out, folder, minutes: 25 }, async (guest) => {
        const said = await guest.until('ssh', () => askAnn(guest, { key }, 'hostname; id -un'));
        assert.is(said, 'pi1\nann');
      });
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
}

test.run();
