// Who each card is to be: its seed, its record, and whether anybody could log in to it.
import { homedir } from 'node:os';
import path from 'node:path';
import { CARD_RECORD } from '../../flash/card-record.ts';
import type { Source } from '../../flash/source/source.ts';
import type { Patch } from '../../flash/write/types.ts';
import { hasPlaces, type ImageHeader } from '../../image/header.ts';
import { EXIT, PiimgError } from '../../lib/errors.ts';
import type { Given } from '../../seed/given.ts';
import type { User } from '../../seed/node.ts';
import { loadNodes } from '../../seed/nodes-file.ts';
import { letsAnybodyIn } from '../../vendor/logins.ts';
import type { SearchPaths } from '../context.ts';
import { cardSeeds, machinesFor, type CardSeed } from '../flash-seeds.ts';
import { readImageSeed, readOwnSeed, type ImageSeed } from '../image-seed.ts';
import { withImageView } from '../image-view.ts';
import { loginOf, type Logins } from '../logins.ts';
import { readGiven, type NodeFlags } from '../seed-options.ts';
import { findPublicKeys } from '../ssh-keys.ts';
import { ask, somebodyIsThere } from './ask.ts';
import { toldLater } from './closed.ts';
import { foreignIdentities, requirePlain } from './foreign.ts';
import { isPlain, shownName, type FlashImage } from './image.ts';
import { newRecord } from './record.ts';

export interface Identity {
  node: string | undefined;
  cardId: string | undefined;
  /** Bytes that the card has instead of the image's; where it keeps its own when nothing is written. */
  patches: Patch[];
  /** `pi@pi-web1`, where somebody is known to get in. */
  login: string | undefined;
  knownHosts: string[];
  warnings: string[];
  /** Nobody else may read what is written. */
  secret: boolean;
}

export interface IdentityFlags extends NodeFlags {
  from?: string;
  login: boolean;
}

/** Of cards that are compared, or written as the image is; `places` are what each has of its own. */
export const keptIdentity = (places: Patch[]): Identity => ({
  node: undefined,
  cardId: undefined,
  patches: places,
  login: undefined,
  knownHosts: [],
  warnings: [],
  secret: false,
});

/** One for each of `names`, in their order. Throws PiimgError (usage) for all that is wrong with them, and where nobody could log in. */
export async function prepareIdentities(
  image: FlashImage,
  names: (string | undefined)[],
  flags: IdentityFlags,
  { search, signal }: { search: SearchPaths; signal: AbortSignal },
): Promise<Identity[]> {
  const given = await readGiven(flags);
  const nodes = flags.from === undefined ? undefined : await loadNodes(path.resolve(flags.from));
  const wanted = nodes !== undefined || names.some((name) => name !== undefined) || isGiven(given);
  const { header, source } = image;
  if (header === undefined) {
    const open = wanted ? undefined : await isOpen(source);
    if (open === false && flags.login) {
      const who = names.length === 1 ? [UNNAMED] : names;
      const keys = await offerKeys(shownName(source), CLOSED, signal, names.length);
      return foreignIdentities(image, who, { nodes, given: { ...given, keys } }, signal);
    }
    const known = toldLater(image) && flags.login ? 'is seen when it is written' : 'is not known here';
    const warning = `piimg has not built ${shownName(source)}: whether anybody can log in to it ${known}`;
    const warnings = open === undefined ? [warning] : [];
    if (!wanted) return names.map((_, index) => ({ ...asItIs(image), warnings: index === 0 ? warnings : [] }));
    requirePlain(source);
    const closed = machinesFor(names, { nodes, given }).filter(({ users }) => users.every(isClosed));
    const list = closed.map(({ node }) => node).join(', ');
    const keys = closed.length === 0 || !flags.login ? given.keys : await offerKeys(list, UNKNOWN, signal);
    return foreignIdentities(image, names, { nodes, given: { ...given, keys } }, signal);
  }
  const plain = isPlain(source);
  const own = !hasPlaces(header);
  if (own && wanted) requirePlain(source);
  const inside = plain ? await readInside(source.name, { own, wanted }) : { ...NOTHING_INSIDE, ...image.carried };
  const known = await loginOf({ header, userData: inside.userData }, search);
  const logins = inside.logins === undefined ? known : { ...known, seed: inside.logins };
  const identities = async (from: Given, who: (string | undefined)[]): Promise<Identity[]> => {
    const sources = { nodes, given: from, schemas: inside.schemas, logins: logins.role };
    if (own) return foreignIdentities(image, who, sources, signal);
    return (await cardSeeds(who, header, sources, signal)).map((seed) => withSeed(seed, header, logins));
  };
  if (wanted) {
    const closed = machinesFor(names, { nodes, given }).filter(({ users }) =>
      users.every(({ keys }) => keys.length === 0),
    );
    if (logins.role.length > 0 || closed.length === 0 || !flags.login) return identities(given, names);
    const keys = await offerKeys(closed.map(({ node }) => node).join(', '), ofRole(header.role), signal);
    return identities({ ...given, keys }, names);
  }
  if (logins.role.length + logins.seed.length > 0 || !flags.login) {
    if (names.length > 1) refuseTwice(shownName(source), inside.carried);
    return names.map(() => withoutSeed(header, logins, inside.carried));
  }
  if (own && !plain) throw packedOwn(shownName(source));
  const who = names.length === 1 ? [`pi-${header.role}`] : names;
  const keys = await offerKeys(shownName(source), ofRole(header.role), signal, names.length);
  if (plain && !own) await readImageSeed(source.name);
  return identities({ ...given, keys }, who);
}

