// What opens cards: this process where it may, else a program of root's, which sudo starts. All else is the user's.
import { constants } from 'node:fs';
import { access, open, stat } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { rescanDisk, unmountDisk } from '../../host/card-upkeep.ts';
import { mountPointsOf } from '../../host/mounted.ts';
import { openDisk, requireSameDisk, type DiskIdentity } from '../../host/open-disk.ts';
import { findProgram } from '../../host/requirements.mjs';
import { requireUnwritten } from '../../host/writers.ts';
import { startProber, type Prober } from '../../flash/probe/prober.ts';
import { BLOCK, CHUNK } from '../../flash/write/chunks.ts';
import { sharedMemory } from '../../flash/write/memory.ts';
import type { StartReader } from '../../flash/write/reader.ts';
import type { FlashedCard, Tell } from '../../flash/write/types.ts';
import type { Positioned } from '../../image/ranges.ts';
import { EXIT, PiimgError } from '../../lib/errors.ts';
import { withSudo } from '../own-command.ts';
import { startRootOpener } from './root-opener.ts';
import { runWriter, type WriterPlan } from './writer.ts';

export interface Opener {
  /** Opens a disk to be read, past the page cache. */
  look(disk: DiskIdentity): Promise<LookedAt>;
  /** As `runWriter`. */
  write(plan: WriterPlan, tell: Tell): Promise<FlashedCard[]>;
  /** What writes to a disk here and there, and reads that back; nobody else has the disk meanwhile. */
  probe(disk: DiskIdentity): Promise<DiskProber>;
  end(): Promise<void>;
}

export interface LookedAt extends Positioned {
  close(): Promise<void>;
}

export interface DiskProber extends Pick<Prober, 'ask'> {
  /** `rescan`: have the kernel read its partitions anew, for which a disk that hangs would be waited for. */
  end(rescan: boolean): Promise<void>;
}

/**
 * Calls `work` with what opens `disks`; what are no disks does not count. sudo asks for its password before. Throws PiimgError (refused), with
 * the command that would do, where nobody may open them.
 */
export async function withOpener<T>(
  disks: string[],
  { write = false, signal }: { write?: boolean; signal: AbortSignal },
  work: (opener: Opener) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  const kinds = await Promise.all(disks.map((disk) => stat(disk).catch(() => undefined)));
  const devices = disks.filter((_, index) => kinds[index]?.isBlockDevice());
  const opener = (await mayOpen(devices, write)) ? openerHere(signal) : await throughSudo(devices, signal);
  try {
    return await work(opener);
  } finally {
    await opener.end();
  }
}

/** Whether this user may open all of them, and unmount what is mounted of them, without sudo. */
async function mayOpen(disks: string[], write: boolean): Promise<boolean> {
  if (process.getuid?.() === 0) return true;
  for (const disk of disks) {
    // What a desktop has mounted only root may unmount by umount(8).
    if (write && (await mountPointsOf(disk))?.length) return false;
    try {
      await access(disk, write ? constants.R_OK | constants.W_OK : constants.R_OK);
    } catch {
      return false;
    }
  }
  return true;
}

/** In this process. */
export const openerHere = (signal: AbortSignal, startReader?: StartReader): Opener => ({
  async look(disk) {
    const handle = await openDisk(disk, false);
    return { ...wholeBlockReads(handle), close: () => handle.close() };
  },
  write: (plan, tell) => runWriter(plan, tell, { signal, ...(startReader && { startReader }) }),
  probe: (disk) => proberOf(disk, signal),
  async end() {},
});

/** Reads whatever is asked for, one after the other, where only whole blocks can be read, into memory that begins on one (O_DIRECT of open(2)). */
export function wholeBlockReads(handle: Positioned): Positioned {
  const memory = sharedMemory(CHUNK);
  const fill = async (buffer: Uint8Array, position: number): Promise<number> => {
    let filled = 0;
    while (filled < buffer.length) {
      const at = position + filled;
      const before = at % BLOCK;
      const wanted = Math.min(CHUNK, Math.ceil((before + buffer.length - filled) / BLOCK) * BLOCK);
      const { bytesRead } = await handle.read(memory, 0, wanted, at - before);
      const piece = memory.subarray(before, Math.min(bytesRead, before + buffer.length - filled));
      if (piece.length === 0) break;
      buffer.set(piece, filled);
      filled += piece.length;
    }
    return filled;
  };
  let line: Promise<unknown> = Promise.resolve();
  return {
    read(buffer, offset, length, position) {
      const read = line.then(() => fill(buffer.subarray(offset, offset + length), position));
      line = read.catch(() => {});
      return read.then((bytesRead) => ({ bytesRead }));
    },
  };
}

async function proberOf(disk: DiskIdentity, signal: AbortSignal): Promise<DiskProber> {
  await requireSameDisk(disk);
  await unmountDisk(disk.path, signal);
  const handle = await openDisk(disk, true);
  try {
    await requireUnwritten(disk.path, { opened: true });
  } catch (error) {
    await handle.close();
    throw error;
  }
  const prober = startProber(handle.fd, { signal });
  return {
    ask: prober.ask,
    async end(rescan) {
      await prober.end();
      await handle.close();
      if (rescan) await rescanDisk(disk.path);
    },
  };
}

/** The program starts now: sudo asks for its password before anything is shown that moves. */
async function throughSudo(disks: string[], signal: AbortSignal): Promise<Opener> {
  const sudo = findProgram('sudo');
  if (sudo === undefined) throw notAllowed();
  const prompt = `Only root may open ${disks.join(', ')}: password of %p for sudo: `;
  // sudo(8): -n fails where it would have to ask.
  const how = (await hasTerminal()) ? ['-p', prompt] : ['-n'];
  return startRootOpener([sudo, ...how, '--', ...rootCommand()], signal).catch((error: unknown) => {
    signal.throwIfAborted();
    throw notAllowed(error);
  });
}

/** sudo asks there for the password, whatever stdin is. */
const hasTerminal = (): Promise<boolean> =>
  open('/dev/tty', 'r+').then(
    async (terminal) => {
      await terminal.close();
      return true;
    },
    () => false,
  );

/** Absolute: root's PATH knows nothing of the user's Node, from nvm for example. */
export function rootCommand(): string[] {
  const file = fileURLToPath(
    new URL(import.meta.url.endsWith('.ts') ? './root-main.ts' : '../cli/root-main.js', import.meta.url),
  );
  const loader = file.endsWith('.ts') ? ['--import', import.meta.resolve('tsx')] : [];
  return [process.execPath, ...loader, file];
}

function notAllowed(cause?: unknown): PiimgError {
  const detail = cause instanceof PiimgError ? cause.detail : undefined;
  return new PiimgError('Only root may open that card, and sudo did not start what opens it', {
    exitCode: EXIT.refused,
    hint: withSudo(),
    ...(detail !== undefined && { detail }),
  });
}
