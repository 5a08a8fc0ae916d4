// Reads a package-lock.json: the packages that belong on the image, and which of them npm's cache lacks.
import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** An entry of `packages`; the key is its folder (package-lock-json(5)). */
interface Entry {
  name?: string;
  version?: string;
  integrity?: string;
  optional?: boolean;
  /** A folder of the application's own (a workspace), at `resolved`. */
  link?: boolean;
  resolved?: string;
  os?: string | string[];
  cpu?: string | string[];
  libc?: string | string[];
  dependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
  peerDependencies?: Record<string, string>;
}

/** A package to be downloaded. */
export interface NpmPackage {
  /** Its folder below the application's. */
  path: string;
  /** `NAME@VERSION` */
  label: string;
  integrity: string;
  /** npm goes on without it when it cannot be had. */
  optional: boolean;
}

/**
 * The packages with a digest that `npm ci --omit=dev` installs for linux, arm64 and glibc: what the application depends on,
 * whatever that depends on, but nothing that only a package for another machine asks for.
 */
export function packagesFor(lock: string): NpmPackage[] {
  const { packages } = JSON.parse(lock) as { packages: Record<string, Entry> };
  const found = new Map<string, Entry>();
  const visit = (path: string | undefined): void => {
    const entry = path === undefined ? undefined : packages[path];
    if (path === undefined || entry === undefined || found.has(path) || !fits(entry)) return;
    found.set(path, entry);
    if (entry.link) return visit(entry.resolved);
    const { dependencies, optionalDependencies, peerDependencies } = entry;
    for (const name of Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies })) {
      visit(placeOf(name, path, packages));
    }
  };
  visit('');
  for (const [path, { link }] of Object.entries(packages)) if (link) visit(path);
  return [...found].flatMap(([path, { name, version, integrity, optional = false }]) =>
    integrity === undefined
      ? []
      : [{ path, label: `${name ?? path.replace(/^.*node_modules\//, '')}@${version}`, integrity, optional }],
  );
}

/** Which of `packages` are not in an npm cache. Content lies there under its sha512; what has an older digest only is left to npm to find. */
export function missingIn(cache: string, packages: NpmPackage[]): NpmPackage[] {
  return packages.filter(({ integrity }) => {
    const digest = /sha512-(\S+)/.exec(integrity)?.[1];
    if (digest === undefined) return false;
    const hex = Buffer.from(digest, 'base64').toString('hex');
    return !existsSync(join(cache, '_cacache/content-v2/sha512', hex.slice(0, 2), hex.slice(2, 4), hex.slice(4)));
  });
}

/** The folder that `require(name)` from `path` finds, of those in the lock. */
function placeOf(name: string, path: string, packages: Record<string, Entry>): string | undefined {
  for (let folder = path; ; folder = folder.replace(/(^|\/)[^/]+$/, '')) {
    const place = `${folder === '' ? '' : `${folder}/`}node_modules/${name}`;
    if (place in packages) return place;
    if (folder === '') return undefined;
  }
}

/** npm's own rule (npm-install-checks): named, or not excluded where only exclusions are named. */
function fits({ os, cpu, libc }: Entry): boolean {
  const allows = (words: string | string[] | undefined, ours: string): boolean => {
    const list = [words ?? []].flat();
    if (list.includes(`!${ours}`)) return false;
    return list.every((word) => word.startsWith('!')) || list.includes(ours) || list.includes('any');
  };
  return allows(os, 'linux') && allows(cpu, 'arm64') && allows(libc, 'glibc');
}
