// A machine without a network, whose clock was never set: it becomes its role, and its card tells so in a laptop.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readCard } from '../../src/boot/card.ts';
import { makeSeedKey } from '../../src/boot/seed-key.ts';
import { run } from '../../src/host/exec.ts';
import type { Result } from '../../src/lib/first-boot.ts';
import { builtWeb, piimgCommand } from '../helpers/built.ts';
import { checkFileSystems } from '../helpers/fsck.ts';
import { withQemu } from '../helpers/qemu.ts';

const minutes = (count: number) => ({ signal: AbortSignal.timeout(count * 60_000) });

test('no network at all, and a clock in 1970', async () => {
  const { image } = await builtWeb();
  const work = await mkdtemp(path.join(tmpdir(), 'piimg-alone-'));
  try {
    const key = await makeSeedKey(work);
    await writeFile(path.join(work, 'key.pub'), `${key.public}\n`);
    const card = path.join(work, 'alone.img');
    const seed = ['seed', image, '--out', card, '--node', 'alone', '--user', 'pilot', '--ssh-key', 'key.pub'];
    await run([...piimgCommand(), ...seed], { cwd: work, ...minutes(5) });
    const options = { machine: 'virt', image: card, folder: path.join(work, 'virt'), minutes: 20 };
    const off = await withQemu(
      {
        ...options,
        change: ({ network: _, ...machine }) => ({
          ...machine,
          options: [...machine.options, '-rtc', 'base=1970-01-01T00:00:00'],
        }),
      },
      async (guest) => {
        assert.match((await guest.said(/piimg: alone is (NOT )?web.*/))[0], 'alone is web: 2 steps');
        await guest.powerOff(300);
        return guest.card;
      },
    );
    const raw = path.join(work, 'off.img');
    await readCard(off, raw);
    await checkFileSystems(raw);
    const { stdout } = await run([...piimgCommand(), 'result', raw, '--json'], minutes(1));
    const { status, started, notes } = JSON.parse(stdout) as Result;
    assert.is(status, 'applied');
    assert.equal(notes, []);
    // systemd begins with the time of usr/lib/clock-epoch, the lock's.
    assert.ok(Number(started.slice(0, 4)) >= 2025, started);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
});

test.run();
