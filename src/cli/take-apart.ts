// Takes an image apart: its two file systems become a layer, and what its packages need is kept beside that.
import path from 'node:path';
import { imageFacts } from '../base/image-facts.ts';
import { highestId } from '../host/requirements.mjs';
import { treeOfExt4, type TreeEntry } from '../image/ext4-tree.ts';
import { streamFromFat, walkFat, type FatVolume } from '../image/fat.ts';
import { findLayer } from '../layers/cache.ts';
import { makeImageLayer } from '../layers/image-layer.ts';
import { EXIT, PiimgError } from '../lib/errors.ts';
import type { Step } from '../lib/progress.ts';
import { imageLayerKey } from '../plan/image-base.ts';
import { EARLIER } from '../seed/formats/edits.ts';
import { IDENTITIES } from '../seed/formats/write.ts';
import { cloudInitOf } from '../vendor/cloud-init.ts';
import { recognise } from '../vendor/recognise.ts';
import { commandLine, mountsOf } from '../vendor/system.ts';
import type { Files, ImageView } from '../vendor/view.ts';
import { readImageRecord, writeImageRecord } from './image-record.ts';
import { withImageView, type OpenedImage } from './image-view.ts';
import { withUnpacked } from './unpack-image.ts';

/** Where the FAT is mounted; in a layer its files lie there. */
const BOOT = 'boot/firmware';

interface ToTakeApart {
  /** What messages call it. */
  name: string;
  expected?: { sha256: string; size: number };
  /** Throws for a digest that is not the wanted one. */
  accept?: (sha256: string) => void;
  /** The highest id that this user may give files of an image. */
  ids?: number;
}

/**
 * Takes apart the image in the file `packed`, and says which it is. Throws PiimgError: other bytes than `expected`, before they are looked
 * at, and an image that cannot be a base or be read; the cache then has nothing of it.
 */
export async function takeApart(
  packed: string,
  { name, expected, accept, ids = highestId() }: ToTakeApart,
  cacheDir: string,
  { step, signal }: { step: Step; signal: AbortSignal },
): Promise<{ sha256: string; size: number }> {
  const tmp = path.join(cacheDir, 'tmp');
  return withUnpacked(packed, tmp, { step, signal, most: expected?.size }, async ({ file, sha256, size }) => {
    if (expected && (expected.sha256 !== sha256 || expected.size !== size))
      throw otherImage(name, expected, { sha256, size });
    accept?.(sha256);
    const cache = { dir: path.join(cacheDir, 'layers'), tmp };
    const key = imageLayerKey(sha256);
    // Under another name, or of another time: what is in it was looked at before.
    if ((await findLayer(cache, key, () => {})) && (await readImageRecord(cacheDir, sha256))) return { sha256, size };
    step.update({ message: 'taking it apart' });
    await withImageView(file, async (view, opened) => {
      const { root, piimg, notes } = view;
      if (piimg) {
        throw new PiimgError(`${name} cannot be a base: piimg has built it, for the role ${piimg.role}`, {
          exitCode: EXIT.usage,
          hint: 'Take what that one was built on, and let the role extend the other one: `extends`.',
        });
      }
      requireAtRest(name, view);
      const facts = await imageFacts(name, root.files);
      await requireMountPoint(name, root.files);
      await requireTwo(name, root.files);
      await requireNobody(name, view);
      const firstBoot = await requireFirstBoot(name, view);
      notes.forEach((note) => step.note(`${name}: ${note}`));
      const entries = entriesOf(name, opened, (note) => step.note(`${name}: ${note}`));
      await makeImageLayer(cache, { key, title: 'image' }, bounded(name, opened, entries, ids));
      await writeImageRecord(cacheDir, sha256, { ...facts, ...(firstBoot && { firstBoot }) });
    });
    return { sha256, size };
  });
}

/** The root file system, then the files of the FAT at their place in it. */
async function* entriesOf(
  name: string,
  { read, ext4, fat }: OpenedImage,
  note: (text: string) => void,
): AsyncGenerator<TreeEntry> {
  let mountPoint = false;
  let hidden = 0;
  for await (const entry of treeOfExt4(read, ext4)) {
    const { header } = entry;
    if (header.path === BOOT && header.type === 'directory') mountPoint = true;
    if (header.path.startsWith(`${BOOT}/`)) hidden++;
    else yield entry;
  }
  if (!mountPoint) {
    throw new PiimgError(`${name} cannot be a base: it has no folder /${BOOT} for its boot partition`, {
      exitCode: EXIT.usage,
      hint: '`piimg inspect` says what is in it.',
    });
  }
  if (hidden > 0) note(`${hidden} files below /${BOOT} of the root partition are left out: nobody sees them`);
  yield* entriesOfFat(fat);
}

/** FAT knows no owners. */
async function* entriesOfFat(volume: FatVolume): AsyncGenerator<TreeEntry> {
  for await (const { path: place, entry } of walkFat(volume)) {
    const { directory, size, mtime } = entry;
    const header = { path: `${BOOT}/${place}`, mode: directory ? 0o755 : 0o644, uid: 0, gid: 0, mtime };
    yield directory
      ? { header: { ...header, type: 'directory', size: 0 }, content: async function* () {} }
      : { header: { ...header, type: 'file', size }, content: () => streamFromFat(volume, entry) };
  }
}

/** How many times the bytes of the file systems all files together may say they have: holes take none of them, but do so in a layer. */
const MOST_HOLES = 2;