/** Of what is packed, elsewhere, or no system that piimg can read, it is not known whether it lets anybody in. */
async function isOpen(source: Source): Promise<boolean | undefined> {
  if (!isPlain(source)) return undefined;
  try {
    return await withImageView(source.name, letsAnybodyIn);
  } catch (error) {
    if (error instanceof PiimgError) return undefined;
    throw error;
  }
}

const packedOwn = (image: string): PiimgError =>
  new PiimgError(
    `Whether anybody can log in to ${image} is not known here: its base's own first boot is told in files within`,
    {
      exitCode: EXIT.usage,
      hint: 'Unpack it, then flash the .img. To write it all the same: --no-login.',
    },
  );

const NOTHING_INSIDE: ImageSeed = { schemas: {}, userData: undefined, carried: {} };

const readInside = (file: string, { own, wanted }: { own: boolean; wanted: boolean }): Promise<ImageSeed> =>
  own ? readOwnSeed(file) : readImageSeed(file, wanted ? 'built' : 'any');

const isClosed = ({ keys, passwordHash }: User): boolean => keys.length === 0 && passwordHash === undefined;
const UNKNOWN = 'and whether the image itself lets somebody in is not known';
const CLOSED = 'nor a user: Raspberry Pi OS has none before one is made, here or with screen and keyboard';
const ofRole = (role: string): string => `nor a user with one in role ${role}`;

const isGiven = ({ variables, secrets, ...others }: Given): boolean =>
  [variables, secrets].some((map) => Object.keys(map).length > 0) ||
  Object.values(others).some((value) => (Array.isArray(value) ? value.length > 0 : value !== undefined));

function withSeed(seed: CardSeed, header: ImageHeader, logins: Logins): Identity {
  const { node, users, network, patches, knownHosts, warnings, secret } = seed;
  const { cardId, patch } = newRecord({ role: header.role, buildId: header.buildId }, node);
  const user = users.find(({ keys }) => keys.length > 0)?.name ?? logins.role[0];
  const host = network.addresses[0]?.split('/')[0] ?? node;
  return {
    node,
    cardId,
    patches: [patch, ...patches],
    login: user === undefined ? undefined : `${user}@${host}`,
    knownHosts,
    warnings,
    secret,
  };
}

/** But for the record of the card that it was taken from: this is another one. */
const asItIs = ({ recorded }: FlashImage): Identity =>
  keptIdentity(recorded ? [{ ...CARD_RECORD, content: Buffer.alloc(CARD_RECORD.length) }] : []);

/** What bases have in /etc/hostname, Raspberry Pi OS and piimg's own. */
const UNNAMED = 'raspberrypi';

/** With what the image carries itself: `piimg seed` may have given it an identity. */
function withoutSeed(header: ImageHeader, { role, seed }: Logins, { node, address }: ImageSeed['carried']): Identity {
  const { cardId, patch } = newRecord({ role: header.role, buildId: header.buildId }, node);
  const user = [...role, ...seed][0];
  return {
    node,
    cardId,
    patches: [patch],
    login: user === undefined ? undefined : `${user}@${address ?? node ?? UNNAMED}`,
    knownHosts: [],
    warnings: [],
    secret: false,
  };
}

function refuseTwice(image: string, { node }: ImageSeed['carried']): void {
  if (node === undefined) return;
  throw new PiimgError(`${image} carries the identity of ${node}: its cards would all be the same machine`, {
    exitCode: EXIT.usage,
    hint: 'Give each its own: NODE=/dev/sdX.',
  });
}

/** A headless machine that nobody can reach is no use: keys of whoever is there, or the end. Several `cards` need names as well. */
async function offerKeys(what: string, besides: string, signal: AbortSignal, cards = 1): Promise<string[]> {
  const found = await findPublicKeys(homedir());
  const problem = `Nobody could log in to ${what}: there is no ssh key in it, ${besides}`;
  const names = cards > 1 ? 'Name each card, NODE=/dev/sdX, and give them' : 'Give it';
  const node = cards > 1 ? '' : '--node NAME ';
  const hint = `${names} a key: ${node}--ssh-key ~/.ssh/id_ed25519.pub. To write it all the same: --no-login.`;
  if (cards > 1 || found.length === 0 || !somebodyIsThere())
    throw new PiimgError(problem, { exitCode: EXIT.usage, hint });
  const list = found.map(({ file, comment }, index) => `  ${index + 1}  ${file}  ${comment}`).join('\n');
  const typed = await ask(`${problem}.\nLet one of these keys in?\n${list}\nNumber (nothing: stop): `, signal);
  const chosen = found[Number(typed) - 1];
  if (chosen === undefined) throw new PiimgError(problem, { exitCode: EXIT.usage, hint });
  return [chosen.line];
}
