// The record that lies beside every image: what is in it, where, and from what it was made.

/** A package as it was resolved: enough to fetch the same bytes again, unless it is a file of the role's own. */
export interface LockedPackage {
  name: string;
  version: string;
  architecture: string;
  /** Empty, as the size is 0, for a package of the image that the base is. */
  sha256: string;
  size: number;
  /** Path below the archive's root (`pool/main/…`); absent for a .deb file of the role's. */
  filename?: string;
  /** Name of the apt source it came from; empty for a .deb file of the role's; `image` for what the base's image has. */
  source: string;
  /** A .deb file of the role's, which no archive has. */
  local?: true;
}

/** One entry of the MBR's partition table; LBA in sectors of 512 bytes. */
export interface Partition {
  number: 1 | 2;
  type: number;
  start: number;
  sectors: number;
  label: string;
  partuuid: string;
}

/** A file of fixed size in the FAT root whose bytes are replaced to give a card its identity. */
export interface SeedSlot {
  name: 'user-data' | 'meta-data' | 'network-config' | 'piimg.json';
  /** Byte offset in the image and length; both multiples of 4096. */
  offset: number;
  length: number;
}

export interface ImageManifest {
  version: 1;
  role: string;
  summary: string;
  base: string;
  /** Digest of the plan: also in /usr/lib/piimg/image.json and in the header in the gap. */
  buildId: string;
  image: {
    file: string;
    /** Apparent size; `allocated` is what the file system uses for it. */
    size: number;
    allocated: number;
    sha256: string;
    compressed?: { file: string; format: 'xz' | 'zst' | 'gz'; size: number; sha256: string };
    bmap: string;
  };
  boards: { name: string; boots: boolean; note: string }[];
  disk: { id: string; sectorSize: 512; partitions: Partition[] };
  slots: SeedSlot[];
  packages: LockedPackage[];
  removed: string[];
  layers: { title: string; key: string; digest: string; size: number }[];
  tools: Record<string, string>;
  notes: string[];
}
