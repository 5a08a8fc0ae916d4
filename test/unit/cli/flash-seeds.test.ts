// The identities of the cards of one flash: the bytes `piimg seed` writes, at the places the header names; and whom none can be given.
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import { createContext } from '../../../src/cli/context.ts';
import { cardSeeds, type CardSeed, type SeedSources } from '../../../src/cli/flash-seeds.ts';
import { readImageSeed } from '../../../src/cli/image-seed.ts';
import { withCard } from '../../../src/cli/seed-card.ts';
import { seedCard } from '../../../src/cli/seeding.ts';
import type { ImageHeader } from '../../../src/image/header.ts';
import { EXIT, PiimgError } from '../../../src/lib/errors.ts';
import type { Given } from '../../../src/seed/given.ts';
import { loadNodes } from '../../../src/seed/nodes-file.ts';
import { mtools, seedImage } from '../../helpers/seed-image.ts';
import { keyLine } from '../../helpers/ssh-keys.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';

const { signal } = new AbortController();
const image = join(await seedImage(), 'web.img');
const bare = join(await seedImage({ schemas: false }), 'web.img');
const header = await withCard(image, {}, (card) => Promise.resolve(card.header));
const { schemas } = await readImageSeed(image);
const nothing: Given = { keys: [], addresses: [], dns: [], variables: {}, secrets: {} };

const NODES = `
version: 1
users: [{ name: ann, keys: ["${keyLine('ann')}"] }]
variables: { port: 3000 }
nodes:
  pi-web1: { network: { addresses: [192.168.254.122/24] }, secrets: { db_password: hunter2 } }
  pi-web2:
`;
async function fileOf(text: string): Promise<string> {
  const file = join(temporaryFolder(), 'nodes.yaml');
  await writeFile(file, text);
  return file;
}
const file = await fileOf(NODES);
const nodes = await loadNodes(file);

const seeds = (names: (string | undefined)[], sources: Partial<SeedSources> = {}, of: ImageHeader = header) =>
  cardSeeds(names, of, { given: nothing, schemas, ...sources }, signal);
const textOf = (seed: CardSeed | undefined, name: string): string => {
  const offset = header.slots.find((slot) => slot.name === name)?.offset;
  return seed?.patches.find((patch) => patch.offset === offset)?.content.toString() ?? '';
};

test('an image that says it is built on a Raspberry Pi OS is told in its words, and cloud-init’s schemas take them', async () => {
  const [seed] = await seeds(['pi-web1'], { nodes }, { ...header, raspberryPi: true });
  assert.is(seed?.checked, true);
  assert.ok('runcmd' in (parse(textOf(seed, 'user-data')) as object));
  const [plain] = await seeds(['pi-web1'], { nodes });
  assert.not.ok('runcmd' in (parse(textOf(plain, 'user-data')) as object));
});

test('the bytes are those that `piimg seed` writes for the same random', async () => {
  const random = '0123456789abcdef';
  const given = {
    ...nothing,
    variables: { port: 80 },
    wifi: { ssid: 'my "net"', password: 'password', country: 'DE' },
  };
  for (const node of ['pi-web1', 'pi-web2']) {
    const out = join(temporaryFolder(), 'pi.img');
    const context = createContext(signal, 'silent');
    await seedCard({ image, out, from: file, given: { ...given, node } }, context, random);
    const [seed] = await seeds([node], { nodes, given, random: () => random });
    const [before, written] = [await readFile(image), await readFile(out)];
    for (const { offset, length, content } of seed?.patches ?? []) {
      assert.is(content.length, length);
      content.copy(before, offset);
    }
    assert.ok(before.equals(written), 'and nothing else differs');
    assert.ok(!before.equals(await readFile(image)), 'negative control');
  }
});

