// What the commands besides build ask of the engine, and what they get back: plain data, printed by src/cli/commands.
import type { BaseOptions } from './base-choice.ts';
import type { LockedPackage } from '../image/manifest.ts';

export interface PlanOptions extends BaseOptions {
  role: string;
  /** Image whose lock file is meant, for a role that comes with piimg. */
  out?: string;
  size?: number;
  offline?: boolean;
  mirror?: string;
}

export interface PlanResult {
  /** Digest of the plan: the build id of the image it leads to. */
  buildId: string;
  /** What is built in which order; `cached` when it need not be. */
  layers: { title: string; key: string; cached: boolean }[];
  packages: number;
  /** The plan itself, as `--json` prints it. */
  plan: unknown;
}

export type UpdateOptions = BaseOptions & Pick<PlanOptions, 'role' | 'out' | 'mirror'>;

/** Packages that differ between two sets. */
export interface PackageChanges {
  added: Pick<LockedPackage, 'name' | 'version'>[];
  removed: Pick<LockedPackage, 'name' | 'version'>[];
  changed: { name: string; from: string; to: string }[];
}

export interface UpdateResult {
  lockPath: string;
  /** Of a base that is an image, when it is another one now. */
  image?: { from?: string; to: string };
  /** Of the image. */
  packages: PackageChanges;
  /** Of the native tools on a machine like this one. */
  tools: PackageChanges;
  /** What npm add-ons are compiled with. */
  buildPackages: PackageChanges;
}

/** Files that differ between two images, by absolute path. */
export interface FileChanges {
  added: string[];
  removed: string[];
  changed: string[];
  /** The same but for when they were changed; layers do not tell. */
  onlyTime: string[];
}

export interface DiffResult {
  packages: PackageChanges;
  /** Absent when one side is a plan, which has no files yet. `from`: what was read, the images or the layers they were made of. */
  files?: FileChanges & { from: 'images' | 'layers' };
}

export interface ShellOptions extends Omit<PlanOptions, 'size'> {
  /** Command and arguments; empty for an interactive shell. */
  command: string[];
}

export interface CacheEntry {
  kind: string;
  /** Digest or file name. */
  key: string;
  title: string;
  /** Bytes. */
  size: number;
  /** When a build last used it: ISO date. */
  used: string;
}

export interface PruneResult {
  removed: CacheEntry[];
  /** Bytes. */
  freed: number;
}

export interface VerifyResult {
  checked: number;
  damaged: { path: string; reason: string }[];
}
