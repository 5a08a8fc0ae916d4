// Boots an image that piimg has not built, through the restarts of its first boot, and reads what became of its card.
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

/** What ann, who was given `key`, gets for `command`, without blanks around it. Rejects as long as nobody lets her in. */
export async function askAnn({ ports }: TestGuest, key: string, command: string): Promise<string> {
  const settings = ['BatchMode=yes', 'StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null'];
  const options = settings.flatMap((setting) => ['-o', setting]);
  const login = ['ssh', ...options, '-i', key, '-p', `${ports[22]}`, 'ann@127.0.0.1'];
  const { stdout } = await run([...login, command], { signal: AbortSignal.timeout(60_000) });
  return stdout.trim();
}