test('each card is a machine of its own, with what the file gives it, in the order they were named', async () => {
  const [second, first] = await seeds(['pi-web2', 'pi-web1'], { nodes });
  assert.equal([second?.node, first?.node], ['pi-web2', 'pi-web1']);
  assert.match(textOf(first, 'user-data'), /"hostname": "pi-web1"/);
  assert.equal([first?.secret, second?.secret], [true, false]);
  assert.equal([first?.network.addresses, second?.network.addresses], [['192.168.254.122/24'], []]);
  assert.not.match(textOf(second, 'piimg.json'), /hunter2/);
  assert.match(textOf(first, 'piimg.json'), /hunter2/, 'negative control');
  const ids = [first, second].map((seed) => parse(textOf(seed, 'meta-data')) as Record<string, string>);
  assert.match(ids[0]?.['instance-id'] ?? '', /^piimg-pi-web1-[0-9a-f]{16}$/);
  assert.is.not(ids[0]?.['instance-id']?.slice(-16), ids[1]?.['instance-id']?.slice(-16));
  for (const { patches, warnings, checked, users } of [first, second].filter((seed) => seed !== undefined)) {
    const offsets = patches.map(({ offset }) => offset);
    assert.equal(
      offsets,
      offsets.toSorted((a, b) => a - b),
    );
    assert.equal([patches.length, warnings, checked, users[0]?.name], [4, [], true, 'ann']);
  }
});

test('a card without a name is the one machine that file or options name', async () => {
  const own = await loadNodes(await fileOf('version: 1\nnode: pi-file\n'));
  const name = async (sources: Partial<SeedSources>) => (await seeds([undefined], sources))[0]?.node;
  assert.is(await name({ nodes: own }), 'pi-file');
  assert.is(await name({ nodes: own, given: { ...nothing, node: 'pi-option' } }), 'pi-option');
  assert.is(await name({ nodes, given: { ...nothing, node: 'pi-web2' } }), 'pi-web2');
  assert.is((await seeds(['pi'], { given: { ...nothing, node: 'pi' } }))[0]?.node, 'pi');
});

test('host keys are of each card alone, and told for its name and addresses', async () => {
  const given = { ...nothing, hostKeys: true };
  const all = await seeds(['pi-web1', 'pi-web2'], { nodes, given });
  const lines = all.map(({ knownHosts }) => knownHosts);
  assert.equal(
    lines.map((each) => each.length),
    [3, 3],
  );
  for (const [index, seed] of all.entries()) {
    const { knownHosts, hostKeys, secret } = seed;
    assert.is(secret, true);
    const names = index === 0 ? 'pi-web1,192.168.254.122' : 'pi-web2';
    for (const [at, { publicKey }] of hostKeys.entries()) {
      assert.is(knownHosts[at], `${names} ${publicKey.split(' ').slice(0, 2).join(' ')}`);
      assert.ok(textOf(seed, 'user-data').includes(publicKey));
    }
  }
  const keys = lines.flat().map((line) => line.split(' ')[2]);
  assert.is(new Set(keys).size, 6);
});

test('that nobody can log in, and that nothing was checked, is told; not where the role lets somebody in', async () => {
  const [told] = await seeds(['pi'], { schemas: {} });
  assert.equal(told?.checked, false);
  assert.match(told?.warnings.join('\n') ?? '', /no ssh key was given.*\n.*carries no schemas/);
  assert.equal((await seeds(['pi'], { logins: ['ann'] }))[0]?.warnings, []);
});

