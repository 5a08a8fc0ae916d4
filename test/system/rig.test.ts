// The cards of test/helpers/rig: each good and bad habit as dd sees it, so that later tests may rely on it; nothing of a card outlives it.
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { run } from '../../src/host/exec.ts';
import { packageRoot } from '../../src/host/package-root.ts';
import { asRoot } from '../helpers/as-root.ts';
import type { Behaviour } from '../helpers/rig/behaviour.ts';
import { moved, withCard, withCards, type Card } from '../helpers/rig/card.ts';
import { get, put } from '../helpers/rig/dd.ts';
import { loopIdentity, untilFree } from '../helpers/rig/users.ts';
import { temporaryFolder } from '../helpers/temporary.ts';

const MIB = 1 << 20;
const NOISE = randomBytes(4 * MIB);
const ZEROS = Buffer.alloc(4 * MIB);

/** What a command fails with. */
const failure = (running: Promise<unknown>): Promise<string> =>
  running.then(
    () => 'it went well',
    (error: Error & { detail?: string }) => `${error.message}\n${error.detail}`,
  );

const root = async (...command: string[]): Promise<string> => (await run(asRoot(command))).stdout.trim();
function same(found: Buffer, expected: Buffer, what: string): void {
  assert.ok(found.equals(expected), what);
}

/** A test on a card of 16 MiB, of 20 seconds at most. */
function habit(title: string, behaviour: Behaviour, work: (card: Card) => Promise<void>): void {
  test(title, () => withCard({ size: 16 * MIB, seconds: 20, ...behaviour }, work));
}

habit('a good card keeps what it is given, counts it, and discards', {}, async (card) => {
  const before = await card.requests();
  await put(card.path, 3 * MIB, NOISE);
  same(await get(card.path, 3 * MIB, 4 * MIB), NOISE, 'read back');
  same(await card.read(3 * MIB, 4 * MIB), NOISE, 'behind its back');
  const requests = (await card.requests()).slice(before.length);
  assert.is(moved(requests, 'write'), 4 * MIB);
  assert.is(moved(requests, 'read'), 4 * MIB);
  assert.is(requests.find(({ kind }) => kind === 'write')?.offset, 3 * MIB);
  assert.is(requests.filter(({ kind }) => kind === 'flush').length, 1);

  await root('blkdiscard', '--offset', String(3 * MIB), '--length', String(3 * MIB), card.path);
  same(await get(card.path, 3 * MIB, 3 * MIB), ZEROS.subarray(0, 3 * MIB), 'discarded');
  same(await get(card.path, 6 * MIB, MIB), NOISE.subarray(3 * MIB), 'not discarded');
  await card.behave({ discards: 'ignored' });
  await root('blkdiscard', card.path);
  same(await get(card.path, 6 * MIB, MIB), NOISE.subarray(3 * MIB), 'said to be discarded');
});

habit('a card that cannot discard, but be zeroed', { discards: 'refused' }, async (card) => {
  await put(card.path, 0, NOISE);
  assert.match(await failure(root('blkdiscard', card.path)), 'Operation not supported');
  await root('blkdiscard', '--zeroout', card.path);
  same(await get(card.path, 0, 4 * MIB), ZEROS, 'zeros written');
  assert.is(moved(await card.requests(), 'discard'), 0);
});

test('reading and writing share one budget; other cards have theirs', async () => {
  const options = { size: 16 * MIB, bytesPerSecond: 8 * MIB, seconds: 30 };
  await withCards([options, options], async (cards) => {
    const started = performance.now();
    await Promise.all(cards.flatMap(({ path }) => [put(path, 0, NOISE), get(path, 8 * MIB, 4 * MIB)]));
    const seconds = (performance.now() - started) / 1000;
    assert.ok(seconds > 0.99, `${seconds} s for 8 MiB at 8 MiB/s`);
    // The other way round it would be two: no time is asserted but that cards do not wait for each other.
    for (const card of cards) assert.is(moved(await card.requests(), 'write'), 4 * MIB);
  });
});

const BAD = { offset: 5 * MIB + 4096, length: 512 };

habit('a sector that cannot be written, one that cannot be read', { badWrites: [BAD] }, async (card) => {
  assert.match(await failure(put(card.path, 4 * MIB, NOISE)), 'Input/output error');
  await put(card.path, 6 * MIB, NOISE);
  await card.behave({ badWrites: [], badReads: [BAD] });
  await put(card.path, 4 * MIB, NOISE);
  assert.match(await failure(get(card.path, 4 * MIB, 4 * MIB)), 'Input/output error');
  same(await get(card.path, 6 * MIB, MIB), NOISE.subarray(2 * MIB, 3 * MIB), 'beside it');
});

