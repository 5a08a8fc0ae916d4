// The story of `piimg seed`: node → texts → checks → a copy of the image, or the card itself, with them in its seed slots.
import { chmod, lstat, open, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { requireSpace } from '../host/space.ts';
import { copyImage } from '../image/copy.ts';
import { EXIT, PiimgError } from '../lib/errors.ts';
import type { Step } from '../lib/progress.ts';
import type { CloudInitSchemas } from '../seed/check.ts';
import { describeSeed, type SeedDescription } from '../seed/describe.ts';
import { completeNode, type Given } from '../seed/given.ts';
import { loadNodes } from '../seed/nodes-file.ts';
import type { Context } from './context.ts';
import { findSlots, readSchemas, readTexts, withCard, type FoundSlot } from './seed-card.ts';
import { newRandom, seedOf } from './seed-machine.ts';
import { writeSeed, type Contents } from './seed-write.ts';

export interface SeedRequest {
  /** The image, or the card. */
  image: string;
  /** The file to write; the image itself, or the card, when absent. */
  out?: string | undefined;
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
}

/**
 * Throws PiimgError before a byte is written for all that is wrong with node or image; a failed copy leaves nothing. `random`: 16 hex digits
 * that no other card has.
 */
export async function seedCard(
  { image, out, from, given }: SeedRequest,
  context: Context,
  random: string = newRandom(),
): Promise<SeedResult> {
  const file = from === undefined ? undefined : (await loadNodes(path.resolve(from))).nodeFile(given.node);
  const node = completeNode(file, given);
  const source = await readSource(image, out === undefined);
  if (out !== undefined) await refuseOut(image, out);
  const { filled, secret, checked, knownHosts, warnings } = await seedOf(node, source, {
    random,
    signal: context.signal,
  });
  const contents = Object.fromEntries(filled.map(({ slot, content }) => [slot.name, content])) as Contents;
  const target = out ?? image;
  await context.progress.step(`seed of ${node.node}`, async (step) => {
    if (out === undefined) await writeInPlace(image, contents, secret, context.signal);
    else await writeCopy(image, out, { contents, secret, step, signal: context.signal });
  });
  const unknown = source.block && process.platform !== 'linux';
  return {
    ...(await readSeed(target)),
    image,
    target,
    inPlace: out === undefined,
    checked,
    knownHosts,
    warnings: [...warnings, ...(unknown ? ['only on Linux is it checked whether a card is mounted'] : [])],
  };
}

/** What an image or a card carries. */
export async function readSeed(file: string): Promise<SeedDescription & { role: string; buildId: string }> {
  return withCard(file, {}, async (card) => {
    const { role, buildId } = card.header;
    return { ...describeSeed(await readTexts(card)), role, buildId };
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
    const { role, buildId } = card.header;
    return { block: card.block, role, buildId, slots: await findSlots(card), schemas: await readSchemas(card) };
  });
}

/** What is renamed over must be a file, and not the image itself. */
async function refuseOut(image: string, out: string): Promise<void> {
  const folder = path.dirname(path.resolve(out));
  if (!(await stat(folder).catch(() => undefined))?.isDirectory()) {
    throw new PiimgError(`There is no folder ${folder} for ${out}`, { exitCode: EXIT.usage, hint: 'Make it first.' });
  }
  const [source, target] = [await stat(image), await stat(out).catch(() => lstat(out).catch(() => undefined))];
  if (target === undefined) return;
  const refuse = (message: string, hint: string): PiimgError =>
    new PiimgError(message, { exitCode: EXIT.refused, hint });
  if (!target.isFile()) throw refuse(`${out} is no file`, 'A card is written with --in-place: --out makes a file.');
  if (source.dev === target.dev && source.ino === target.ino)
    throw refuse(`${out} is the image itself`, 'Name another file, or write into the image with --in-place.');
}

async function writeInPlace(file: string, contents: Contents, secret: boolean, signal: AbortSignal): Promise<void> {
  // Before there is anything in it that others must not read.
  if (secret && (await stat(file)).isFile()) await chmod(file, 0o600);
  await writeSeed(file, contents, signal);
}

/** As `OUT.part`, nobody else's to read from its first byte, then renamed. */
async function writeCopy(
  image: string,
  out: string,
  options: { contents: Contents; secret: boolean; step: Step; signal: AbortSignal },
): Promise<void> {
  const { contents, secret, step, signal } = options;
  const { blocks, mode } = await stat(image);
  await requireSpace([{ folder: path.dirname(path.resolve(out)), bytes: blocks * 512, what: 'the copy of the image' }]);
  const part = `${out}.part`;
  await rm(part, { force: true });
  try {
    const file = await open(part, 'wx', 0o600);
    try {
      await copyImage(image, file, { signal, step });
      await writeSeed(part, contents, signal);
      if (!secret) await file.chmod(mode & 0o777);
      await file.sync();
    } finally {
      await file.close();
    }
    signal.throwIfAborted();
    await rename(part, out);
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
}