/** Throws PiimgError naming the file with which the entries come to more than that. */
async function* bounded(
  name: string,
  { fat, ext4 }: OpenedImage,
  entries: AsyncIterable<TreeEntry>,
  ids: number,
): AsyncGenerator<TreeEntry> {
  let sum = 0;
  for await (const entry of entries) {
    const { path: place, size, uid, gid } = entry.header;
    if (Math.max(uid, gid) > ids) {
      throw new PiimgError(
        `${name} cannot be a base for this user: /${place} belongs to the id ${Math.max(uid, gid)}`,
        {
          exitCode: EXIT.usage,
          hint: `/etc/subuid and /etc/subgid give you ids up to ${ids} in an image. Build as root, or make the first range of yours in both larger.`,
        },
      );
    }
    if ((sum += size) > MOST_HOLES * (ext4.length + fat.length)) {
      throw new PiimgError(
        `${name} cannot be a base: with /${place} (${size} bytes) its files are longer than it by far`,
        {
          exitCode: EXIT.usage,
          hint: 'They have holes, or it is damaged. Remove them from the image first: truncate(1), fallocate -d.',
        },
      );
    }
    yield entry;
  }
}

/** What the journal holds is not in the files yet. */
function requireAtRest(name: string, { root }: ImageView): void {
  if (!root.facts.features.some((feature) => feature === 'needs_recovery' || feature === 'orphan_present')) return;
  throw new PiimgError(`${name} cannot be a base: its root file system was in use when it was copied`, {
    exitCode: EXIT.usage,
    hint: `Complete it with \`e2fsck -f\` on partition ${root.facts.partition} (losetup -P), then build again.`,
  });
}

/** Raspberry Pi OS mounted its boot partition at /boot until bullseye. */
async function requireMountPoint(name: string, files: Files): Promise<void> {
  const places = (await mountsOf(files)).filter(({ type }) => type === 'vfat').map(({ place }) => place);
  if (places.length === 0 || places.includes(`/${BOOT}`)) return;
  throw new PiimgError(`${name} cannot be a base: it mounts its boot partition at ${places[0]}, not at /${BOOT}`, {
    exitCode: EXIT.usage,
    hint: 'Take a newer image. `piimg customize` works on this one too.',
  });
}

/** What names a file system of a disk (fstab(5)). */
const OF_A_DISK = /^((PART)?(UUID|LABEL)=|\/dev\/(?!zram))/;

/** Throws PiimgError (usage) for a system that waits for a partition of its own beside the two: its cards have no other. */
async function requireTwo(name: string, files: Files): Promise<void> {
  const other = (await mountsOf(files)).find(
    ({ device, place, options }) =>
      OF_A_DISK.test(device) && place !== '/' && place !== `/${BOOT}` && !/\b(noauto|nofail)\b/.test(options),
  );
  if (other === undefined) return;
  throw new PiimgError(
    `${name} cannot be a base: it has more than two partitions, its /etc/fstab waits for ${other.device} (${other.place})`,
    {
      exitCode: EXIT.usage,
      hint: 'Cards of piimg have one to boot from and one for all else. Move what is on it there, and take its line out of fstab (or say nofail).',
    },
  );
}

/** Throws PiimgError (usage) for an image that somebody has given an identity: every machine that is built on it would have that one. */
async function requireNobody(name: string, view: ImageView): Promise<void> {
  const found = [
    ...(await view.boot.files.list('')).filter((file) => IDENTITIES.includes(file.toLowerCase())),
    // What cloud-init is told here counts for more than any meta-data.
    ...(await commandLine(view)).filter((word) => EARLIER.test(word)),
  ];
  if (found.length === 0) return;
  throw new PiimgError(`${name} cannot be a base: it carries the identity of a machine already (${found.join(', ')})`, {
    exitCode: EXIT.usage,
    hint: 'Take the image as its makers ship it. Cards get their identity when all is built: flash --node.',
  });
}

/** How its cards are told who they are: undefined by cloud-init, which finds piimg's slots. Throws PiimgError (usage) where nothing tells them. */
async function requireFirstBoot(name: string, view: ImageView): Promise<'own' | undefined> {
  const cloudInit = await cloudInitOf(view, { seeded: true });
  if (cloudInit?.against.length === 0) return undefined;
  const refuse = (why: string): PiimgError =>
    new PiimgError(`${name} cannot be a base: ${why}`, {
      exitCode: EXIT.usage,
      hint: 'Take an image whose first boot reads the boot partition, as Raspberry Pi OS. `piimg inspect` says how an image does.',
    });
  // One that is at work would be at odds with whatever else is told.
  if (cloudInit?.disabled === false)
    throw refuse(`its cloud-init would not find out who the machine is (${cloudInit.against.join('; ')})`);
  if ((await recognise(view)).format === 'none')
    throw refuse('nothing in it would be told on the first boot who it is');
  return 'own';
}

function otherImage(
  name: string,
  expected: { sha256: string; size: number },
  found: { sha256: string; size: number },
): PiimgError {
  return new PiimgError(`${name} is not the image it should be: ${found.size} bytes with the sha256 ${found.sha256}`, {
    detail: `expected: ${expected.size} bytes with the sha256 ${expected.sha256}`,
    hint: 'Build again. If it stays so, ask who keeps the list or the mirror, or name the image itself: --base FILE.',
  });
}
