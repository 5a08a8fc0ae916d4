// Pure: which partition the firmware reads, and which one is the root. Neither labels nor numbers decide: both differ between makers.
import { PiimgError } from '../lib/errors.ts';
import type { Ext4Facts, FatFacts, Partition } from './view.ts';

/** What the firmware, or UEFI in its place, takes from the partition it boots from (Raspberry Pi documentation, "Boot folder contents"). */
const BOOT_FILES = [
  /^config\.txt$/,
  /^cmdline\.txt$/,
  /^bootcode\.bin$/,
  /^start\w*\.elf$/,
  /^kernel\w*\.img$/,
  /^efi$/,
  /^autoboot\.txt$/,
];

/** A FAT with the names in its root folder. */
export interface FatCandidate {
  facts: FatFacts;
  names: string[];
}

/** The FAT with most of what the firmware looks for; the first of several with as much. Throws PiimgError where none has any. */
export function chooseBoot<T extends FatCandidate>(candidates: T[]): { chosen: T; why: string } {
  const found = candidates.map((chosen) => {
    const has = chosen.names.filter((name) => BOOT_FILES.some((pattern) => pattern.test(name.toLowerCase())));
    return { chosen, has };
  });
  const [best] = found.sort((a, b) => b.has.length - a.has.length);
  if (best === undefined || best.has.length === 0) {
    throw new PiimgError(
      candidates.length === 0
        ? 'The image has no FAT partition to boot from'
        : 'No FAT partition of the image holds what a Raspberry Pi boots',
      { hint: 'piimg reads images for Raspberry Pis: a FAT with config.txt and a kernel, and an ext4.' },
    );
  }
  return { chosen: best.chosen, why: `it has ${best.has.join(', ')}` };
}

/** The value of `root=` on a kernel's command line; the last one counts. */
export function rootOption(cmdline: string): string | undefined {
  return cmdline
    .split(/\s+/)
    .findLast((word) => word.startsWith('root='))
    ?.slice('root='.length);
}

/** The ext4 that the command line names; else the only one; else the largest. Throws PiimgError where there is none. */
export function chooseRoot<T extends { facts: Ext4Facts }>(
  candidates: T[],
  { cmdline, partitions }: { cmdline: string; partitions: Partition[] },
): { chosen: T; why: string } {
  const root = rootOption(cmdline);
  const partuuid = (number: number) => partitions.find((partition) => partition.number === number)?.partuuid;
  const named = candidates.find(({ facts }) => root !== undefined && names(root, facts, partuuid(facts.partition)));
  if (named) return { chosen: named, why: `cmdline.txt says root=${root}` };
  const [largest, ...others] = [...candidates].sort((a, b) => b.facts.length - a.facts.length);
  if (largest === undefined) {
    throw new PiimgError('The image has no ext4 partition for its system', {
      hint: 'piimg reads images whose system is on an ext4, as that of Raspberry Pi OS is.',
    });
  }
  const told = root === undefined ? 'cmdline.txt names none' : `cmdline.txt says root=${root}, which is none of them`;
  const rank = others.length === 0 ? 'the only ext4' : `the largest of ${candidates.length} ext4`;
  return { chosen: largest, why: `${rank}: ${told}` };
}

/** Linux's ways to name a root: init/do_mounts.c, and LABEL and UUID by initramfs-tools. */
function names(root: string, facts: Ext4Facts, partuuid: string | undefined): boolean {
  const [, key = '', value = ''] = /^(PARTUUID|UUID|LABEL)="?([^"]*)"?$/i.exec(root) ?? [];
  if (/^PARTUUID$/i.test(key)) return value.toLowerCase() === partuuid?.toLowerCase();
  if (/^UUID$/i.test(key)) return value.toLowerCase() === facts.uuid;
  if (/^LABEL$/i.test(key)) return value === facts.label;
  const [, number] = /^\/dev\/(?:mmcblk\d+p|nvme\d+n\d+p|[sv]d[a-z])(\d+)$/.exec(root) ?? [];
  return Number(number) === facts.partition;
}
