// Takes secrets off the boot partition once the machine has them: anybody who holds the card could read them there.
import { readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { digestOf, sha256 } from '../src/lib/digest.ts';
import type { NodeSlot } from '../src/seed/node-slots.ts';
import { makeFolder, overwrite, padded, removeDurably, writeDurably } from './durable.ts';
import type { Paths } from './paths.ts';

const HEADER = '#cloud-config\n';
type Json = { [name: string]: unknown };

/** A file without its secrets, and the digest of each sector of what it was before: by them a torn one is known. */
interface Redo {
  text: string;
  /** Bytes. */
  size: number;
  before: string[];
}
/** What every card writes whole, in bytes. */
const SECTOR = 512;

/** Files of the seed, and what of each may stay. Values are removed where cloud-init has no word for "kept". */
const SLOTS: { name: NodeSlot; header: string; without: (content: Json) => Json }[] = [
  { name: 'piimg.json', header: '', without: withoutSecrets },
  { name: 'user-data', header: HEADER, without: withoutKeys },
  { name: 'network-config', header: '', without: withoutWifi },
  { name: 'meta-data', header: '', without: (content) => content },
];

/**
 * Writes each file without its secrets, where it lies. What will be written is kept on the machine until all is done, so that a file
 * that a power cut has torn is written once more (`mendSlots`). Returns what a person should know of it.
 */
export async function blankSecrets(paths: Paths): Promise<string[]> {
  const redos: Record<string, Redo> = {};
  const notes: string[] = [];
  for (const { name, header, without } of SLOTS) {
    const bytes = await readFile(slot(paths, name)).catch(() => undefined);
    if (bytes === undefined) continue;
    const text = bytes.toString();
    const content = parsed(text, header);
    if (name === 'network-config' && (await keepWifi(content, paths)))
      notes.push('the Wi-Fi of before is gone: the new network-config has none');
    if (content === undefined) {
      if (SECRETIVE.test(text))
        notes.push(`${name} was not written by piimg: secrets in it stay on the boot partition`);
      continue;
    }
    const blank = JSON.stringify(without(content));
    if (blank !== JSON.stringify(content))
      redos[name] = { text: `${header}${blank}\n`, size: bytes.length, before: sectorsOf(bytes) };
  }
  const all = Object.entries(redos);
  if (all.length > 0) await writeDurably(redo(paths), JSON.stringify(redos));
  for (const [name, { text }] of all) await overwrite(slot(paths, name), text);
  await rm(redo(paths), { force: true });
  return notes;
}

/** Words that come with a secret in what people write for cloud-init by hand. */
const SECRETIVE = /^[^#\n]*(passw|psk|ssh_keys|token|secret)/im;

/**
 * Keeps the Wi-Fi of a network configuration that will no longer have it on the card: cloud-init writes netplan's file anew for another
 * instance id. What is left of that configuration is told from one that was given since, without Wi-Fi: then there is to be none, and
 * true is returned.
 */
async function keepWifi(config: Json | undefined, { wifi }: Paths): Promise<boolean> {
  const { wifis, ...rest } = config ?? {};
  const known = `# Kept for network configuration ${digestOf(rest)} on the boot partition.\n`;
  if (wifis !== undefined) {
    await makeFolder(path.dirname(wifi));
    await writeDurably(wifi, `${known}${JSON.stringify({ network: { version: 2, wifis } })}\n`);
    return false;
  }
  const kept = await readFile(wifi, 'utf8').catch(() => known);
  if (kept.startsWith(known)) return false;
  await removeDurably(wifi);
  return true;
}

/** Writes again what a power cut has torn while it was written: each sector is of before or of after. */
export async function mendSlots(paths: Paths): Promise<void> {
  const kept = await readFile(redo(paths), 'utf8').catch(() => '{}');
  for (const [name, { text, size, before }] of Object.entries(JSON.parse(kept) as Record<string, Redo>)) {
    const found = await readFile(slot(paths, name)).catch(() => undefined);
    if (found?.length !== size) continue;
    const after = sectorsOf(padded(Buffer.from(text), size));
    const known = sectorsOf(found).every((digest, index) => [before[index], after[index]].includes(digest));
    // Somebody may have given the card another seed since.
    if (known) await overwrite(slot(paths, name), text);
  }
}

function sectorsOf(bytes: Buffer): string[] {
  const count = Math.ceil(bytes.length / SECTOR);
  return Array.from({ length: count }, (_, at) => sha256(bytes.subarray(at * SECTOR, (at + 1) * SECTOR)).slice(0, 16));
}

/** Notes what lies on the boot partition now: until it changes there is nothing to do. The unit compares it with sha256sum. */
export async function rememberSeen(paths: Paths): Promise<void> {
  const lines: string[] = [];
  for (const { name } of SLOTS) {
    const bytes = await readFile(slot(paths, name)).catch(() => undefined);
    if (bytes !== undefined) lines.push(`${sha256(bytes)}  ${slot(paths, name)}\n`);
  }
  await writeDurably(paths.seen, lines.join(''));
}

const slot = (paths: Paths, name: string): string => path.join(path.dirname(paths.document), name);
const redo = (paths: Paths): string => path.join(paths.state, 'blanked.json');

function parsed(text: string, header: string): Json | undefined {
  if (!text.startsWith(header)) return undefined;
  try {
    const content: unknown = JSON.parse(text.slice(header.length));
    return typeof content === 'object' && content !== null ? (content as Json) : undefined;
  } catch {
    return undefined;
  }
}

/** null: the machine has kept it. */
function withoutSecrets({ secrets, ...rest }: Json): Json {
  const names = Object.keys(secrets ?? {});
  return secrets === undefined ? rest : { ...rest, secrets: Object.fromEntries(names.map((name) => [name, null])) };
}

/** Host keys are generated where they are missing only; a password once set stays; what `runcmd` sets, passwords too, was set. */
function withoutKeys({ ssh_keys: _, chpasswd: __, password: ___, runcmd: ____, users, ...rest }: Json): Json {
  if (!Array.isArray(users)) return rest;
  const secret = ['passwd', 'hashed_passwd', 'plain_text_passwd'];
  const plain = (user: unknown): unknown =>
    typeof user === 'object' && user !== null
      ? Object.fromEntries(Object.entries(user).filter(([name]) => !secret.includes(name)))
      : user;
  return { ...rest, users: users.map(plain) };
}

/** The whole section: an access point without its password would be an open one. */
function withoutWifi({ wifis: _, ...rest }: Json): Json {
  return rest;
}
