// The story of `piimg customize`: image → how its first boot is told who it is → a node in those words → files on its boot partition.
import path from 'node:path';
import type { Edit } from '../seed/formats/edits.ts';
import { bestEdits } from '../seed/formats/write.ts';
import { completeNode } from '../seed/given.ts';
import type { Node } from '../seed/node.ts';
import { loadNodes } from '../seed/nodes-file.ts';
import { padSlot, SLOT_LENGTHS } from '../seed/minimal.ts';
import { documentText, holdsSecrets } from '../seed/texts.ts';
import { shownSsid } from '../seed/wifi.ts';
import { readerOf, type ReadAt } from '../image/ranges.ts';
import { EXIT, PiimgError } from '../lib/errors.ts';
import type { Customized } from '../ui/customized.ts';
import { recognise, type Recognised } from '../vendor/recognise.ts';
import type { ImageView, InitFormat } from '../vendor/view.ts';
import { changesFor, type Change, type Planned } from './boot-changes.ts';
import { writeStages } from './boot-write.ts';
import type { Context } from './context.ts';
import { orDamaged, withImageView } from './image-view.ts';
import { withImageFile } from './open-image-file.ts';
import { RESULT_FILE } from './seed-card.ts';
import { knownHosts, newHostKeys } from './seed-machine.ts';
import { isMapOf, mapBeside, removeMaps, writeChangedMap } from './seed-map.ts';
import { firstBootFacts, requireKnown } from './first-boot-facts.ts';
import { refuseOut, writeTarget } from './seed-target.ts';
import { overwritten, seedCard, type SeedRequest, type SeedResult } from './seeding.ts';

export interface CustomizeResult extends Customized {
  image: string;
  inPlace: boolean;
  warnings: string[];
}

/** What is known and prepared before a byte is written. */
interface Prepared extends Pick<CustomizeResult, 'format' | 'evidence' | 'knownHosts' | 'warnings'> {
  edits: Edit[];
  /** Byte where the boot partition begins. */
  offset: number;
  secret: boolean;
}

/**
 * Throws PiimgError before a byte is written for all that is wrong with node or image; a failed copy leaves nothing. An image that piimg has
 * built gets its seed.
 */
export async function customizeImage(
  request: SeedRequest,
  context: Context,
): Promise<CustomizeResult | { seeded: SeedResult }> {
  const { image, out, begun, from, given } = request;
  const { signal } = context;
  const file = from === undefined ? undefined : (await loadNodes(path.resolve(from))).nodeFile(given.node);
  const node = completeNode(file, given);
  const prepared = await withImageView(image, async (view, { block }) => {
    if (out !== undefined) await refuseDevice(image, out, block);
    const found = await recognise(view);
    if (found.format === 'piimg') return undefined;
    return { ...(await prepare(node, view, found, { signal })), own: view.piimg !== undefined, block };
  });
  if (prepared === undefined) return { seeded: await seedCard(request, context) };
  const { edits, offset, secret, own, block, ...told } = prepared;
  const found = block ? undefined : await mapBeside(image);
  const beside = found && (await isMapOf(found, image)) ? found : undefined;
  const target = out ?? image;
  const changes = (read: ReadAt, stop: AbortSignal): Promise<Planned> =>
    orDamaged(image, () => changesFor(read, { offset, what: image }, edits, stop));
  const mapFits = await context.progress.step(`first boot of ${node.node}`, async (step) => {
    let changed: Change[] = [];
    // A copy will be the same as the image. In place it is found out once nobody else can change anything.
    const meanwhile = (stop: AbortSignal): Promise<Planned> =>
      withImageFile(image, undefined, ({ handle }) => changes(readerOf(handle), stop));
    const write = async (file: string, known?: Planned): Promise<void> => {
      const ready = async (read: ReadAt): Promise<Planned> => {
        const planned = known ?? (await changes(read, signal));
        signal.throwIfAborted();
        // From the first byte on it is of another image.
        if (beside !== undefined && out === undefined) await removeMaps(image);
        return planned;
      };
      changed = await writeStages(file, { offset, prepare: ready, durable: out === undefined }, signal);
      // While the old file has its name still: the new one never lies beside a map of another.
      if (out !== undefined) await removeMaps(out);
    };
    await writeTarget({ image, out, secret, begun }, { meanwhile, write }, { step, signal });
    return beside !== undefined && (await writeChangedMap(beside, target, changed));
  });
  const { wifi, addresses } = node.network;
  return {
    image,
    target,
    inPlace: out === undefined,
    node: node.node,
    ...told,
    files: edits.flatMap((edit) => ('content' in edit ? [edit.path] : [])),
    removed: edits.flatMap((edit) => ('content' in edit ? [] : [edit.path])),
    users: node.users.map(({ name, keys, passwordHash }) => ({
      name,
      keys: keys.length,
      password: passwordHash !== undefined,
    })),
    addresses,
    ...(wifi !== undefined && { wifi: shownSsid(wifi.ssid) }),
    warnings: [
      ...told.warnings,
      ...(own ? overwritten(target, out) : []),
      ...(block && process.platform !== 'linux' ? [UNCHECKED] : []),
      ...(found === undefined || mapFits ? [] : [`${target} has no block map: ${found.file} does not fit it`]),
    ],
  };
}

