// Identities for cards of an image that somebody else made: blocks of its boot partition with the files that its first boot reads.
import { BLOCK } from '../../flash/write/chunks.ts';
import type { Source } from '../../flash/source/source.ts';
import type { Patch } from '../../flash/write/types.ts';
import { wholeBlocks, type ReadAt } from '../../image/ranges.ts';
import { EXIT, PiimgError } from '../../lib/errors.ts';
import type { Edit } from '../../seed/formats/edits.ts';
import type { Node } from '../../seed/node.ts';
import { recognise, type Recognised } from '../../vendor/recognise.ts';
import type { ImageView } from '../../vendor/view.ts';
import { changesFor, settled } from '../boot-changes.ts';
import type { Partition } from '../boot-copy.ts';
import { prepare } from '../customizing.ts';
import { machinesFor, type SeedSources } from '../flash-seeds.ts';
import { withImageView } from '../image-view.ts';
import type { Identity } from './identities.ts';
import { isPlain, shownName, type FlashImage } from './image.ts';
import { newRecord, recordBeside, type NewRecord } from './record.ts';

/**
 * One for each of `names`, in their order; `header` is that of an image that piimg has built on a base of somebody else's. Throws PiimgError
 * (usage) for all that is wrong with them, for what the first boot of the image cannot be told, and as `requirePlain`.
 */
export async function foreignIdentities(
  { source, header }: Pick<FlashImage, 'source' | 'header'>,
  names: (string | undefined)[],
  sources: Pick<SeedSources, 'nodes' | 'given' | 'logins'>,
  signal: AbortSignal,
): Promise<Identity[]> {
  const machines = machinesFor(names, sources);
  requirePlain(source);
  return withImageView(source.name, async (view, { read, fat }) => {
    const record = async (node: string): Promise<NewRecord | undefined> =>
      header
        ? newRecord({ role: header.role, buildId: header.buildId }, node)
        : recordBeside({ layout: view.layout, fat, read }, node);
    const image = { what: source.name, view, read, found: await recognise(view), record };
    const identities: Identity[] = [];
    for (const machine of machines)
      identities.push(await identityOf(image, machine, { logins: sources.logins ?? [], signal }));
    return identities;
  });
}

/** Throws PiimgError (usage) for an image that is packed or elsewhere: where files go is known only of one that can be read at any place. */
export function requirePlain(source: Source): void {
  if (!isPlain(source)) {
    throw new PiimgError(`${shownName(source)} is no plain file: no card of it can be given a name`, {
      exitCode: EXIT.usage,
      hint: 'Its own first boot is told, in files that can only be placed in a plain image. Download and unpack it, then flash the .img; or write it without --node, --from and the like.',
    });
  }
}

interface Image {
  what: string;
  view: ImageView;
  read: ReadAt;
  found: Recognised;
  record: (node: string) => Promise<NewRecord | undefined>;
}

async function identityOf(
  { what, view, read, found, record }: Image,
  node: Node,
  { logins, signal }: { logins: string[]; signal: AbortSignal },
): Promise<Identity> {
  const { edits, offset, knownHosts, secret, warnings } = await prepare(node, view, found, { logins, signal });
  const user = node.users.find(({ keys }) => keys.length > 0)?.name ?? logins[0];
  const host = node.network.addresses[0]?.split('/')[0] ?? node.node;
  const { cardId, patch } = (await record(node.node)) ?? {};
  return {
    node: node.node,
    cardId,
    patches: [...(patch ? [patch] : []), ...(await patchesFor(read, { offset, what }, edits, signal))],
    login: user === undefined ? undefined : `${user}@${host}`,
    knownHosts,
    warnings,
    secret,
  };
}

/**
 * What files of a boot partition that are to change come to on a card: whole blocks, as cards are written in them; what is not changed in one is
 * the image's. Throws as `changesFor`.
 */
export async function patchesFor(
  read: ReadAt,
  partition: Partition,
  edits: Edit[],
  signal: AbortSignal,
): Promise<Required<Patch>[]> {
  const { stages } = await changesFor(read, partition, edits, signal);
  const changes = settled(stages);
  const ranges = changes.map(({ offset, content }) => ({ offset, length: content.length }));
  return Promise.all(
    wholeBlocks(ranges, BLOCK).map(async ({ offset, length }) => {
      const content = await read(offset, length);
      const inside = changes.filter((change) => change.offset >= offset && change.offset < offset + length);
      for (const change of inside) change.content.copy(content, change.offset - offset);
      return { offset, length, content };
    }),
  );
}
