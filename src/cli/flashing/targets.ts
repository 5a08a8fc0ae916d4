// The cards of a flash: what was named, which disk that is, and whether it may be written to.
import { realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { listDisks } from '../../flash/list.ts';
import type { Judgement } from '../../flash/judge.ts';
import { countedSize } from '../../flash/source/packed-size.ts';
import { filesOfLoop } from '../../host/block-devices.ts';
import { identifyDisk, requireSameDisk, type DiskIdentity } from '../../host/open-disk.ts';
import { requireUnwritten } from '../../host/writers.ts';
import { formatBytes } from '../../lib/bytes.ts';
import { EXIT, PiimgError } from '../../lib/errors.ts';
import { nodeName } from '../../seed/document.ts';
import type { Context } from '../context.ts';
import { withSize, type FlashImage } from './image.ts';

/** A word of the command line that names a card. */
export interface Named {
  node?: string;
  path: string;
}

/** A disk that may be written to. */
export interface Target extends Judgement {
  node?: string;
  identity: DiskIdentity;
  /** It was named by its serial number. */
  bySerial: boolean;
}

/** `pi-web1=/dev/sdb` and block devices are cards, wherever they stand; anything else is the image. Throws PiimgError (usage). */
export async function sortWords(words: string[]): Promise<{ image: string | undefined; cards: Named[] }> {
  const cards: Named[] = [];
  const images: string[] = [];
  for (const word of words) {
    const [, node, device] = /^([^=/]+)=(\/.*)$/.exec(word) ?? [];
    if (node !== undefined && device !== undefined) cards.push({ node: requireNodeName(node), path: device });
    else if (await isDevice(word)) cards.push({ path: word });
    else images.push(word);
  }
  if (images.length > 1) {
    throw new PiimgError(`One image at a time: ${images.join(', ')}`, {
      exitCode: EXIT.usage,
      hint: 'Cards are named by their devices, such as /dev/sdb. A file is written with --to FILE.',
    });
  }
  return { image: images[0], cards };
}

function requireNodeName(name: string): string {
  const { success, error } = nodeName.safeParse(name);
  if (success) return name;
  throw new PiimgError(`${name} cannot be a node's name: it takes ${error.issues[0]?.message ?? 'another one'}`, {
    exitCode: EXIT.usage,
  });
}

async function isDevice(word: string): Promise<boolean> {
  const info = await stat(word).catch(() => undefined);
  // One that is gone is a card all the same, not an image; /dev/shm has files.
  if (word.startsWith('/dev/') && word !== '/dev/stdin') return info?.isFile() !== true;
  return info?.isBlockDevice() ?? false;
}

export interface Rules {
  /** The file of the image, if it is one: its disk is no target. */
  image: string | undefined;
  /** Bytes of the image. */
  size: number | undefined;
  allowFixed: boolean;
  /** Whether it will be written to: what is only read may be any disk. */
  write: boolean;
}

const refuse = (message: string, hint?: string): PiimgError =>
  new PiimgError(message, { exitCode: EXIT.refused, ...(hint !== undefined && { hint }) });

/** What a flash may not destroy beside what the system itself needs. */
const kept = (image: string | undefined): Parameters<typeof listDisks>[0] => [
  { file: process.cwd(), what: 'the folder you are in' },
  ...(image === undefined ? [] : [{ file: image, what: 'the image' }]),
];

export const listTargets = (image: string | undefined): Promise<Judgement[]> => listDisks(kept(image));

/** The disks that were named, each judged. Throws PiimgError, refused for the first that must not be written to. */
export async function findTargets(cards: Named[], rules: Rules): Promise<Target[]> {
  // Before the list is made: what is put in while it is would be judged as what was there.
  const identities: DiskIdentity[] = [];
  for (const card of cards) identities.push(await identifyDisk(card.path));
  const disks = await listTargets(rules.image);
  const targets: Target[] = [];
  for (const [index, identity] of identities.entries()) {
    const card = cards[index] as Named;
    const target = await findTarget(card, identity, disks);
    const twin = targets.find(({ device }) => device.path === target.device.path);
    if (twin !== undefined) throw refuse(`${card.path} was named twice`, 'One card gets one identity.');
    await requireFit(target, rules);
    targets.push(target);
  }
  return targets;
}

async function findTarget({ node, path: named }: Named, identity: DiskIdentity, disks: Judgement[]): Promise<Target> {
  const real = (await realpath(named)).replace(/^\/dev\/rdisk/, '/dev/disk');
  const found = disks.find(({ device }) => device.path === real);
  if (found === undefined) {
    const whole = disks.find(({ device }) => device.partitions.some((partition) => partition.path === real));
    if (whole !== undefined)
      throw refuse(`${named} is a partition`, `An image is of a whole disk: name ${whole.device.path}.`);
    throw refuse(`${named} is no disk that an image can go to`, 'piimg drives lists disks.');
  }
  if (identity.size !== found.device.size && identity.size > 0)
    throw refuse(`${named} changed while disks were listed`, 'Run the command again.');
  const listed = { ...identity, size: found.device.size };
  await requireSameDisk(listed);
  return {
    ...found,
    ...(node !== undefined && { node }),
    identity: { ...listed, path: found.device.path },
    bySerial: path.dirname(named) === '/dev/disk/by-id',
  };
}

async function requireFit(target: Target, rules: Rules): Promise<void> {
  if (rules.size !== undefined) requireRoom(target, rules.size);
  if (rules.write) await requireWritable(target, rules);
}

function requireRoom({ device, identity }: Target, size: number, needs = formatBytes(size)): void {
  if (size <= identity.size) return;
  throw refuse(
    `${device.path} is too small: ${formatBytes(identity.size)}, the image needs ${needs}`,
    'Take a larger card.',
  );
}

/**
 * The image with its size, where that is known by counting only, before anything is written to a card. Throws PiimgError: refused for a card
 * that is smaller, usage for an image that is cut off, and what else is wrong with it.
 */
export async function fitting(
  image: FlashImage,
  targets: Target[],
  { progress, signal }: Pick<Context, 'progress' | 'signal'>,
): Promise<FlashImage> {
  const [smallest] = targets.toSorted((a, b) => a.identity.size - b.identity.size);
  if (smallest === undefined || image.size !== undefined) return image;
  const most = smallest.identity.size;
  const size = await countedSize(image.source, { reach: image.reach, most, progress, signal });
  if (size === undefined) return image;
  requireRoom(smallest, size, 'more');
  return withSize(image, size);
}

async function requireWritable({ device, verdict, reason, hint, bySerial }: Target, rules: Rules): Promise<void> {
  if (verdict === 'refused')
    throw refuse(
      `${device.path} is refused: ${sentence(reason)}`,
      hint ?? 'Take another disk: piimg drives lists what could be a card.',
    );
  for (const file of await filesOfLoop(device.path))
    if (await isSameFile(file, rules.image)) throw refuse(`${device.path} is the image itself`, 'Name another disk.');
  if (verdict === 'fixed' && !rules.allowFixed && !bySerial) {
    throw refuse(
      `${device.path} is not what cards look like: ${reason}`,
      `If it is meant all the same: --allow-fixed (where nobody can be asked, with --confirm ${path.basename(device.path)}), or name it by its serial number below /dev/disk/by-id.`,
    );
  }
  // File systems in user space, as ntfs-3g, hold it open as long as it is mounted: it is looked at again when they are unmounted.
  if (device.mounts.length === 0) await requireUnwritten(device.path);
}

async function isSameFile(one: string, other: string | undefined): Promise<boolean> {
  if (other === undefined) return false;
  const [a, b] = await Promise.all([one, other].map((file) => stat(file).catch(() => undefined)));
  return a !== undefined && a.dev === b?.dev && a.ino === b.ino;
}

/** A reason that says what it is, not what it does. */
const sentence = (reason: string): string => (/^(holds|is|can|has)\b/.test(reason) ? `it ${reason}` : reason);
