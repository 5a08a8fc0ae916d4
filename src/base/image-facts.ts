// What a base must know of an image's own system: its release, its packages, and where it gets more of them.
import { EXIT, PiimgError } from '../lib/errors.ts';
import type { Files } from '../vendor/view.ts';
import { sourcesIn, type AptSourceEntry } from './apt-sources.ts';
import { binaryKeys } from './keyring.ts';

/** An archive of the image's; `keys` are those it is signed by, in binary. What the names say is the image's claim: nothing that runs here is trusted for it. */
export interface ImageArchive {
  name: string;
  uri: string;
  suites: string[];
  components: string[];
  keys: Buffer;
  /** Signed by Debian's keys, by the names of their files: its own archive, of which there are mirrors, wherever it is. */
  debians: boolean;
}

export interface ImageFacts {
  /** `trixie`. */
  suite: string;
  /** dpkg's status file. */
  status: string;
  /** Name, with `:ARCHITECTURE` where that is another one's → version. */
  packages: Record<string, string>;
  archives: ImageArchive[];
}

/** Debian's suites whose tools can make such an image: mke2fs reads a tar since e2fsprogs 1.47.1, and bookworm has 1.47.0. */
const SUITES = ['trixie'];

/** A desktop's status file has three megabytes. */
const LARGEST = 64 << 20;

/**
 * Reads the facts of a root file system. `name` is what messages call the image. Throws PiimgError (usage): no Debian system, one for
 * another architecture or of a suite whose tools cannot make an image, sources without a key.
 */
export async function imageFacts(name: string, files: Files): Promise<ImageFacts> {
  const text = async (path: string): Promise<string> => (await files.read(path, LARGEST))?.toString('utf8') ?? '';
  const status = await text('var/lib/dpkg/status');
  const installed = stanzasOf(status).filter((stanza) => / installed$/m.test(stanza.get('Status') ?? ''));
  const dpkg = installed.find((stanza) => stanza.get('Package') === 'dpkg');
  if (!dpkg) {
    throw usage(
      `${name} cannot be a base: it is no Debian system, as it has no dpkg`,
      'piimg inspect says what is in it.',
    );
  }
  const architecture = dpkg.get('Architecture') ?? '';
  if (architecture !== 'arm64') {
    throw usage(
      `${name} cannot be a base: its system is for ${architecture}, and roles are built for arm64`,
      'Take the 64-bit image. `piimg inspect` and `piimg customize` work on this one too.',
    );
  }
  const release = await text('etc/os-release');
  const suite = /^VERSION_CODENAME="?([\w.-]+)"?$/m.exec(release)?.[1] ?? '';
  if (!SUITES.includes(suite)) {
    const why = suite === '' ? 'its os-release names no VERSION_CODENAME' : `it is of ${suite}`;
    throw usage(
      `${name} cannot be a base: ${why}, and the tools that make an image are those of ${SUITES.join(', ')}`,
      'Take a newer image. `piimg inspect` and `piimg customize` work on this one too.',
    );
  }
  const packages = installed.map((stanza): [string, string] => {
    const own = stanza.get('Architecture') ?? '';
    const suffix = own === 'arm64' || own === 'all' ? '' : `:${own}`;
    return [`${stanza.get('Package') ?? ''}${suffix}`, stanza.get('Version') ?? ''];
  });
  return { suite, status, packages: Object.fromEntries(packages), archives: await archivesOf(name, files) };
}

/** The first lines of each field. */
function stanzasOf(status: string): Map<string, string>[] {
  return status.split(/\n\n+/).map((stanza) => {
    return new Map(
      [...stanza.matchAll(/^(Package|Status|Architecture|Version): (.*)$/gm)].map(([, key = '', value = '']) => [
        key,
        value,
      ]),
    );
  });
}

/** Folder of apt's own settings (apt_preferences(5) and so on lie there too). */
const FOLDER = 'etc/apt/sources.list.d';

async function archivesOf(name: string, files: Files): Promise<ImageArchive[]> {
  const names = (await files.list(FOLDER)).filter((file) => /^[\w.-]+\.(list|sources)$/.test(file));
  const archives: ImageArchive[] = [];
  for (const file of ['etc/apt/sources.list', ...names.map((found) => `${FOLDER}/${found}`)]) {
    const text = (await files.read(file))?.toString('utf8') ?? '';
    for (const { signedBy, ...source } of sourcesIn(file, text)) {
      const { keys, debians } = await keysFor(files, signedBy);
      if (keys.length === 0) {
        throw usage(
          `${name}: /${file} names ${source.uri}, and no key in the image that it is signed by`,
          'piimg reads signed archives only. Customize the image first, or choose another one.',
        );
      }
      const called = (file.split('/').at(-1) ?? '').replace(/\.(list|sources)$/, '');
      // With a colon: no source of a role's can be called so.
      const count = archives.filter((archive) => archive.name.startsWith(`image:${called}`)).length;
      archives.push({ name: `image:${called}${count === 0 ? '' : `.${count + 1}`}`, ...source, keys, debians });
    }
  }
  return archives;
}

/** Where apt looks for keys of sources that do not say by which they are signed (apt-secure(8)). */
const TRUSTED = 'etc/apt/trusted.gpg.d';

/** As the package debian-archive-keyring calls its files: the whole, and a file for each key of a release. */
const DEBIANS = /\/debian-archive-[\w-]+\.(gpg|pgp|asc)$/;

async function keysFor(
  files: Files,
  signedBy: AptSourceEntry['signedBy'],
): Promise<Pick<ImageArchive, 'keys' | 'debians'>> {
  if (!Array.isArray(signedBy)) return { keys: binaryKeys(Buffer.from(signedBy.key)), debians: false };
  const trusted = (await files.list(TRUSTED)).filter((file) => /\.(gpg|asc)$/.test(file));
  const own = signedBy.filter((path) => path.startsWith('/')).map((path) => path.slice(1));
  // A fingerprint says which of the trusted keys; those of one image need no telling apart.
  const paths = own.length > 0 ? own : ['etc/apt/trusted.gpg', ...trusted.map((file) => `${TRUSTED}/${file}`)];
  const found = await Promise.all(
    paths.map(async (path) => {
      const keys = await files.read(path);
      return keys ? [{ keys: binaryKeys(keys), debians: DEBIANS.test(path) }] : [];
    }),
  );
  const all = found.flat();
  return { keys: Buffer.concat(all.map(({ keys }) => keys)), debians: all.every(({ debians }) => debians) };
}

const usage = (message: string, hint: string): PiimgError => new PiimgError(message, { exitCode: EXIT.usage, hint });