habit(
  'a card with a quarter of what it says: the end overwrites the beginning',
  { real: 4 * MIB, beyond: 'wrap' },
  async (card) => {
    await put(card.path, 2 * MIB, NOISE);
    same(await get(card.path, 2 * MIB, 4 * MIB), NOISE, 'read back at once');
    same(await get(card.path, 0, 2 * MIB), NOISE.subarray(2 * MIB), 'the beginning');
    await put(card.path, 14 * MIB, ZEROS.subarray(0, 2 * MIB));
    same(await get(card.path, 2 * MIB, 2 * MIB), ZEROS.subarray(0, 2 * MIB), 'the second round');
  },
);

habit('a card with a quarter of what it says: the rest is lost', { real: 4 * MIB, beyond: 'lost' }, async (card) => {
  await put(card.path, 2 * MIB, NOISE);
  same(await get(card.path, 2 * MIB, 2 * MIB), NOISE.subarray(0, 2 * MIB), 'what it has');
  same(await get(card.path, 4 * MIB, 2 * MIB), ZEROS.subarray(0, 2 * MIB), 'what it has not');
});

habit('a card that fails beyond a quarter of what it says', { real: 4 * MIB, beyond: 'ENOSPC' }, async (card) => {
  assert.match(await failure(put(card.path, 2 * MIB, NOISE)), 'No space left on device');
  await card.behave({ beyond: 'EIO' });
  assert.match(await failure(put(card.path, 2 * MIB, NOISE)), 'Input/output error');
  assert.match(await failure(get(card.path, 2 * MIB, 4 * MIB)), 'Input/output error');
  await put(card.path, 0, NOISE);
});

habit('a card that stores one bit the other way round, for a time', { flips: [MIB + 7] }, async (card) => {
  await put(card.path, 0, NOISE);
  const found = await get(card.path, 0, 4 * MIB);
  assert.is(found[MIB + 7], (NOISE[MIB + 7] ?? 0) ^ 1);
  found[MIB + 7] = NOISE[MIB + 7] ?? 0;
  same(found, NOISE, 'all other bits');
  await card.behave({ flips: [] });
  await put(card.path, 0, NOISE);
  same(await get(card.path, 0, 4 * MIB), NOISE, 'afterwards');
  await card.write(9, Buffer.from('changed'));
  assert.is((await get(card.path, 0, 512)).toString('latin1', 9, 16), 'changed');
});

habit(
  'a card pulled when it has 1 MiB, and put in again',
  { after: { written: MIB, turns: { pulled: true } } },
  async (card) => {
    assert.match(await failure(put(card.path, 0, NOISE)), 'Input/output error');
    assert.match(await failure(get(card.path, 0, 512)), 'Input/output error');
    same(await card.read(0, 512), NOISE.subarray(0, 512), 'what it holds can be looked at');
    await card.behave({ pulled: false });
    same(await get(card.path, 0, 512), NOISE.subarray(0, 512), 'put in again');
  },
);

habit('a card that hangs goes on; one that is pulled lets nobody wait', {}, async (card) => {
  await card.behave({ after: { written: MIB, turns: { hangs: true } } });
  let ended = false;
  const writing = put(card.path, 0, NOISE).finally(() => (ended = true));
  await sleep(500);
  assert.not(ended, 'it hangs');
  await card.behave({ hangs: false });
  await writing;
  same(await get(card.path, 0, 4 * MIB), NOISE, 'all of it');

  await card.behave({ hangs: true });
  const [write, read] = [failure(put(card.path, 0, NOISE)), failure(get(card.path, 0, MIB))];
  await sleep(200);
  await card.behave({ pulled: true });
  assert.match(await write, 'Input/output error');
  assert.match(await read, 'Input/output error');
});

habit('a card whose size changes', {}, async (card) => {
  await card.resize(8 * MIB);
  assert.is(await root('blockdev', '--getsize64', card.path), String(8 * MIB));
  assert.match(await failure(put(card.path, 6 * MIB, NOISE)), 'No space left on device');
});

test('plain, read-only, with sectors of 4096 bytes', async () => {
  await withCard({ size: 16 * MIB, plain: true, content: NOISE, sectorSize: 4096, seconds: 20 }, async (card) => {
    same(await get(card.path, 0, 4 * MIB), NOISE, 'its content');
    await put(card.path, 4 * MIB, NOISE);
    same(await card.read(4 * MIB, 4 * MIB), NOISE, 'behind its back');
    assert.is(await root('blockdev', '--getss', card.path), '4096');
    assert.match(
      await failure(root('dd', `if=${card.path}`, 'of=/dev/null', 'bs=512', 'iflag=direct')),
      'Invalid argument',
    );
    await card.resize(8 * MIB);
    assert.is(await root('blockdev', '--getsize64', card.path), String(8 * MIB));
  });
  await withCard({ size: 16 * MIB, readOnly: true, content: 'random', seconds: 20 }, async (card) => {
    assert.match(await failure(put(card.path, 0, NOISE)), /Operation not permitted|Read-only file system/);
    same(await get(card.path, 0, 4 * MIB), await card.read(0, 4 * MIB), 'its content');
  });
});

