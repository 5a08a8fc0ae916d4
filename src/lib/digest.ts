// Canonical JSON and digests: the same data gives the same key on every machine.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';

/** The sha256 of text or bytes, in hex. */
export function sha256(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}

/** The sha256 of a file's content, in hex, holes as zeros; rejects as reading does. */
export async function digestOfFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

/** JSON with object keys sorted and `undefined` left out, so that equal data is equal text. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown) =>
    item !== null && typeof item === 'object' && !Array.isArray(item)
      ? Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)))
      : item,
  );
}

/** The sha256 of the canonical JSON of `value`. */
export function digestOf(value: unknown): string {
  return sha256(canonicalJson(value));
}
