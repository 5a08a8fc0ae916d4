// What the ledger gets of a flash: a row for each card; and what it tells when cards are compared.
import { mkdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { giveBack } from '../../host/give-back.ts';
import { CARD_RECORD } from '../../flash/card-record.ts';
import { appendToLedger, readLedger, type LedgerRow } from '../../flash/ledger.ts';
import { between, covering, inBlocks, type Range } from '../../flash/write/chunks.ts';
import type { Patch } from '../../flash/write/types.ts';
import { hasPlaces } from '../../image/header.ts';
import type { ImageManifest } from '../../image/manifest.ts';
import type { Flashed } from './flash.ts';
import type { FlashImage } from './image.ts';
import { ownPlaces } from './own.ts';

/** Where `piimg ledger` looks. */
const LEDGER = 'out/ledger.jsonl';

export interface LedgerKeeper {
  /** Adds a row for a card; that it could not be done is told, and changes nothing about the card. */
  add(flashed: Flashed): void;
  /** What was added. */
  rows(): Promise<LedgerRow[]>;
}

/** `sha256`: of the image, where it is known. `say`: where warnings go. */
export function keepLedger(
  image: FlashImage,
  wipe: boolean,
  { sha256, say }: { sha256: string | undefined; say: (line: string) => void },
): LedgerKeeper {
  const rows: LedgerRow[] = [];
  let adding: Promise<void> = Promise.resolve();
  return {
    add(flashed) {
      for (const row of rowOf(image, flashed, wipe, sha256)) {
        rows.push(row);
        adding = adding.then(() => append(row)).catch((error: Error) => say(`warning: ${error.message}`));
      }
    },
    rows: () => adding.then(() => rows),
  };
}

function rowOf(
  { source, header, ranges, table }: FlashImage,
  one: Flashed,
  wipe: boolean,
  sha256: string | undefined,
): LedgerRow[] {
  const { card, verdict, problem, imageSize = source.size ?? 0, written, read, writing, reading } = one;
  const { digest, imageDigest } = one;
  const { target, node, cardId, patches } = card;
  if (target === undefined) return [];
  const { device, identity } = target;
  const mapped = inBlocks(ranges ?? [{ offset: 0, length: imageSize }]).map(({ offset, length }) => ({
    offset,
    length: Math.min(length, identity.size - offset),
  }));
  const pieces = [...mapped, ...(wipe ? between(mapped, identity.size) : [])];
  return [
    {
      version: 1,
      time: new Date().toISOString(),
      ...(node !== undefined && { node }),
      ...(header && { role: header.role, buildId: header.buildId }),
      image: {
        name: source.name,
        size: imageSize,
        ...(sha256 !== undefined && { sha256 }),
        ...(imageDigest !== undefined && { digest: imageDigest }),
      },
      map: { imageSize, ranges: pieces.map(pair) },
      ...(!hasPlaces(header) && patches.length > 0 && { own: patches.map(pair) }),
      card: {
        ...(cardId !== undefined && { id: cardId }),
        device: device.path,
        model: device.model,
        ...(device.serial !== undefined && { serial: device.serial }),
        capacity: identity.size,
        ...(digest !== undefined && { digest }),
        table,
      },
      written,
      seconds: { write: writing, ...(read > 0 && { verify: reading }) },
      ...(written > 0 && writing > 0 && { writeRate: written / writing }),
      ...(read > 0 && reading > 0 && { readRate: read / reading }),
      verdict,
      ...(problem !== undefined && { problem }),
    },
  ];
}

const pair = ({ offset, length }: Range): [number, number] => [offset, length];

/**
 * Places where a card of the image may differ from it: those of piimg's own images; of another one those that the ledger has noted for
 * any card of it, by its name, size and build. They hardly differ from card to card, and a card says nowhere which one it is.
 */
export async function notedPlaces({ source, size, header, recorded }: FlashImage): Promise<Patch[]> {
  if (header !== undefined && hasPlaces(header)) return ownPlaces(header);
  const { rows = [] } = (await readLedger(LEDGER)) ?? {};
  const name = path.basename(source.name);
  const same = rows.filter(
    ({ image, buildId }) => path.basename(image.name) === name && image.size === size && buildId === header?.buildId,
  );
  const ranges = same.flatMap(({ own = [] }) => own.map(([offset, length]) => ({ offset, length })));
  // What piimg has built has a record on each card; that of the card an image was taken from is on none.
  return covering([], [...ranges, ...(header || recorded ? [CARD_RECORD] : [])]).map(({ offset, length }) => ({
    offset,
    length,
  }));
}

/** With why a card may differ although nothing is wrong with it. */
export function withWhy<T extends { hint?: string }>(
  compared: T,
  { header, recorded }: FlashImage,
  places: Patch[],
): T {
  // The record alone is no identity.
  if (hasPlaces(header) || places.length > (header || recorded ? 1 : 0)) return compared;
  const why = `If it was flashed with an identity: ${LEDGER} notes what of it is its own, so compare it in the folder that it was flashed from.`;
  return { ...compared, hint: compared.hint === undefined ? why : `${compared.hint} ${why}` };
}

async function append(row: LedgerRow): Promise<void> {
  const folder = path.dirname(LEDGER);
  const made = await mkdir(folder, { recursive: true }).catch(() => undefined);
  await appendToLedger(LEDGER, row);
  if (made !== undefined) await giveBack(folder);
  await giveBack(LEDGER);
}

/** sha256 of an image as the build has noted it: the whole image is not read for that. undefined for one from elsewhere. */
export async function notedDigest({ source, header }: FlashImage): Promise<string | undefined> {
  if (source.kind !== 'file' || header === undefined) return undefined;
  const file = source.name.replace(/\.img(\.(xz|gz|zst))?$/, '.manifest.json');
  // Of any other name there is none, and the image itself is not to be read.
  if (file === source.name) return undefined;
  try {
    const { buildId, image } = JSON.parse(await readFile(path.resolve(file), 'utf8')) as ImageManifest;
    // A build writes the image first. One that was changed since, as by `piimg seed --in-place`, has another digest.
    const [made, noted] = await Promise.all([source.name, file].map(async (each) => (await stat(each)).mtimeMs));
    const same = buildId === header.buildId && image.size === source.size && (made ?? 0) <= (noted ?? 0);
    return same ? image.sha256 : undefined;
  } catch {
    return undefined;
  }
}