const refused: Record<string, [names: (string | undefined)[], sources: Partial<SeedSources>, says: RegExp]> = {
  'a slip in a name': [['pi-web1', 'pi-wbe2'], { nodes }, /has no node `pi-wbe2`.*Did you mean `pi-web2`/],
  'no name': [[undefined], {}, /The machine has no name/],
  'no name, and several in the file': [[undefined], { nodes }, /is of 2 machines, and none was named/],
  'two cards of one name': [['pi', 'pi'], {}, /Two cards would both be pi/],
  'two cards without a name': [
    [undefined, undefined],
    { nodes: await loadNodes(await fileOf('version: 1\nnode: a\n')) },
    /both be a/,
  ],
  'one address for two, by an option': [
    ['a', 'b'],
    { given: { ...nothing, addresses: ['10.0.0.2/8'] } },
    /a and b would both have the address 10\.0\.0\.2/,
  ],
  'one address for two, spelled in two ways': [
    ['a', 'b'],
    {
      nodes: {
        names: [],
        nodeFile: (name) => ({
          ...nodes.nodeFile('pi-web2'),
          node: name,
          network: { addresses: [name === 'a' ? 'fd00::1/64' : 'FD00:0::1/64'], dns: [] },
        }),
      },
    },
    /a and b would both have the address fd00::1/,
  ],
  '--node for two cards': [['a', 'b'], { given: { ...nothing, node: 'a' } }, /--node names one machine/],
  '--node for another card': [['a'], { given: { ...nothing, node: 'b' } }, /Is it b or a\?/],
  'what an option has wrong': [['a'], { given: { ...nothing, gateway: '10.0.0.1' } }, /--gateway/],
};
for (const [what, [names, sources, says]] of Object.entries(refused)) {
  test(`refused: ${what}`, async () => {
    const error: unknown = await seeds(names, sources).catch((caught: unknown) => caught);
    assert.instance(error, PiimgError);
    const { message, hint, exitCode } = error as PiimgError;
    assert.match(`${message} ${hint}`, says);
    assert.is(exitCode, EXIT.usage);
  });
}

test("what cloud-init's schemas do not take, and an image without a place for it, are refused", async () => {
  const paris = await loadNodes(await fileOf('version: 1\ntimezone: Europe/Paris\n'));
  const error: unknown = await seeds(['a'], { nodes: paris }).catch((caught: unknown) => caught);
  assert.match((error as PiimgError).detail ?? '', /user-data: timezone/);
  assert.is((await seeds(['a'], { nodes: paris, schemas: {} })).length, 1, 'negative control');
  const slots = header.slots.filter(({ name }) => name !== 'piimg.json');
  const old: unknown = await seeds(['a'], {}, { ...header, slots }).catch((caught: unknown) => caught);
  assert.match((old as PiimgError).message, /no place for piimg\.json/);
});

test('an image is asked for its schemas and its own user-data', async () => {
  const { schemas: found, userData } = await readImageSeed(image);
  assert.equal(Object.keys(found), ['cloudConfig', 'networkConfig']);
  assert.match(userData ?? '', /^#cloud-config\n# What this machine is given/);
  assert.equal((await readImageSeed(bare)).schemas, {});
});

test('a seed file that somebody has moved, cut or removed is no place to write to', async () => {
  const folder = temporaryFolder();
  const edited = join(folder, 'web.img');
  await writeFile(join(folder, 'short'), 'version: 2\n');
  const spoil: (() => Promise<unknown>)[] = [
    () => mtools(edited, 'mdel', '::network-config'),
    () => mtools(edited, 'mcopy', '-o', join(folder, 'short'), '::network-config'),
    async () => {
      await mtools(edited, 'mcopy', '::network-config', join(folder, 'whole'));
      await mtools(edited, 'mren', '::network-config', '::other');
      await mtools(edited, 'mcopy', join(folder, 'whole'), '::network-config');
    },
  ];
  for (const work of spoil) {
    await copyFile(image, edited);
    await work();
    const error: unknown = await readImageSeed(edited).catch((caught: unknown) => caught);
    assert.match((error as PiimgError).message, /^network-config was changed in /);
    assert.is((error as PiimgError).exitCode, EXIT.usage);
    const { schemas: found, userData } = await readImageSeed(edited, 'any');
    assert.equal(
      [Object.keys(found).length, userData?.slice(0, 13)],
      [2, '#cloud-config'],
      'a card can have it as it is',
    );
  }
});

test.run();
