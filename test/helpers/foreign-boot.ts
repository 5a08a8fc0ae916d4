// Boots an image that piimg has not built, through the restarts of its first boot, and reads what became of its card.
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { run } from '../../src/host/exec.ts';
import { withQemu, type TestGuest } from './qemu.ts';

/** Bookworm restarts once, and a seed may ask for another; more is a circle. */
const MOST_BOOTS = 3;

export interface ForeignBoot {
  machine: string;
  image: string;
  folder: string;
  /** For each boot. */
  minutes: number;
}

/**
 * Calls `work` with the machine that asks for a login. A machine that ends before, as a restart does here, is switched on again from its
 * own card. Returns what `work` returns, the consoles of all boots, and the card as it was then, as an image. Fails when nobody is
 * asked to log in, with the end of the console.
 */
export async function bootForeign<T>(
  { machine, image, folder, minutes }: ForeignBoot,
  work: (guest: TestGuest) => Promise<T>,
): Promise<{ result: T; consoles: string[]; card: string }> {
  const consoles: string[] = [];
  let from = image;
  for (let boot = 1; boot <= MOST_BOOTS; boot++) {
    const own = path.join(folder, `boot-${boot}`);
    let card = '';
    let done: { result: T } | undefined;
    await withQemu({ machine, image: from, folder: own, forward: [22], minutes }, async (guest) => {
      card = guest.card;
      const off = guest.ended.then((reason) => {
        // Off by itself: QEMU ends where a Pi would restart.
        if (reason === undefined || reason.code === 'power-off') return 'off' as const;
        throw new Error(`boot ${boot}: ${reason.code}: ${reason.message}`);
      });
      const up = await Promise.race([guest.said(/^\S+ login: /m).then(() => 'up' as const), off]);
      if (up === 'up') done = { result: await work(guest) };
      consoles.push(await guest.console());
    });
    const next = path.join(folder, `card-${boot}.img`);
    await run(['qemu-img', 'convert', '-O', 'raw', card, next]);
    if (done) return { ...done, consoles, card: next };
    from = next;
  }
  throw new Error(`${image} has restarted ${MOST_BOOTS} times and never asked for a login`);
}

/** What ann was given. */
export type Login = { key: string } | { password: string; folder: string };

/** What ann gets for `command`, without blanks around it. Rejects as long as nobody lets her in. */
export async function askAnn({ ports }: TestGuest, login: Login, command: string): Promise<string> {
  const { settings, env } = 'key' in login ? withKey(login.key) : await withPassword(login);
  const all = ['StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', ...settings];
  const ssh = ['ssh', ...all.flatMap((setting) => ['-o', setting]), '-p', `${ports[22]}`, 'ann@127.0.0.1'];
  const { stdout } = await run([...ssh, command], { env, signal: AbortSignal.timeout(60_000) });
  return stdout.trim();
}

interface Way {
  settings: string[];
  env: Record<string, string>;
}

const withKey = (key: string): Way => ({ settings: ['BatchMode=yes', `IdentityFile=${key}`], env: {} });

/** ssh(1), SSH_ASKPASS: a program that prints it. */
async function withPassword({ password, folder }: { password: string; folder: string }): Promise<Way> {
  const program = path.join(folder, 'askpass');
  await writeFile(program, '#!/bin/sh\nprintenv ANN\n', { mode: 0o700 });
  const settings = ['PreferredAuthentications=password', 'NumberOfPasswordPrompts=1'];
  return { settings, env: { SSH_ASKPASS: program, SSH_ASKPASS_REQUIRE: 'force', ANN: password } };
}
