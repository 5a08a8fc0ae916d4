// A machine without a network, whose clock was never set: it becomes its role, and its card tells so in a laptop.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readCard } from '../../src/boot/card.ts';
import type { Machine } from '../../src/boot/machine.ts';
import { makeSeedKey } from '../../src/boot/seed-key.ts';
import { run } from '../../src/host/exec.ts';
import type { Result } from '../../src/lib/first-boot.ts';
import { builtWeb } from '../helpers/built.ts';
import { piimgCommand } from '../helpers/command.ts';
import { checkFileSystems } from '../helpers/fsck.ts';
import { readRoot } from '../helpers/image-files.ts';
import { withQemu, type TestGuest } from '../helpers/qemu.ts';

const minutes = (count: number) => ({ signal: AbortSignal.timeout(count * 60_000) });

/** Switches it on without network and with a clock in 1970, for `work`, and off. The card afterwards, a raw file. */
async function boot(card: string, folder: string, work: (guest: TestGuest) => Promise<void>): Promise<string> {
  const change = ({ network: _, ...machine }: Machine): Machine => ({
    ...machine,
    options: [...machine.options, '-rtc', 'base=1970-01-01T00:00:00'],
  });
  const off = await withQemu({ machine: 'virt', image: card, folder, minutes: 20, change }, async (guest) => {
    await work(guest);
    await guest.powerOff(300);
    return guest.card;
  });
  const raw = path.join(folder, 'off.img');
  await readCard(off, raw);
  await checkFileSystems(raw);
  return raw;
}

/** Digests of what makes a machine this one: machine-id, three host keys with their public halves, cloud-init's instance id. */
async function identity(card: string): Promise<Map<string, string | undefined>> {
  const files = [...(await readRoot(card))].filter(([file]) => IDENTITY.test(file));
  return new Map(files.map(([file, { sha256 }]) => [file, sha256]));
}
const IDENTITY = /^\/etc\/(machine-id|ssh\/ssh_host_\w+_key(\.pub)?)$|^\/var\/lib\/cloud\/data\/instance-id$/;

test('no network at all, and a clock in 1970; a second start keeps its identity', async () => {
  const { image } = await builtWeb();
  const work = await mkdtemp(path.join(tmpdir(), 'piimg-alone-'));
  try {
    const key = await makeSeedKey(work);
    await writeFile(path.join(work, 'key.pub'), `${key.public}\n`);
    const card = path.join(work, 'alone.img');
    const seed = [
      'seed',
      image,
      '--out',
      card,
      '--node',
      'alone',
      '--user',
      'pilot',
      '--ssh-key',
      'key.pub',
      '--host-keys',
    ];
    await run([...piimgCommand(), ...seed], { cwd: work, ...minutes(5) });
    const first = await boot(card, path.join(work, 'first'), async (guest) => {
      assert.match((await guest.said(/piimg: alone is (NOT )?web.*/))[0], 'alone is web: 2 steps');
    });
    const { stdout } = await run([...piimgCommand(), 'result', first, '--json'], minutes(1));
    const { status, started, notes } = JSON.parse(stdout) as Result;
    assert.is(status, 'applied');
    assert.equal(notes, []);
    // systemd begins with the time of usr/lib/clock-epoch, the lock's.
    assert.ok(Number(started.slice(0, 4)) >= 2025, started);

    // Its seed has no secrets any more, and says the same of who it is.
    const second = await boot(first, path.join(work, 'second'), async (guest) => {
      await guest.said(/Cloud-init v\. \S+ finished at/);
    });
    const [before, after] = [await identity(first), await identity(second)];
    assert.is(before.size, 8, [...before.keys()].join());
    assert.equal(after, before);
    assert.not.equal(before, await identity(card));
  } finally {
    await rm(work, { recursive: true, force: true });
  }
});

test.run();
