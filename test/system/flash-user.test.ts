// A card written by an ordinary user: only what opens it runs as root, through the real sudo, and what is made belongs to the user.
import { chmod, mkdtemp, readFile, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { run } from '../../src/host/exec.ts';
import { packageRoot } from '../../src/host/package-root.ts';
import { asRoot } from '../helpers/as-root.ts';
import { agreed, flashedOf, MIB, plainImage, type Said } from '../helpers/flashing.ts';
import { withCard, withCards, type Card } from '../helpers/rig/card.ts';
import { seedImage } from '../helpers/seed-image.ts';

/** In every Debian, and with no rights at all. */
const USER = 'nobody';

/** sudoers(5) of a mount namespace, so that this machine's stay as they are. Without a terminal, sudo asks nobody for a password. */
const AS_USER = `
folder=$1; rule=$2; shift 2
printf '%s\\n' "Defaults !syslog, logfile=$folder/sudo.log, loglinelen=0" 'root ALL=(ALL:ALL) ALL' "$rule" >"$folder/sudoers"
chmod 440 "$folder/sudoers"
mount --bind "$folder/sudoers" /etc/sudoers
mount -t tmpfs tmpfs /etc/sudoers.d
cd "$folder/home"
exec setsid --wait setpriv --reuid=${USER} --regid=nogroup --clear-groups \\
  env -i HOME="$folder/home" PATH=/usr/local/bin:/usr/bin:/bin PIIMG_CACHE="$folder/home/cache" "$@"`;
const MAY = `${USER} ALL=(root) NOPASSWD: ALL`;
const MAY_NOT = '';

interface Place {
  folder: string;
  image: string;
  /** A copy that this user may read, as `npm install --global` makes it. */
  main: string;
  run(rule: string, command: string[]): Promise<Said>;
}

async function withPlace(work: (place: Place) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(path.join(tmpdir(), 'piimg-user-'));
  try {
    await chmod(folder, 0o755);
    const own = path.join(folder, 'piimg');
    const parts = ['dist', 'src', 'images', 'overlays', 'qemu', 'package.json'].map((name) =>
      path.join(packageRoot, name),
    );
    await run(['mkdir', own]);
    await run(['cp', '-r', ...parts, own]);
    await run(['chmod', '-R', 'a+rX', own]);
    await run(asRoot(['install', '-d', '-o', USER, '-g', 'nogroup', path.join(folder, 'home')]));
    await work({
      folder,
      image: await plainImage(folder),
      main: path.join(own, 'dist/cli/main.js'),
      run: async (rule, command) => {
        const inside = ['unshare', '--mount', '--propagation', 'private', 'sh', '-euc', AS_USER, 'sh', folder, rule];
        const options = { okCodes: [0, 1, 2, 3, 4, 70], signal: AbortSignal.timeout(120_000) };
        const { stdout, stderr, exitCode } = await run(asRoot([...inside, ...command]), options);
        return { stdout, stderr, code: exitCode };
      },
    });
  } finally {
    await run(asRoot(['rm', '-rf', '--', folder]));
  }
}

const flash = ({ image, main }: Place, card: Card): string[] => {
  const words = [image, card.path, ...agreed([card]), '--no-login', '--json'];
  return [process.execPath, main, 'flash', ...words];
};

async function ownerOf(file: string): Promise<string> {
  return (await run(['stat', '-c', '%U', file])).stdout.trim();
}

/** What it ran, in order. */
async function askedOfSudo({ folder }: Place): Promise<string[]> {
  const { stdout } = await run(asRoot(['cat', path.join(folder, 'sudo.log')]));
  return [...stdout.matchAll(/COMMAND=(.*)/g)].map(([, command = '']) => command);
}

const rootMain = ({ main }: Place): string => `${process.execPath} ${path.join(path.dirname(main), 'root-main.js')}`;

test('the writer alone is root: sudo is asked for it, by its whole path; the ledger is the user’s', async () => {
  await withPlace(async (place) => {
    await withCard({ size: 64 * MIB, content: 'random' }, async (card) => {
      const { cards } = flashedOf(await place.run(MAY, flash(place, card)));
      assert.is(cards[0]?.verdict, 'verified', JSON.stringify(cards));
      const image = await readFile(place.image);
      assert.ok(
        (await card.read(image.length / 2, MIB)).equals(image.subarray(image.length / 2, image.length / 2 + MIB)),
      );
    });
    assert.is(await ownerOf(path.join(place.folder, 'home/out/ledger.jsonl')), USER);
    // To look whose card it is, and after consent to write it: a password is asked for once.
    assert.equal(await askedOfSudo(place), [rootMain(place)]);
  });
});

test('two cards from stdin, which the user’s part reads and keeps for both', async () => {
  await withPlace(async (place) => {
    await withCards([{ size: 64 * MIB }, { size: 64 * MIB }], async (cards) => {
      const words = [...cards.map(({ path: name }) => name), ...agreed(cards), '--no-login', '--json'];
      const piped = ['sh', '-c', 'cat "$0" | "$@"', place.image, process.execPath, place.main, 'flash', '-', ...words];
      const { cards: told } = flashedOf(await place.run(MAY, piped));
      assert.equal(
        told.map(({ verdict }) => verdict),
        ['verified', 'verified'],
        JSON.stringify(told),
      );
      const image = await readFile(place.image);
      for (const card of cards) assert.ok((await card.read(MIB, MIB)).equals(image.subarray(MIB, 2 * MIB)));
    });
  });
});

test('without rights: refused before anything, with the command that would do; that one does, and its files are the user’s', async () => {
  await withPlace(async (place) => {
    await withCard({ size: 64 * MIB, content: 'random' }, async (card) => {
      const before = await card.read(0, card.size);
      const { code, stderr } = await place.run(MAY_NOT, flash(place, card));
      assert.is(code, 3, stderr);
      assert.match(stderr, 'Only root may open that card');
      assert.ok((await card.read(0, card.size)).equals(before), 'the card was touched');
      const hint = /^hint: (sudo .*)$/m.exec(stderr)?.[1];
      assert.ok(hint !== undefined && hint.includes(` ${place.main} flash `), stderr);
      const { cards } = flashedOf(await place.run(MAY, ['sh', '-c', hint]));
      assert.is(cards[0]?.verdict, 'verified', JSON.stringify(cards));
    });
    const out = path.join(place.folder, 'home/out');
    assert.equal([await ownerOf(out), await ownerOf(path.join(out, 'ledger.jsonl'))], [USER, USER]);
    // A card that is a file holds an identity: the user's alone.
    const image = path.join(place.folder, 'home/card.img');
    const to = ['flash', place.image, '--to', image, '--no-login'];
    const made = await place.run(MAY, ['sudo', process.execPath, place.main, ...to]);
    assert.is(made.code, 0, made.stderr);
    assert.is(await ownerOf(image), USER);
    assert.ok((await stat(image)).size > 0);
  });
});

test('a user who may open the disk alone does not see root’s processes, but that the disk gets data', async () => {
  await withPlace(async (place) => {
    await withCard({ size: 64 * MIB, bytesPerSecond: 3e6 }, async (card) => {
      const before = (await run(['stat', '-c', '%U:%G', card.path])).stdout.trim();
      await run(asRoot(['chown', USER, card.path]));
      try {
        const fill = ['dd', 'if=/dev/urandom', `of=${card.path}`, 'bs=64k', 'oflag=direct', 'status=none'];
        const writing = run(asRoot(fill));
        const ended = writing.catch(() => undefined);
        const { code, stderr } = await place.run(MAY_NOT, flash(place, card));
        writing.kill();
        await ended;
        assert.is(code, 3, stderr);
        assert.match(stderr, 'is being written by somebody else’s process');
        // The same, when nobody does.
        const { cards } = flashedOf(await place.run(MAY_NOT, flash(place, card)));
        assert.is(cards[0]?.verdict, 'verified', JSON.stringify(cards));
      } finally {
        // The next card may be of that name.
        await run(asRoot(['chown', before, card.path]));
      }
    });
  });
});

test('what looks at a card, or probes it, is the user’s too, but for what opens it; without rights it says the command', async () => {
  const made = await seedImage();
  await withPlace(async (place) => {
    await withCard({ size: 64 * MIB, content: await readFile(path.join(made, 'web.img')) }, async (opened) => {
      const { path: card } = opened;
      const looks: [words: string[], code: number, said: string][] = [
        [['card', card], 0, 'role web on'],
        [['seed', 'show', card], 0, 'web'],
        // It has booted nowhere, and has no system.
        [['result', card], 1, 'Switch the machine on'],
        [['inspect', card], 1, 'holds what a Raspberry Pi boots'],
        [['verify', place.image, card], 1, 'differs'],
        [['probe', card, ...agreed([opened])], 0, 'GOOD'],
      ];
      for (const [words, code, text] of looks) {
        const said = await place.run(MAY, [process.execPath, place.main, ...words]);
        assert.is(said.code, code, said.stderr);
        assert.match(said.stdout + said.stderr, text, words.join(' '));
      }
      assert.equal(
        await askedOfSudo(place),
        looks.map(() => rootMain(place)),
        'once for each',
      );
      const denied = await place.run(MAY_NOT, [process.execPath, place.main, 'card', card]);
      assert.is(denied.code, 3, denied.stderr);
      assert.match(denied.stderr, new RegExp(`^hint: sudo .* ${place.main} card ${card}$`, 'm'));
    });
  });
});

test('a card that cannot be read: what the system says, and no bug', async () => {
  await withPlace(async (place) => {
    await withCard({ size: 64 * MIB, badReads: [{ offset: 32 * 1024, length: 1 }] }, async ({ path: card }) => {
      const { code, stderr } = await place.run(MAY, [process.execPath, place.main, 'card', card]);
      assert.is(code, 1, stderr);
      assert.match(stderr, /EIO[^]*hint: The disk reported an error/);
    });
  });
});

test('an ordinary user is shown as well whose card it is that is overwritten', async () => {
  await withPlace(async (place) => {
    await withCard({ size: 64 * MIB, content: 'random' }, async (card) => {
      const made = path.join(place.folder, 'web.img');
      await run(['install', '-m', '644', path.join(await seedImage(), 'web.img'), made]);
      const flashing = [process.execPath, place.main, 'flash', made, card.path, ...agreed([card]), '--no-login'];
      const first = await place.run(MAY, [...flashing, '--node', 'pi-web7']);
      assert.is(first.code, 0, first.stderr);
      assert.not.match(first.stderr, 'of role web, flashed');
      const second = await place.run(MAY, flashing);
      assert.match(second.stderr, /is pi-web7 of role web/);
      // A password is not asked for what is only said.
      const dry = await place.run(MAY_NOT, [...flashing, '--dry-run']);
      assert.is(dry.code, 0, dry.stderr);
    });
  });
});

test.run();
