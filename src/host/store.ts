// The content-addressed store of everything downloaded: each file lies under its sha256 and is never changed.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { copyFile, link, mkdir, mkdtemp, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { PiimgError } from '../lib/errors.ts';
import type { Step } from '../lib/progress.ts';
import { run } from './exec.ts';

/** Something to download: `label` is how messages call it (package and version, artifact). */
export interface Wanted {
  url: string;
  sha256: string;
  size: number;
  label: string;
}

export interface Store {
  dir: string;
  tmp: string;
}

/** How many files one call of apt-helper fetches: its arguments stay far below the kernel's limit for a command line. */
const BATCH = 400;

/** Where a file of this digest lies or would lie. */
export function storedPath(store: Store, sha256: string): string {
  return join(store.dir, sha256.slice(0, 2), sha256);
}

/** Which of `wanted` the store lacks (by presence and size, not by content). */
export async function missingFrom(store: Store, wanted: Wanted[]): Promise<Wanted[]> {
  const present = await Promise.all(
    wanted.map(async ({ sha256, size }) => {
      const info = await stat(storedPath(store, sha256)).catch(() => undefined);
      return info !== undefined && (size === 0 || info.size === size);
    }),
  );
  return wanted.filter((_, i) => !present[i]);
}

/**
 * Downloads what the store lacks through apt's own methods (proxies, certificates, retries; cut transfers are resumed) and
 * checks each file's sha256. Files that arrived are kept even when another fails. Throws PiimgError naming each file that failed.
 */
export async function download(store: Store, wanted: Wanted[], step: Step, signal?: AbortSignal): Promise<void> {
  const missing = await missingFrom(store, [...new Map(wanted.map((item) => [item.sha256, item])).values()]);
  const total = missing.reduce((sum, { size }) => sum + size, 0);
  let before = 0;
  for (let at = 0; at < missing.length; at += BATCH) {
    const batch = missing.slice(at, at + BATCH);
    const bytes = batch.reduce((sum, { size }) => sum + size, 0);
    await fetchBatch(store, batch, signal, (share, message) =>
      step.update({ message, done: Math.round(before + share * bytes), total, unit: 'bytes' }),
    );
    before += bytes;
  }
}

async function fetchBatch(
  store: Store,
  batch: Wanted[],
  signal: AbortSignal | undefined,
  report: (share: number, message: string) => void,
): Promise<void> {
  await mkdir(store.tmp, { recursive: true });
  const dir = await mkdtemp(join(store.tmp, 'download-'));
  try {
    const place = ({ sha256 }: Wanted): string => join(dir, sha256);
    const args = batch.flatMap((item) => [item.url, place(item), `SHA256:${item.sha256}`]);
    const options = ['Acquire::Retries=3', 'Acquire::http::Timeout=30', 'APT::Status-Fd=1', 'APT::Sandbox::User=root'];
    const { stderr, exitCode } = await run(
      ['/usr/lib/apt/apt-helper', ...options.flatMap((option) => ['-o', option]), 'download-file', ...args],
      {
        okCodes: [0, 100],
        env: { LC_ALL: 'C.UTF-8' },
        onLine: (line) => {
          // dlstatus:<file>:<percent of all>:<text>
          const status = /^dlstatus:(\d+):([\d.]+):/.exec(line);
          if (status) report(Number(status[2]) / 100, batch[Number(status[1]) - 1]?.label ?? '');
        },
        ...(signal && { signal }),
      },
    );
    const failed: Wanted[] = [];
    for (const item of batch) {
      if (!(await keep(store, place(item), item))) failed.push(item);
    }
    if (failed.length > 0) throw downloadError(failed, stderr, exitCode);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** Moves a complete download to its place. */
async function keep(store: Store, file: string, { sha256 }: Wanted): Promise<boolean> {
  if (!(await stat(file).catch(() => undefined))) return false;
  const target = storedPath(store, sha256);
  await mkdir(dirname(target), { recursive: true });
  await rename(file, target);
  return true;
}

function downloadError(failed: Wanted[], stderr: string, exitCode: number): PiimgError {
  const reason = (url: string): string => {
    const line = stderr.split('\n').findIndex((text) => text.startsWith('E: Failed to fetch') && text.includes(url));
    return line < 0
      ? `apt-helper ended with status ${exitCode}`
      : (stderr.split('\n')[line]?.split(url)[1]?.trim() ?? '');
  };
  return new PiimgError(
    failed.length === 1
      ? `${failed[0]?.label} could not be downloaded`
      : `${failed.length} files could not be downloaded`,
    {
      detail: failed.map((item) => `${item.label}: ${reason(item.url)}\n  ${item.url}`).join('\n'),
      hint: failed.some(({ url }) => reason(url).includes('404'))
        ? 'What the lock names has left the archive: `piimg update` resolves again.'
        : 'Run the command again: what has arrived is kept.',
    },
  );
}

/** Puts a file of the user's into the store (hard link where that works). */
export async function addToStore(store: Store, file: string, sha256: string): Promise<void> {
  const target = storedPath(store, sha256);
  await mkdir(dirname(target), { recursive: true });
  await link(file, target).catch(() => copyFile(file, target));
}

/** Reads the stored file and says whether it is what its name says; a damaged one is removed. */
export async function verifyStored(store: Store, sha256: string): Promise<boolean> {
  const path = storedPath(store, sha256);
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  if (hash.digest('hex') === sha256) return true;
  await rm(path, { force: true });
  return false;
}
