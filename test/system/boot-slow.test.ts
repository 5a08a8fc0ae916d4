// A card without a fault that is only slow: it must pass, though its console is silent for longer than that of one that hangs.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { loadMachine } from '../../src/boot/machine.ts';
import { run } from '../../src/host/exec.ts';
import { packageRoot } from '../../src/host/package-root.ts';
import { builtWeb } from '../helpers/built.ts';
import { partitionOf } from '../helpers/image-files.ts';
import { bootFiles, withQemu } from '../helpers/qemu.ts';

const { image } = await builtWeb();

/** Seconds of silence after which an idle machine is one that hangs (src/boot/console.ts). */
const SILENCE = 120;

/** Process 1: keeps a processor busy before it becomes systemd. */
const SLOW = `#!/bin/sh
timeout ${SILENCE + 30} sh -c 'while :; do :; done'
exec /sbin/init
`;

test('a machine that is busy says nothing for minutes, and is not taken for one that hangs', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'piimg-slow-'));
  const [card, program] = [path.join(folder, 'card.img'), path.join(folder, 'slow')] as const;
  await run(['cp', '--sparse=always', '--reflink=auto', image, card]);
  await writeFile(program, SLOW);
  const { offset } = await partitionOf(image, 2);
  for (const command of [`write ${program} /slow`, 'set_inode_field /slow mode 0100755']) {
    await run(['debugfs', '-w', '-R', command, `${card}?offset=${offset}`]);
  }
  const machine = await loadMachine('virt', [path.join(packageRoot, 'qemu/machines')]);
  const files = await bootFiles(machine, card, folder);
  const boot = { ...files, cmdline: `${files.cmdline} init=/slow` };

  await withQemu({ machine: 'virt', image: card, folder, minutes: 9, boot }, async (guest) => {
    let longest = 0;
    let length = 0;
    let since = performance.now();
    await guest.until('the end of cloud-init', async () => {
      const text = await guest.console();
      if (text.length !== length) since = performance.now();
      length = text.length;
      longest = Math.max(longest, performance.now() - since);
      return /Cloud-init v\. \S+ finished/.test(text) || undefined;
    });
    assert.ok(longest > SILENCE * 1000, `silent for ${longest} ms only`);
    assert.ok(await guest.powerOff(180));
  });
  await rm(folder, { recursive: true });
});

test.run();
