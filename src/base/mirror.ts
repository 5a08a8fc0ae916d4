// Where Debian's packages come from. piimg has no mirror of its own: the user's setting, the base, then the host's apt.
import type { PackageBase } from './definition.ts';
import type { AptArchive } from '../host/apt.ts';
import { EXIT, PiimgError } from '../lib/errors.ts';

/** Suites of Debian's archive. Others use the same names, so the address counts too: mirrors keep the archive's folder names. */
const DEBIAN_SUITE = /^(bullseye|bookworm|trixie|forky|duke|sid|oldstable|stable|testing|unstable)(-security)?$/;

/**
 * The base's archives with their addresses. `mirror` is the user's (--mirror or PIIMG_MIRROR): the folder that holds `debian`
 * and `debian-security`, or the address of `debian` itself. `host` is what the host's apt
 * reads, `last` the address to take when all that names none. Throws PiimgError saying which setting is missing.
 */
export function locateArchives(
  base: Pick<PackageBase, 'archives' | 'mirror' | 'keyring'>,
  settings: { mirror?: string | undefined; last?: string | undefined },
  host: { uri: string; release: string }[],
): AptArchive[] {
  const mirror = settings.mirror ?? base.mirror;
  return base.archives.map((archive) => {
    const security = archive.suites.every((suite) => suite.endsWith('-security'));
    const uri = mirror === undefined ? fromHost(host, security) : fromMirror(mirror, security);
    const last = settings.last === undefined ? undefined : fromMirror(settings.last, security);
    const found = uri ?? last;
    if (found === undefined) {
      throw new PiimgError(`Where is the archive “${archive.name}” with ${archive.suites.join(', ')}?`, {
        exitCode: EXIT.usage,
        hint: 'The apt of this machine reads no Debian mirror: give one with --mirror URL or PIIMG_MIRROR, or install debootstrap, which knows one.',
      });
    }
    return { ...archive, uri: found, keyring: base.keyring };
  });
}

/**
 * The addresses of archives that an image names: those of Debian's own where `locateArchives` would find them, if it finds any; all
 * others as the image has them.
 */
export function locateImageArchives<A extends { uri: string; suites: string[]; debians: boolean }>(
  archives: A[],
  mirror: string | undefined,
  host: { uri: string; release: string }[],
): A[] {
  return archives.map((archive) => {
    if (!archive.debians) return archive;
    const security = archive.suites.every((suite) => suite.endsWith('-security'));
    return {
      ...archive,
      uri: (mirror === undefined ? fromHost(host, security) : fromMirror(mirror, security)) ?? archive.uri,
    };
  });
}

function fromHost(host: { uri: string; release: string }[], security: boolean): string | undefined {
  const folder = security ? /\/debian-security\/?$/ : /\/debian\/?$/;
  return host.find(({ uri, release }) => {
    return DEBIAN_SUITE.test(release) && release.endsWith('-security') === security && folder.test(uri);
  })?.uri;
}

function fromMirror(mirror: string, security: boolean): string {
  const debian = mirror.replace(/\/+$/, '').replace(/\/debian$/, '');
  return `${debian}/${security ? 'debian-security' : 'debian'}`;
}