const PARTITIONS = `
printf '2048,16384,c\\n18432,,82\\n' | sfdisk --quiet "$1"; partx --update "$1"
mkfs.ext4 -q "$1p1"; mount "$1p1" "$2"
mkswap "$1p2" >/dev/null; swapon --priority 0 "$1p2"
lsblk --noheadings --list --output NAME,MOUNTPOINT "$1"
`;

test('partitions, mounted and as swap: they end with the card', async () => {
  const folder = temporaryFolder();
  const device = await withCard({ size: 32 * MIB, plain: true, partitions: true, seconds: 20 }, async (card) => {
    const { stdout } = await run(card.inside(['sh', '-euc', PARTITIONS, 'sh', card.path, folder]));
    assert.match(stdout, new RegExp(`p1 +${folder}\\n.*p2 +\\[SWAP\\]`));
    assert.not.match(readFileSync('/proc/self/mounts', 'utf8'), folder);
    return card.path;
  });
  assert.not.match(readFileSync('/proc/swaps', 'utf8'), device);
});

habit('who uses a card for too long is named', {}, async (card) => {
  const holding = run(asRoot(['sh', '-c', 'exec 3<"$0"; exec sleep 10', card.path]));
  await sleep(200);
  assert.match(
    await failure(untilFree(card.path, await loopIdentity(card.path), 0)),
    /still in use .*open by \d+: sleep 10/,
  );
  holding.kill();
  await holding.catch(() => {});
});

test('a failure of the work is the one that is reported, and nothing is left', async () => {
  let made: Card | undefined;
  let identity = '';
  const work = withCard({ size: 16 * MIB, hangs: true, seconds: 20 }, async (card) => {
    made = card;
    identity = await loopIdentity(card.path);
    assert.ok(identity);
    void failure(put(card.path, 0, NOISE));
    await sleep(100);
    throw new Error('of the work');
  });
  assert.match(await failure(work), 'of the work');
  await untilFree(made?.path ?? '', identity);
});

/** One card that is mounted and swap, one that hangs, and a writer that waits for it for ever. */
const FOREVER = `
import { moved, withCards } from './test/helpers/rig/card.ts';
import { loopIdentity } from './test/helpers/rig/users.ts';
import { put } from './test/helpers/rig/dd.ts';
import { run } from './src/host/exec.ts';
const [script, folder] = process.argv.slice(1);
const size = 32 << 20;
await withCards([{ size, plain: true, partitions: true }, { size, hangs: true }], async ([busy, hanging]) => {
  await run(busy.inside(['sh', '-euc', script, 'sh', busy.path, folder]));
  const writing = put(hanging.path, 0, Buffer.alloc(1 << 20));
  writing.catch(() => {});
  await new Promise((resolve) => setTimeout(resolve, 500));
  const cards = await Promise.all([busy, hanging].map(async ({ path }) => [path, await loopIdentity(path)]));
  console.log(JSON.stringify({ cards, writer: writing.pid }));
  await new Promise((resolve) => setTimeout(resolve, 60_000));
});`;

test('a SIGKILL of the test ends cards, mounts, swap, and who waits for a card that hangs', async () => {
  const [place, folder] = [temporaryFolder(), temporaryFolder()];
  const node = [process.execPath, '--import', 'tsx', '--input-type=module', '--eval', FOREVER, PARTITIONS, folder];
  let said = '';
  const killed = run(node, {
    cwd: packageRoot,
    env: { TMPDIR: place },
    signal: AbortSignal.timeout(60_000),
    onLine: (line, stream) => {
      if (stream === 'stdout') said = line;
      if (said !== '') killed.kill('SIGKILL');
    },
  });
  assert.match(await failure(killed), 'SIGKILL');
  const { cards, writer } = JSON.parse(said) as { cards: [string, string][]; writer: number };
  for (const [device, identity] of cards) {
    await untilFree(device, identity);
    assert.not.match(readFileSync('/proc/swaps', 'utf8'), device);
  }
  for (let tries = 0; tries < 50 && existsSync(`/proc/${writer}`); tries++) await sleep(100);
  assert.not(existsSync(`/proc/${writer}`));
  for (let tries = 0; tries < 50 && ownFolders(place).length > 0; tries++) await sleep(100);
  assert.equal(ownFolders(place), []);
});

const ownFolders = (place: string): string[] => readdirSync(place).filter((name) => name.startsWith('piimg-rig-'));

test.run();
