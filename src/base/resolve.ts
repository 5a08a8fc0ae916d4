// Asks apt which packages a request comes to, without downloading or installing any.
import { existsSync } from 'node:fs';
import type { LockedPackage } from '../image/manifest.ts';
import type { Apt, AptArchive } from '../host/apt.ts';
import { EXIT, PiimgError } from '../lib/errors.ts';
import { nearest } from '../lib/suggest.ts';

export interface Resolution {
  /** In the order in which apt would unpack them. */
  packages: LockedPackage[];
  /** Installed before, to be removed. */
  removed: string[];
}

/** A package that was asked for and cannot be had: the `cause` of the error is `{ wrong }`, for whoever knows where it is written. */
export interface WrongPackage {
  name: string;
  message: string;
  /** What was probably meant. */
  suggestion?: string;
  /** What there is instead. */
  allowed?: string;
}

/** `Inst NAME [OLD] (VERSION ARCHIVE… [ARCH])` of `apt-get --simulate`. */
const INST = /^Inst (\S+) (?:\[[^\]]*\] )?\((\S+) .*\[([^\]]+)\]\)/;

/**
 * Resolves an apt request (`nginx`, `nginx=1.26`, `?essential`, `vim-`). Throws PiimgError: a package that does not exist, with
 * near names; conflicts in apt's words.
 */
export async function resolvePackages(apt: Apt, request: string[], archives: AptArchive[]): Promise<Resolution> {
  if (request.length === 0) return { packages: [], removed: [] };
  const words = ['install', '--no-remove', ...request];
  if (request.some((word) => word.endsWith('-'))) words.splice(1, 1);
  await requireExactNames(apt, request);
  const simulated = await explained(apt, () => apt(['apt-get', '-q', '-s', ...words]));
  const printed = await apt(['apt-get', '-q', '--print-uris', ...words]);
  const uris = new Map<string, { uri: string; size: number; sha256: string }>();
  for (const line of printed.stdout.split('\n')) {
    const match = /^'(.+)' (\S+) (\d+) SHA256:([0-9a-f]{64})$/.exec(line);
    if (match) uris.set(match[2] ?? '', { uri: match[1] ?? '', size: Number(match[3]), sha256: match[4] ?? '' });
  }
  const lines = simulated.stdout.split('\n');
  const packages = lines.flatMap((line) => {
    const match = INST.exec(line);
    if (!match) return [];
    const [, name = '', version = '', architecture = ''] = match;
    // A .deb file of the role's: it is unpacked from where it lies, only what it depends on is locked.
    if (line.includes(' local-deb ')) return [];
    // apt names the file so (strutl.cc QuoteString on version: `:` becomes %3a).
    const file = `${name.replace(/:.*/, '')}_${version.replaceAll(':', '%3a')}_${architecture}.deb`;
    const found = uris.get(file);
    if (!found) throw new PiimgError(`apt names ${name} ${version}, but no archive gives a file with a sha256 for it`);
    const archive = archives.find(({ uri }) => found.uri.startsWith(withSlash(uri)));
    if (!archive) throw new PiimgError(`${found.uri} belongs to none of the archives`);
    const filename = decodeURIComponent(found.uri.slice(withSlash(archive.uri).length));
    const { sha256, size } = found;
    return [{ name, version, architecture, sha256, size, filename, source: archive.name }];
  });
  return { packages, removed: lines.flatMap((line) => /^(?:Remv|Purg) (\S+)/.exec(line)?.[1] ?? []) };
}

/**
 * dpkg status stanzas that make apt take `packages` for installed. What the archive no longer lists is read from the stored
 * .deb. Throws PiimgError naming a package that is in neither.
 */
export async function asInstalled(
  apt: Apt,
  packages: LockedPackage[],
  stored: (sha256: string) => string,
): Promise<string> {
  const wanted = packages.map(({ name, version }) => `${name}=${version}`);
  const { stdout } = await apt(['apt-cache', 'show', ...wanted], { okCodes: [0, 100] });
  const listed = new Map(stdout.split(/\n\n+/).map((stanza) => [nameAndVersion(stanza), stanza.trim()]));
  const stanzas: string[] = [];
  for (const { name, version, sha256 } of packages) {
    const stanza = listed.get(`${name}=${version}`) ?? (await storedStanza(apt, stored(sha256)));
    if (stanza === undefined) {
      throw new PiimgError(`${name} ${version} has left the archive and is not in the store`, {
        hint: '`piimg update` resolves everything again.',
      });
    }
    stanzas.push(stanza);
  }
  return `${stanzas.join('\n\n')}\n`
    .replace(/^(Package: .*)$/gm, '$1\nStatus: install ok installed')
    .replace(/^Description.*\n( .*\n)*/gm, '');
}

function nameAndVersion(stanza: string): string {
  const field = (name: string): string => new RegExp(`^${name}: (.*)$`, 'm').exec(stanza)?.[1] ?? '';
  return `${field('Package')}=${field('Version')}`;
}

