// `piimg flash` of an image that somebody else made, onto real block devices: each card is somebody, sound, and the image but for that.
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Description } from '../../src/vendor/describe.ts';
import { checkFat, textsOf } from '../helpers/fat-image.ts';
import { agreed, flashedOf, piimg } from '../helpers/flashing.ts';
import { foreignImage } from '../helpers/foreign-image.ts';
import { withCards } from '../helpers/rig/card.ts';
import { keyLine } from '../helpers/ssh-keys.ts';

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
        const { code, cards: told } = flashedOf(said);
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
          const [byte = 0] = await card.read(20 << 20, 1);
          await card.write(20 << 20, Buffer.from([byte ^ 1]));
          assert.is((await piimg(folder, 'verify', name, card.path)).code, 1, 'negative control');
        }
      },
    );
  });
}

test.run();
