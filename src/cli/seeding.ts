// The story of `piimg seed`: node → texts → checks → a copy of the image, or the card itself, with them in its seed slots.
import { existsSync } from 'node:fs';
import path from 'node:path';
import { hasPlaces } from '../image/header.ts';
import { EXIT, PiimgError } from '../lib/errors.ts';
import type { CloudInitSchemas } from '../seed/check.ts';
import type { SeedDescription } from '../seed/describe.ts';
import { completeNode, type Given } from '../seed/given.ts';
import { loadNodes } from '../seed/nodes-file.ts';
import type { Context } from './context.ts';
import type { Opener } from './flashing/opener.ts';
import { describeCard, findSlots, readSchemas, withCard, type FoundSlot } from './seed-card.ts';
import { newRandom, seedOf } from './seed-machine.ts';
import { copyMap, mapBeside } from './seed-map.ts';
import { refuseOut, writeTarget, type Copying } from './seed-target.ts';
import { writeSeed, type Contents } from './seed-write.ts';

export interface SeedRequest {
  /** The image, or the card. */
  image: string;
  /** The file to write; the image itself, or the card, when absent. */
  out?: string | undefined;
  /** The copy for it, where it was begun before. */
  begun?: Copying | undefined;
  /** `node.yaml`, or `nodes.yaml` with the machine in it that `given` names. */
  from?: string | undefined;
  given: Given;
}

export interface SeedResult extends SeedDescription {
  image: string;
  /** What carries the seed now. */
  target: string;
  inPlace: boolean;
  role: string;
  buildId: string;
  /** Whether cloud-init's own schemas had a look at it. */
  checked: boolean;
  /** Lines for ~/.ssh/known_hosts. */
  knownHosts: string[];
  warnings: string[];
}

/** What is known of the image before anything is written. */
interface Source {
  block: boolean;
  role: string;
  buildId: string;
  slots: FoundSlot[];
  schemas: CloudInitSchemas;
  raspberryPi: boolean | undefined;
}

/**
 * Throws PiimgError before a byte is written for all that is wrong with node or image; a failed copy leaves nothing. `random`: 16 hex digits
 * that no other card has.
 */
export async function seedCard(
  { image, out, begun, from, given }: SeedRequest,
  context: Context,
  random: string = newRandom(),
): Promise<SeedResult> {
  const file = from === undefined ? undefined : (await loadNodes(path.resolve(from))).nodeFile(given.node);
  const node = completeNode(file, given);
  const source = await readSource(image, out === undefined);
  if (out !== undefined) await refuseOut(image, out);
  const beside = out === undefined ? undefined : await mapBeside(image);
  const { filled, secret, checked, knownHosts, warnings } = await seedOf(node, source, {
    random,
    signal: context.signal,
  });
  const contents = Object.fromEntries(filled.map(({ slot, content }) => [slot.name, content])) as Contents;
  const target = out ?? image;
  await context.progress.step(`seed of ${node.node}`, async (step) => {
    const write = (file: string): Promise<void> =>
      writeSeed(file, contents, { durable: out === undefined, signal: context.signal });
    await writeTarget({ image, out, secret, begun }, { write }, { step, signal: context.signal });
    if (out !== undefined) await copyMap(beside, out);
  });
  const unknown = source.block && process.platform !== 'linux';
  return {
    ...(await readSeed(target)),
    image,
    target,
    inPlace: out === undefined,
    checked,
    knownHosts,
    warnings: [
      ...warnings,
      ...overwritten(target, out),
      ...(unknown ? ['only on Linux is it checked whether a card is mounted'] : []),
    ],
  };
}

/** A warning: what a build has made, the next one makes anew when it is not as it was. */
export function overwritten(image: string, out: string | undefined): string[] {
  if (out !== undefined || !existsSync(`${image.replace(/\.img$/, '')}.manifest.json`)) return [];
  return [`the next build of ${image} makes it anew, without this: a copy (--out) stays`];
}

/** Whether an identity goes into slots; else its base's own first boot is told. Throws PiimgError (usage) for what piimg has not made. */
export const hasSlots = (image: string, inPlace: boolean): Promise<boolean> =>
  withCard(image, { exitCode: inPlace ? EXIT.refused : EXIT.usage }, async (card) => {
    // Another maker's image may be behind the header.
    await findSlots(card);
    return hasPlaces(card.header);
  });

/** What an image or a card carries. */
export async function readSeed(
  file: string,
  opener?: Opener,
): Promise<SeedDescription & { role: string; buildId: string }> {
  return withCard(file, { opener }, async (card) => {
    const { role, buildId } = card.header;
    return { ...(await describeCard(card)), role, buildId };
  });
}

function readSource(image: string, inPlace: boolean): Promise<Source> {
  return withCard(image, { exitCode: inPlace ? EXIT.refused : EXIT.usage }, async (card) => {
    if (card.block && !inPlace) {
      throw new PiimgError(`${image} is a device: --out makes a copy of the file of an image`, {
        exitCode: EXIT.usage,
        hint: 'With --in-place the seed is written to the card itself.',
      });
    }
    const { role, buildId, raspberryPi } = card.header;
    const { block } = card;
    return { block, role, buildId, raspberryPi, slots: await findSlots(card), schemas: await readSchemas(card) };
  });
}
