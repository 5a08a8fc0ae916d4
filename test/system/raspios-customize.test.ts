// `piimg customize` on look-alikes of Raspberry Pi OS, booted as a Raspberry Pi 3: somebody can log in as was said.
import { mkdtemp, rm } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { run } from '../../src/host/exec.ts';
import { ERAS, type EraName } from '../fixtures/raspios/eras.ts';
import { makeLookAlike } from '../fixtures/raspios/make.ts';
import { showDetail } from '../helpers/built.ts';
import { piimgCommand } from '../helpers/command.ts';
import { askAnn, bootForeign } from '../helpers/foreign-boot.ts';

/** But for cloud-init, what carries it out are our look-alikes of Raspberry Pi's. */
const BOOTED: EraName[] = ['trixie-512', 'trixie-cloud-init', 'rpi-preseed', 'bookworm', 'trixie-systemd'];

for (const era of BOOTED) {
  const { initFormat } = ERAS[era];
  test(`${era}: name, user and key by ${initFormat}`, async () => {
    const folder = await mkdtemp('/var/tmp/piimg-raspios-');
    try {
      const image = await makeLookAlike(era, { size: 'bootable', folder });
      const key = path.join(folder, 'key');
      await run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', key]);
      const out = path.join(folder, 'pi1.img');
      const node = ['--node', 'pi1', '--user', 'ann', '--ssh-key', `${key}.pub`];
      const command = [...piimgCommand(), 'customize', image, ...node, '--out', out, '--json'];
      const { stdout } = await run(command).catch(showDetail);
      assert.is((JSON.parse(stdout) as { format?: string }).format, initFormat);
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
