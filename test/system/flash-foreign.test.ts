// `piimg flash` of an image that somebody else made, onto real block devices: each card is somebody, sound, and the image but for that.
import { readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { CardReport } from '../../src/cli/commands/card.ts';
import { run } from '../../src/host/exec.ts';
import { bmapXml } from '../../src/image/bmap.ts';
import type { Description } from '../../src/vendor/describe.ts';
import { checkFat, textsOf } from '../helpers/fat-image.ts';
import { agreed, flashedOf, MIB, piimg, piimgAsRoot, plainImage, startPiimg, untilMoved } from '../helpers/flashing.ts';
import { BOOT, foreignImage } from '../helpers/foreign-image.ts';
import { moved, withCard, withCards, type Card } from '../helpers/rig/card.ts';
import { keyLine } from '../helpers/ssh-keys.ts';
import { temporaryFolder } from '../helpers/temporary.ts';

const WRITTEN = {
  'cloudinit-rpi': { file: 'user-data', names: (node: string) => `"hostname": "${node}"` },
  systemd: { file: 'firstrun.sh', names: (node: string) => `step set_hostname ${node}` },
} as const;

for (const [format, { file, names }] of Object.entries(WRITTEN)) {
  test(`two cards from an image of format ${format}, each somebody, the same image but for that`, async () => {
    const image = await foreignImage(format as keyof typeof WRITTEN);
    const [folder, name, content] = [path.dirname(image), path.basename(image), await readFile(image)];
    await writeFile(path.join(folder, 'me.pub'), `${keyLine()}\n`);
    const size = content.length + (8 << 20);
    await withCards(
      [
        { size, content: 'random' },
        { size, content: 'random' },
      ],
      async (cards) => {
        const nodes = cards.map((_, index) => `pi${index + 1}`);
        const pairs = cards.map((card, index) => `${nodes[index]}=${card.path}`);
        const said = await piimg(folder, 'flash', name, ...pairs, '--ssh-key', 'me.pub', ...agreed(cards), '--json');
        const { code, cards: told, ledger } = flashedOf(said);
        assert.is(code, 0, said.stderr);
        assert.equal(
          told.map((card) => [card.node, card.verdict]),
          nodes.map((node) => [node, 'verified']),
        );
        for (const [index, card] of cards.entries()) {
          const copy = path.join(folder, `read-${index}.img`);
          await writeFile(copy, await card.read(0, content.length));
          const [text] = await textsOf(copy, [file]);
          assert.match(text ?? '', names(nodes[index] ?? ''));
          assert.is((await checkFat(copy)).exitCode, 0);
          const told = await piimg(folder, 'inspect', card.path, '--json');
          assert.is(told.code, 0, told.stderr);
          assert.is((JSON.parse(told.stdout) as Description).identity.hostname, nodes[index]);
          const same = await piimg(folder, 'verify', name, card.path);
          assert.is(same.code, 0, same.stdout + same.stderr);
          assert.match(same.stdout, /but for its identity/);
          const known = await reportOf(folder, card.path);
          assert.equal(
            [known.code, known.report.record?.node, known.report.flashed?.image.name, known.report.equal],
            [0, nodes[index], name, true],
          );
          const row = ledger.find((one) => one.node === nodes[index]);
          assert.is(known.report.record?.cardId, row?.card.id);
          assert.match(
            (await piimgAsRoot(folder, 'flash', name, card.path, ...agreed([card]), '--dry-run', '--no-login')).stderr,
            `was ${nodes[index]}, `,
          );
          const [byte = 0] = await card.read(20 << 20, 1);
          await card.write(20 << 20, Buffer.from([byte ^ 1]));
          assert.is((await piimg(folder, 'verify', name, card.path)).code, 1, 'negative control');
          const changed = await reportOf(folder, card.path);
          assert.equal([changed.code, changed.report.equal], [1, false], 'negative control');
        }
        // Another system at the same place, as what goes by a block map leaves it.
        const [first, second] = cards as [Card, Card];
        await first.write(BOOT.start * 512 + 67, Buffer.from('othr'));
        const other = await piimg(folder, 'card', first.path);
        assert.is(other.code, 2);
        assert.match(other.stderr, /is no image or card that piimg has made/);

        // Of an image that was such a card, no card is that one.
        await writeFile(path.join(folder, 'golden.img'), await second.read(0, content.length));
        const again = await piimg(folder, 'flash', 'golden.img', first.path, ...agreed([first]), '--no-login');
        assert.is(again.code, 0, again.stderr);
        const golden = await reportOf(folder, first.path);
        assert.equal([golden.report.record, golden.report.equal], [undefined, true]);
        assert.is((await piimg(folder, 'verify', 'golden.img', first.path)).code, 0);
      },
    );
  });
}

test('an image as it is has no record: the ledger knows the card by its content', async () => {
  const folder = temporaryFolder();
  const image = await plainImage(folder);
  await withCard({ size: 32 * MIB, content: 'random' }, async (card) => {
    const unknown = await piimg(folder, 'card', card.path);
    assert.is(unknown.code, 2, 'nothing is known of it');
    const { ledger } = flashedOf(await piimg(folder, 'flash', image, card.path, ...agreed([card]), '--json'));
    assert.is(ledger[0]?.card.id, undefined);
    assert.ok((await card.read(0, 24 * MIB)).equals(await readFile(image)));
    const { code, report } = await reportOf(folder, card.path);
    assert.equal([code, report.equal, report.flashed?.time, report.record], [0, true, ledger[0]?.time, undefined]);
    assert.match(
      (await piimg(folder, 'card', card.path)).stdout,
      /of another maker[^]*plain\.img \(verified\)[^]*yes, every byte/,
    );
    const [byte = 0] = await card.read(20 * MIB, 1);
    await card.write(20 * MIB, Buffer.from([byte ^ 1]));
    const changed = await reportOf(folder, card.path);
    assert.equal([changed.code, changed.report.equal, changed.report.flashed?.time], [1, false, ledger[0]?.time]);
    // Another disk's id, as a first boot makes it: then it may be any.
    await card.write(440, Buffer.from('boot'));
    assert.is((await piimg(folder, 'card', card.path)).code, 2);
  });
});

test('a packed Raspberry Pi OS that lets nobody in: said when it is written, by whichever card can be read', async () => {
  const asks = 'etc/systemd/system/multi-user.target.wants/userconfig.service';
  const image = await foreignImage('cloudinit-rpi', { root: { [asks]: { link: '/dev/null.service' } } });
  const folder = path.dirname(image);
  const { size } = await stat(image);
  await run(['gzip', '-1', image]);
  // The root, of which nothing is read back here.
  const badReads = [{ offset: (BOOT.start + BOOT.sectors) * 512, length: size }];
  const card = { size: size + 8 * MIB };
  await withCards([{ ...card, badReads }, card], async (cards) => {
    const flash = ['flash', 'card.img.gz', ...cards.map(({ path: disk }) => disk), ...agreed(cards), '--no-verify'];
    const { code, stdout, stderr } = await piimg(folder, ...flash);
    assert.is(code, 0, stderr);
    assert.match(stdout, /^Nobody could log in: /m);
    for (const { path: disk } of cards)
      assert.match(stdout, `\n  piimg customize ${disk} --in-place --node NAME --ssh-key FILE.pub`);
    for (const one of cards) await one.behave({ badReads });
    const nothing = await piimg(folder, ...flash);
    assert.is(nothing.code, 0, nothing.stderr);
    assert.match(nothing.stdout, /^Whether anybody can log in is not known here\.$/m);
    const json = JSON.parse((await piimg(folder, ...flash, '--json')).stdout) as { closed: unknown };
    assert.is(json.closed, null);
  });
});

async function reportOf(folder: string, card: string): Promise<{ code: number; report: CardReport }> {
  const { code, stdout, stderr } = await piimg(folder, 'card', card, '--json');
  assert.ok(stdout, stderr);
  return { code, report: JSON.parse(stdout) as CardReport };
}

test('resumed after an identity: nothing of that stays; with a block map, which does not name all of it, it is begun anew', async () => {
  const image = await foreignImage('systemd', { rootSize: 32, noise: 16 });
  const [folder, name, content] = [path.dirname(image), path.basename(image), await readFile(image)];
  await writeFile(path.join(folder, 'me.pub'), `${keyLine()}\n`);
  await withCard({ size: content.length + 8 * MIB, content: 'random', bytesPerSecond: 8e6 }, async (card) => {
    const flash = ['flash', name, card.path, ...agreed([card])];
    const killed = async (node: string): Promise<void> => {
      await card.behave({ bytesPerSecond: 8e6 });
      const before = moved(await card.requests(), 'write');
      const flashing = startPiimg(folder, [...flash, '--node', node, '--ssh-key', 'me.pub']);
      const ended = flashing.catch(() => undefined);
      // Notes of how far it is are a second apart.
      await untilMoved(card, 'write', before + 36 * MIB);
      flashing.kill('SIGKILL');
      await ended;
      assert.ok((await card.read(0, content.length)).includes(`step set_hostname ${node}`), 'the control');
      await card.behave({ bytesPerSecond: 1e9 });
    };
    await killed('earlier');
    // As the image is: what the identity took has to be found, and put right.
    const { cards: told } = flashedOf(await piimg(folder, ...flash, '--no-login', '--resume', '--json'));
    assert.is(told[0]?.verdict, 'verified', told[0]?.problem);
    assert.ok(told[0]?.notes.some((note) => /pieces of an earlier run are not there/.test(note)));
    assert.ok((told[0]?.written ?? Infinity) < content.length - 8 * MIB, `${told[0]?.written} bytes were written`);
    assert.ok((await card.read(0, content.length)).equals(content));

    // Of the boot partition it names the beginning, and so not where new files lie.
    const [block, boot] = [4096, BOOT.start * 512];
    const ranges = [
      { offset: 0, length: boot + 2 * MIB },
      { offset: boot + BOOT.sectors * 512, length: content.length - boot - BOOT.sectors * 512 },
    ];
    assert.ok(ranges.every(({ offset, length }) => offset % block === 0 && length % block === 0));
    await writeFile(path.join(folder, 'card.bmap'), bmapXml(content.length, ranges));
    await killed('later');
    const anew = await piimg(folder, ...flash, '--no-login', '--resume', '--json');
    assert.match(anew.stderr, 'is written from the beginning: no earlier run is known that could go on');
    assert.is(flashedOf(anew).cards[0]?.verdict, 'verified');
    assert.not.ok((await card.read(0, content.length)).includes('step set_hostname later'));
  });
});

test.run();