async function storedStanza(apt: Apt, deb: string): Promise<string | undefined> {
  if (!existsSync(deb)) return undefined;
  return (await apt(['dpkg-deb', '--field', deb])).stdout.trim();
}

/** Says in our words what apt says of names: near ones, versions, providers. */
async function explained<T>(apt: Apt, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof PiimgError)) throw error;
    const detail = error.detail ?? '';
    const unknown = [
      ...detail.matchAll(/Unable to locate package (\S+)|Couldn't find any package by \S+ '([^']+)'/g),
    ].map((match) => match[1] ?? match[2] ?? '');
    const noVersion = /Version '(.+)' for '(.+)' was not found/.exec(detail);
    if (noVersion) {
      const [, version = '', name = ''] = noVersion;
      const found = (await versions(apt, name)).join(', ');
      const wrong = [{ name, message: `\`${name}\` has no version ${version} in the archive`, allowed: found }];
      throw new PiimgError(`Package ${name} has no version ${version} in the archive`, {
        exitCode: EXIT.usage,
        hint: `It has: ${found}`,
        cause: { wrong },
      });
    }
    if (unknown.length === 0) {
      const without = [...detail.matchAll(/Package '([^']+)' has no installation candidate/g)];
      if (without.length > 0) throw await noCandidates(apt, [...new Set(without.map(([, name = '']) => name))]);
      const reasons = detail.split('\n').filter((line) => !/^(Reading|Building)/.test(line));
      throw new PiimgError('apt cannot install these packages together', { detail: reasons.join('\n'), cause: error });
    }
    throw await noSuchPackages(apt, [...new Set(unknown)]);
  }
}

/** Where no package has a name with `.` or `+` in it, apt takes that for a pattern: `nginx.` would install all that match. */
async function requireExactNames(apt: Apt, request: string[]): Promise<void> {
  const names = request.flatMap((word) => /^([a-z0-9][a-z0-9+.-]*?)(-|=.*)?$/.exec(word)?.[1] ?? []);
  const unknown: string[] = [];
  for (const name of names.filter((candidate) => /[.+]/.test(candidate))) {
    const { stdout } = await apt(['apt-cache', 'pkgnames', '--all-names', name]);
    if (!stdout.split('\n').includes(name)) unknown.push(name);
  }
  if (unknown.length > 0) throw await noSuchPackages(apt, unknown);
}

async function noSuchPackages(apt: Apt, unknown: string[]): Promise<PiimgError> {
  const names = (await apt(['apt-cache', 'pkgnames'])).stdout.split('\n');
  const wrong = unknown.map((name): WrongPackage => {
    const suggestion = nearest(name, names);
    return { name, message: `no archive has a package \`${name}\``, ...(suggestion !== undefined && { suggestion }) };
  });
  return new PiimgError(`No archive has a package ${unknown.map((name) => `“${name}”`).join(', ')}`, {
    exitCode: EXIT.usage,
    hint: wrong
      .flatMap(({ suggestion }) => (suggestion === undefined ? [] : [`Did you mean ${suggestion}?`]))
      .join(' '),
    cause: { wrong },
  });
}

/** Names that packages speak of, but which are none themselves: several provide them, or the archive has it no more. */
async function noCandidates(apt: Apt, names: string[]): Promise<PiimgError> {
  const provided = await Promise.all(names.map(async (name) => ({ name, by: await providersOf(apt, name) })));
  const virtual = provided.filter(({ by }) => by.length > 0);
  if (virtual.length === 0) return noSuchPackages(apt, names);
  const wrong = virtual.map(({ name, by }): WrongPackage => {
    return { name, message: `\`${name}\` is a virtual package`, allowed: by.join(', ') };
  });
  const quoted = virtual.map(({ name }) => `“${name}”`).join(', ');
  return new PiimgError(`${quoted} ${virtual.length === 1 ? 'is a virtual package' : 'are virtual packages'}`, {
    exitCode: EXIT.usage,
    detail: virtual.map(({ name, by }) => `${name} is provided by ${by.join(', ')}`).join('\n'),
    hint: 'Name the one you want in its place.',
    cause: { wrong },
  });
}

async function providersOf(apt: Apt, name: string): Promise<string[]> {
  const { stdout } = await apt(['apt-cache', 'showpkg', name]);
  const [, lines = ''] = stdout.split(/^Reverse Provides: *$/m);
  return [...new Set(lines.split('\n').flatMap((line) => line.trim().split(' ')[0] || []))].sort();
}

async function versions(apt: Apt, name: string): Promise<string[]> {
  const { stdout } = await apt(['apt-cache', 'madison', name]);
  return [...new Set(stdout.split('\n').flatMap((line) => line.split('|')[1]?.trim() ?? []))];
}

function withSlash(uri: string): string {
  return uri.endsWith('/') ? uri : `${uri}/`;
}
