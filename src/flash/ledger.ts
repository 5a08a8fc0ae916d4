// The ledger, `out/ledger.jsonl`: a line of JSON for every card that was written, only ever added to.
import { mkdir, open, readFile, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import * as z from 'zod';
import { EXIT, PiimgError } from '../lib/errors.ts';

const count = z.int().min(0);
const seconds = z.number().min(0);
const rate = z.number().min(0);
/** Of SHA-256, in hex. */
const digest = z.string().regex(/^[0-9a-f]{64}$/);

const ledgerRow = z.object({
  version: z.literal(1),
  /** When it ended, ISO 8601. */
  time: z.iso.datetime({ offset: true }),
  node: z.string().optional(),
  role: z.string().optional(),
  buildId: z.string().optional(),
  /** `sha256` of all of it, where it is known; `digest` of what was written of it, worked out as the card's. */
  image: z.object({ name: z.string(), sha256: digest.optional(), digest: digest.optional(), size: count }),
  /** Which bytes of the image were written: offset and length of each range. */
  map: z.object({ imageSize: count, ranges: z.array(z.tuple([count, count])) }),
  /** Of an image that piimg has not built: which bytes are the card's own instead, as its identity has no place of its own there. */
  own: z.array(z.tuple([count, count])).optional(),
  /** `serial` is the reader's; `id` the one of the card's record; `digest` of what was read back. */
  card: z.object({
    id: z.string().optional(),
    device: z.string(),
    model: z.string(),
    serial: z.string().optional(),
    capacity: count,
    digest: z.string().optional(),
    /** sha256 of the disk's id and its partition table, which a first boot changes. */
    table: digest.optional(),
  }),
  /** Bytes. */
  written: count,
  seconds: z.object({ write: seconds, verify: seconds.optional() }),
  /** Bytes per second. */
  writeRate: rate.optional(),
  readRate: rate.optional(),
  verdict: z.enum(['verified', 'written', 'failed', 'stopped']),
  problem: z.string().optional(),
});
export type LedgerRow = z.output<typeof ledgerRow>;

export interface Ledger {
  /** The oldest first, as they were added. */
  rows: LedgerRow[];
  /** Lines that could not be read, by number from 1, and why. */
  unread: { line: number; why: string }[];
}

/**
 * Adds a row: one line, by one write at the end of the file, on the disk when this returns; a folder that is missing is made. Throws PiimgError
 * naming the file when that fails.
 */
export async function appendToLedger(file: string, row: LedgerRow): Promise<void> {
  const line = `${JSON.stringify(ledgerRow.parse(row))}\n`;
  try {
    await mkdir(path.dirname(file), { recursive: true });
    // O_APPEND: two piimg at the same time do not write over one another's rows (open(2)).
    const handle = await open(file, 'a+');
    try {
      const bytes = Buffer.from(`${(await endsWhole(handle)) ? '' : '\n'}${line}`);
      const { bytesWritten } = await handle.write(bytes);
      if (bytesWritten < bytes.length)
        throw new Error(`only ${bytesWritten} of ${bytes.length} bytes could be written`);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await syncFolder(path.dirname(file));
  } catch (error) {
    throw new PiimgError(`The ledger ${file} cannot be added to: ${(error as Error).message}`, {
      hint: 'The card itself is as it was said to be.',
      cause: error,
    });
  }
}

/** A line that a power cut has left by half must not take the next row with it. */
async function endsWhole(handle: FileHandle): Promise<boolean> {
  const { size } = await handle.stat();
  if (size === 0) return true;
  const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, size - 1);
  return buffer.toString('latin1') === '\n';
}

/** The name of a new file is the folder's (fsync(2)). */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  await handle.sync().finally(() => handle.close());
}

/** Undefined when there is no ledger yet. Throws PiimgError (usage) when it cannot be read. */
export async function readLedger(file: string): Promise<Ledger | undefined> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw new PiimgError(`The ledger ${file} cannot be read: ${error.message}`, { exitCode: EXIT.usage, cause: error });
  });
  if (text === undefined) return undefined;
  const ledger: Ledger = { rows: [], unread: [] };
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue;
    const read = rowOf(line);
    if (typeof read === 'string') ledger.unread.push({ line: index + 1, why: read });
    else ledger.rows.push(read);
  }
  return ledger;
}

/** The row in a line, or why there is none. */
function rowOf(line: string): LedgerRow | string {
  let data: unknown;
  try {
    data = JSON.parse(line);
  } catch {
    return 'it is damaged, or was only half written';
  }
  const parsed = ledgerRow.safeParse(data);
  if (parsed.success) return parsed.data;
  const { version } = (data ?? {}) as { version?: unknown };
  if (typeof version === 'number' && version > 1) return `it is of version ${version}, a newer piimg's`;
  const fields = parsed.error.issues.map((issue) => issue.path.join('.')).filter(Boolean);
  return fields.length === 0 ? 'it is no row of a ledger' : `it is no row of a ledger: ${fields.join(', ')}`;
}

/** The newest row of a card. */
export function findCard({ rows }: Ledger, cardId: string): LedgerRow | undefined {
  return rows.findLast(({ card }) => card.id === cardId);
}