async function refuseDevice(image: string, out: string, block: boolean): Promise<void> {
  if (!block) return refuseOut(image, out);
  throw new PiimgError(`${image} is a device: --out makes a copy of the file of an image`, {
    exitCode: EXIT.usage,
    hint: 'With --in-place it is written to the card itself.',
  });
}

/** The node in the first of the image's formats that carries it; `logins` get in anyway. Throws PiimgError (usage) where none does. */
export async function prepare(
  node: Node,
  view: ImageView,
  { format: best, others, evidence }: Recognised,
  { logins = [], signal }: { logins?: string[]; signal: AbortSignal },
): Promise<Prepared> {
  const formats = [best, ...others].filter((format) => format !== 'piimg');
  const facts = await firstBootFacts(view);
  await requireKnown(node, view, best);
  // On a base that piimg has put a role onto, the agent has a document of its own.
  const told = view.piimg === undefined ? node : { ...node, ...OF_THE_AGENT };
  // Host keys take a while: at first without.
  bestEdits(formats, told, facts);
  const hostKeys = node.hostKeys ? await newHostKeys(node.node, signal) : [];
  const { format, edits: firstBoot } = bestEdits(formats, told, { ...facts, hostKeys });
  const edits = view.piimg === undefined ? firstBoot : [...(await agentEdits(node, view, view.piimg)), ...firstBoot];
  return {
    format,
    // Of another format than the best one it is known only that it would be read.
    evidence:
      format === best ? evidence : [`${best} does not carry all that was asked for, and the image reads ${format} too`],
    edits,
    offset: view.boot.facts.offset,
    knownHosts: knownHosts(node, hostKeys),
    warnings: [...view.notes, ...warningsFor(node, format, view.piimg === undefined ? undefined : logins)],
    secret: holdsSecrets(node, hostKeys),
  };
}

const OF_THE_AGENT = { variables: {}, peers: {}, secrets: {}, report: undefined };

const DOCUMENT = 'piimg.json';
/** Whether a file of the boot partition is the agent's. */
export const isAgents = (name: string): boolean => name === DOCUMENT || name === RESULT_FILE;

/** Its document, and room for its result: how it went with another document says nothing of this one. */
async function agentEdits(node: Node, { boot }: ImageView, image: { buildId: string; role: string }): Promise<Edit[]> {
  const result = await boot.files.read(RESULT_FILE);
  return [
    { path: DOCUMENT, content: padSlot(documentText(node, image), SLOT_LENGTHS[DOCUMENT], DOCUMENT) },
    ...(result === undefined ? [] : [{ path: RESULT_FILE, content: Buffer.alloc(result.length, '\n') }]),
  ];
}

const UNCHECKED = 'only on Linux is it checked whether a card is mounted';

/**
 * What somebody should know of a node before its machine is out of reach. `logins`: whom the role of an image that piimg has built lets in; by
 * ssh it takes keys only.
 */
function warningsFor({ users, network }: Node, format: InitFormat, logins: string[] | undefined): string[] {
  const canEnter = ({ keys, passwordHash }: Node['users'][number]): boolean =>
    keys.length > 0 || (logins === undefined && passwordHash !== undefined);
  const closed = !users.some(canEnter) && (logins ?? []).length === 0;
  const keyed = users.some(({ keys }) => keys.length > 0);
  const shutOut = users.filter(({ keys, passwordHash }) => keyed && keys.length === 0 && passwordHash !== undefined);
  const secrets = [
    ...(users.some(({ passwordHash }) => passwordHash !== undefined) ? ['the hash of a password'] : []),
    ...(network.wifi?.password === undefined ? [] : ['the key of the Wi-Fi']),
  ];
  // Raspberry Pi OS mounts it so that everybody reads it; other formats' readers take away what they have read.
  const stays = format.startsWith('cloudinit') && secrets.length > 0;
  return [
    ...(closed ? ['no ssh key was given: nobody can log in, unless the image itself lets somebody in'] : []),
    ...shutOut.map(({ name }) => `${name} has no ssh key, and where somebody has one ssh takes no passwords`),
    ...(stays
      ? [`${secrets.join(' and ')} stay on the boot partition, where every user of the machine may read them`]
      : []),
  ];
}
