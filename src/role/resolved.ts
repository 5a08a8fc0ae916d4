// A role with everything it extends and mixes in merged: plain data, what every later stage reads.
import type { HealthCheck } from './schema/health.ts';
import type { ProvisionStep } from './schema/provision.ts';

/** A file of the user's, found and read while the role was resolved. */
export interface SourceFile {
  /** Absolute path on this machine; never part of a digest. */
  path: string;
  sha256: string;
  size: number;
}

/** One file, directory or link that an overlay or an inline `files:` entry puts into the image, rendered. */
export interface OverlayEntry {
  /** Path in the image without leading slash: `etc/nginx/nginx.conf`; below `boot/firmware/` it is on the FAT. */
  path: string;
  type: 'file' | 'directory' | 'symlink';
  /** Permission bits, e.g. 0o644. */
  mode: number;
  /** User and group by name or number; names are looked up in the image's own passwd and group. */
  owner: string;
  group: string;
  /** Link target, for symlinks. */
  target?: string;
  /** Where the bytes are: a file of the user's, or text rendered or written in the role. */
  source?: SourceFile;
  content?: string;
  /** Overlay name, or `role NAME` for inline files: for error messages. */
  from: string;
}

export interface AptSource {
  name: string;
  uris: string[];
  suites: string[];
  components: string[];
  keyring: SourceFile;
}

export interface NpmApp {
  /** Folder with package.json and package-lock.json: all its files are copied. */
  source: string;
  /** Every file below `source` but node_modules, sorted by path. */
  files: { path: string; mode: number; file: SourceFile }[];
  /** Absolute folder in the image. */
  destination: string;
  owner: string;
  group: string;
  /** Packages whose install scripts run in the arm64 sandbox (`npm rebuild`). */
  rebuild: string[];
}

export interface Artifact {
  url: string;
  sha256: string;
  destination: string;
  mode: number;
  owner: string;
  group: string;
}

export interface RunStep {
  name: string;
  /** Shell script, run by `/bin/sh -eu` as root inside the image, working directory /. */
  script: string;
  network: boolean;
  env: Record<string, string>;
}

export interface User {
  name: string;
  system: boolean;
  uid?: number;
  group?: string;
  groups: string[];
  home: string;
  shell: string;
  comment: string;
}

export interface Group {
  name: string;
  system: boolean;
  gid?: number;
}

/** One section of config.txt additions; `filter` is what stands between the brackets: `all`, `pi4`, `cm4`. */
export interface ConfigSection {
  filter: string;
  lines: string[];
}

export interface ResolvedRole {
  version: 1;
  name: string;
  summary: string;
  /** Name of the base definition (images/bases/NAME.yaml). */
  base: string;
  /** The role files this one was merged from, outermost last. */
  sources: SourceFile[];
  variables: Record<string, string | number | boolean>;
  packages: { name: string; version?: string }[];
  removePackages: string[];
  /** Packages whose scripts run without native tools. */
  emulate: string[];
  debs: SourceFile[];
  debconf: { package: string; question: string; type: string; value: string }[];
  aptSources: AptSource[];
  npm: NpmApp[];
  artifacts: Artifact[];
  /** Overlay files and inline files, sorted by path, later ones having replaced earlier ones. */
  files: OverlayEntry[];
  run: RunStep[];
  users: User[];
  groups: Group[];
  units: { enable: string[]; disable: string[]; mask: string[] };
  /** Sections for config.txt, words for cmdline.txt. */
  config: ConfigSection[];
  cmdline: string[];
  timezone: string;
  locale: string;
  keymap: string;
  /** Validated here, carried out by the first-boot agent and by tests. */
  provision: ProvisionStep[];
  health: HealthCheck[];
}
