// Reads every file of an image's two file systems by the kernel's and mtools' own hands, independent of what wrote them.
import { createHash } from 'node:crypto';
import { mkdir, open, readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { extract } from 'tar-stream';
import { dieWithParent, run } from '../../src/host/exec.ts';
import { parseMbr, SECTOR } from '../../src/image/mbr.ts';
import { readerOf } from '../../src/image/ranges.ts';
import { elfMachine } from '../../src/layers/guard.ts';
import { asRoot } from './as-root.ts';

export interface ImageFile {
  type: string;
  mode: number;
  /** `uid:gid`. */
  owner: string;
  target: string | undefined;
  capability: string | undefined;
  sha256: string | undefined;
  /** ELF's e_machine. */
  machine: number | undefined;
  /** Content of the paths that were asked for. */
  text?: string;
  /** Which of the words it holds. */
  words?: string[];
}

/** Mounts the root file system where only this process sees it, and hands it over as a tar. */
const MOUNT = `
mount -t tmpfs tmpfs /mnt
mkdir /mnt/root
mount -t ext4 -o "ro,noload,loop,offset=$2,sizelimit=$3" "$1" /mnt/root
exec tar --create --format=posix --numeric-owner --xattrs --xattrs-include=security.capability --directory=/mnt/root .
`;

/** Where a partition lies in bytes. */
export async function partitionOf(image: string, number: 1 | 2): Promise<{ offset: number; length: number }> {
  const file = await open(image);
  const { entries } = parseMbr(await readerOf(file)(0, SECTOR));
  await file.close();
  const found = entries.find((entry) => entry.number === number);
  return { offset: (found?.start ?? 0) * SECTOR, length: (found?.sectors ?? 0) * SECTOR };
}

/**
 * Every file of the root file system by path (`/etc/fstab`): digest, ELF machine, and which of `words` it holds. Content is
 * kept where `keep` matches.
 */
export async function readRoot(
  image: string,
  { keep = /^$/, words = [] }: { keep?: RegExp; words?: string[] } = {},
): Promise<Map<string, ImageFile>> {
  const { offset, length } = await partitionOf(image, 2);
  const command = asRoot(['unshare', '--mount', '--propagation', 'private', 'sh', '-euc', MOUNT, 'sh', image]);
  const tar = run(dieWithParent([...command, String(offset), String(length)]), {
    stdout: 'stream',
    signal: AbortSignal.timeout(5 * 60_000),
  });
  const files = new Map<string, ImageFile>();
  const needles = words.map((word) => Buffer.from(word));
  const longest = Math.max(1, ...needles.map((needle) => needle.length));
  const entries = tar.stdout.pipe(extract());
  const reading = (async () => {
    for await (const entry of entries) {
      const { name, type, mode, uid, gid, linkname, pax } = entry.header;
      const file = path.join('/', name);
      const hash = createHash('sha256');
      const found = new Set<string>();
      const kept: Buffer[] = [];
      let head = Buffer.alloc(0);
      let tail = Buffer.alloc(0);
      for await (const chunk of entry as AsyncIterable<Buffer>) {
        hash.update(chunk);
        if (head.length < 64) head = Buffer.concat([head, chunk.subarray(0, 64)]);
        if (keep.test(file)) kept.push(chunk);
        // A word may lie across two chunks.
        const seam = Buffer.concat([tail, chunk.subarray(0, longest)]);
        for (const [index, needle] of needles.entries()) {
          if (chunk.includes(needle) || seam.includes(needle)) found.add(words[index] ?? '');
        }
        tail = Buffer.from(chunk.subarray(-longest));
      }
      files.set(file, {
        type,
        mode,
        owner: `${uid}:${gid}`,
        target: linkname ?? undefined,
        capability: (pax as Record<string, string> | undefined)?.['SCHILY.xattr.security.capability'],
        sha256: type === 'file' ? hash.digest('hex') : undefined,
        machine: elfMachine(head),
        ...(kept.length > 0 && { text: Buffer.concat(kept).toString('latin1') }),
        ...(found.size > 0 && { words: [...found] }),
      });
    }
  })();
  await Promise.all([tar, reading]);
  return files;
}

/** Paths whose file is not the same in both, or only in one; folders' times and the like are no part of a file here. */
export function differentFiles<T>(one: Map<string, T>, other: Map<string, T>): string[] {
  const paths = new Set([...one.keys(), ...other.keys()]);
  return [...paths].filter((file) => !isDeepStrictEqual(one.get(file), other.get(file))).sort();
}

/** Digest by path (`config.txt`, `overlays/…`) of every file of the boot partition, read by mtools into `folder`. */
export async function readBoot(image: string, folder: string): Promise<Map<string, string>> {
  const { offset } = await partitionOf(image, 1);
  await mkdir(folder);
  await run(['mcopy', '-s', '-n', '-Q', '-i', `${image}@@${offset}`, '::*', folder], {
    env: { MTOOLS_SKIP_CHECK: '1' },
  });
  const digests = new Map<string, string>();
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const file = path.join(entry.parentPath, entry.name);
    if (!entry.isFile()) continue;
    const digest = createHash('sha256')
      .update(await readFile(file))
      .digest('hex');
    digests.set(path.relative(folder, file), digest);
  }
  return digests;
}
