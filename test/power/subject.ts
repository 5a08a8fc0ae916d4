// What the power tests boot: an image with an identity that has secrets.
import path from 'node:path';
import { run } from '../../src/host/exec.ts';
import { SECTOR } from '../../src/image/mbr.ts';
import type { ImageManifest } from '../../src/image/manifest.ts';
import { cloudInitTexts } from '../../src/seed/cloud-init.ts';
import { fillSlots } from '../../src/seed/fill.ts';
import { makeHostKeys } from '../../src/seed/host-keys.ts';
import { makeSeedKey, type SeedKey } from '../../src/boot/seed-key.ts';
import { cardSize, loadMachine } from '../../src/boot/machine.ts';
import { packageRoot } from '../../src/host/package-root.ts';
import { padSlot } from '../../src/seed/minimal.ts';
import type { Wifi } from '../../src/seed/network.ts';
import { open, truncate } from 'node:fs/promises';
import type { SecretiveSlot } from './cuts.ts';

export const USER = 'pilot';
export const NODE = 'pi-power1';
export const SECRET = 'a secret that must survive';
/** Of no password in particular. */
const HASH = '$6$saltsalt$notAHashOfAnything';

export interface Subject {
  /** The card before it was ever switched on: a raw file, as large as the machine takes it. */
  card: string;
  key: SeedKey;
  folder: string;
  /** Slots that hold secrets at first. */
  secretive: SecretiveSlot[];
}

/** What a node may have besides. The emulated Pi has no radio: of Wi-Fi it is seen what becomes of its configuration. */
export interface More {
  wifi?: Wifi;
  peers?: Record<string, { name: string; addresses: string[] }[]>;
}

/** Makes the card in `folder`. */
export async function makeSubject(
  image: string,
  manifest: ImageManifest,
  folder: string,
  { wifi, peers }: More = {},
): Promise<Subject> {
  const machine = await loadMachine('virt', [path.join(packageRoot, 'qemu/machines')]);
  const key = await makeSeedKey(folder);
  const card = path.join(folder, 'card.raw');
  await run(['cp', '--sparse=always', image, card]);
  await truncate(card, cardSize(machine, manifest.image.size));
  const texts = cloudInitTexts({
    instanceId: 'power-1',
    hostname: NODE,
    users: [{ name: USER, keys: [key.public], passwordHash: HASH }],
    network: { addresses: [], dns: [], ...(wifi && { wifi }) },
    hostKeys: await makeHostKeys(folder, NODE),
  });
  // Longer than a sector: without the secret all behind it lies elsewhere.
  const document = {
    version: 1,
    buildId: manifest.buildId,
    role: 'web',
    node: NODE,
    secrets: { token: SECRET },
    ...(peers && { peers }),
    variables: { note: 'a b c d e '.repeat(60) },
  };
  const disk = await open(card, 'r+');
  for (const { slot, content } of fillSlots(manifest.slots, texts))
    await disk.write(content, 0, content.length, slot.offset);
  const slot = manifest.slots.find(({ name }) => name === 'piimg.json');
  if (slot === undefined || slot.offset % SECTOR !== 0) throw new Error('no slot for the node document');
  await disk.write(padSlot(JSON.stringify(document), slot.length), 0, slot.length, slot.offset);
  await disk.close();
  const secretive: SecretiveSlot[] = ['piimg.json', 'user-data', ...(wifi ? ['network-config' as const] : [])];
  return { card, key, folder, secretive };
}
