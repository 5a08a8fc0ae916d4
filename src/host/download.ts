// Downloads into the store through apt's own methods; what a cut transfer has brought is kept and gone on from.
import { mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { abandoned } from '../lib/alive.ts';
import { digestOfFile, sha256 } from '../lib/digest.ts';
import { PiimgError } from '../lib/errors.ts';
import type { Step } from '../lib/progress.ts';
import { hintForCertificate } from './certificates.ts';
import { dieWithParent, run, type RunResult } from './exec.ts';
import { keep, keepIfWhole, missingFrom, type Store, type Wanted } from './store.ts';

/** How many files one call of apt-helper fetches: its arguments stay far below the kernel's limit for a command line. */
const BATCH = 400;

/** A beginning that nobody came back for in a week is of a version that is no longer wanted. */
const FORGOTTEN = 7 * 24 * 3600_000;

/** `tmp/PID-download-…`: where a process downloads to. */
const WORK = /^(\d+)-download-/;

/**
 * Downloads what the store lacks (proxies, certificates and credentials are those of the host's apt; three retries, each going on
 * where the last was cut) and checks each file's sha256. Files that arrived are kept when another fails, and the beginnings of those
 * that did not: the next run gets the rest. Throws PiimgError naming each file that failed.
 */
export async function download(store: Store, wanted: Wanted[], step: Step, signal?: AbortSignal): Promise<void> {
  await collectAbandoned(store);
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

/**
 * Downloads one file whose digest nobody has said, and gives it: it lies in the store under that. What a cut transfer has brought is kept as
 * `download` keeps it. Whoever uses it must know by other means that it is the right one. Throws as `download` does.
 */
export async function downloadUnknown(
  store: Store,
  { url, size, label }: Omit<Wanted, 'sha256'>,
  step: Step,
  signal?: AbortSignal,
): Promise<string> {
  await collectAbandoned(store);
  // Its beginning waits under a name that only this address has.
  const item: Wanted = { url, sha256: sha256(`download ${url}`), size, label };
  const dir = await mkdtemp(join(store.tmp, `${process.pid}-download-`));
  const file = join(dir, item.sha256);
  try {
    await rename(join(beginnings(store), item.sha256), file).catch(() => {});
    const { stderr, exitCode } = await fetchTo([[url, file]], signal, (percent) =>
      step.update({ message: label, done: Math.round((percent / 100) * size), total: size, unit: 'bytes' }),
    );
    if (exitCode !== 0) throw downloadError([item], stderr, exitCode);
    const digest = await digestOfFile(file);
    await keep(store, file, digest);
    return digest;
  } finally {
    await keepBeginnings(store, dir);
  }
}

/** Each URL to its file, going on where one lies there; a third word is what it must be. `report` gets the percentage of all and the number of one. */
function fetchTo(
  words: string[][],
  signal: AbortSignal | undefined,
  report: (percent: number, number: number) => void,
): Promise<RunResult> {
  const options = ['Acquire::Retries=3', 'Acquire::http::Timeout=30', 'APT::Status-Fd=1', 'APT::Sandbox::User=root'];
  const settings = options.flatMap((option) => ['-o', option]);
  return run(dieWithParent(['/usr/lib/apt/apt-helper', ...settings, 'download-file', ...words.flat()]), {
    okCodes: [0, 100],
    env: { LC_ALL: 'C.UTF-8' },
    onLine: (line) => {
      // dlstatus:<file>:<percent of all>:<text>
      const status = /^dlstatus:(\d+):([\d.]+):/.exec(line);
      if (status) report(Number(status[2]), Number(status[1]));
    },
    ...(signal && { signal }),
  });
}

async function fetchBatch(
  store: Store,
  items: Wanted[],
  signal: AbortSignal | undefined,
  report: (share: number, message: string) => void,
): Promise<void> {
  const dir = await mkdtemp(join(store.tmp, `${process.pid}-download-`));
  const place = ({ sha256 }: Wanted): string => join(dir, sha256);
  try {
    const batch = await withBeginnings(store, items, place);
    if (batch.length === 0) return;
    const words = batch.map((item) => [item.url, place(item), `SHA256:${item.sha256}`]);
    const { stderr, exitCode } = await fetchTo(words, signal, (percent, number) =>
      report(percent / 100, batch[number - 1]?.label ?? ''),
    );
    const failed: Wanted[] = [];
    for (const item of batch) if (!(await keepIfWhole(store, place(item), item.sha256))) failed.push(item);
    if (failed.length > 0) throw downloadError(failed, stderr, exitCode);
  } finally {
    await keepBeginnings(store, dir);
  }
}

/** Where beginnings of files wait, each under the digest of the whole. */
const beginnings = (store: Store): string => join(store.tmp, 'partial');

/**
 * Takes the beginnings that are there to where the rest is to be added, so that nobody else adds to the same file. Gives the
 * items still to be fetched: some may turn out to be whole.
 */
async function withBeginnings(store: Store, items: Wanted[], place: (item: Wanted) => string): Promise<Wanted[]> {
  const rest: Wanted[] = [];
  for (const item of items) {
    await rename(join(beginnings(store), item.sha256), place(item)).catch(() => {});
    const info = await stat(place(item)).catch(() => undefined);
    const maybeWhole = info !== undefined && (item.size === 0 || info.size >= item.size);
    if (maybeWhole && (await keepIfWhole(store, place(item), item.sha256))) continue;
    if (maybeWhole && item.size > 0) await rm(place(item), { force: true });
    rest.push(item);
  }
  return rest;
}

/** Puts what lies in a work folder away for the next time; apt has renamed what was wrong to NAME.FAILED. */
async function keepBeginnings(store: Store, dir: string): Promise<void> {
  await mkdir(beginnings(store), { recursive: true });
  for (const name of await readdir(dir)) {
    if (/^[0-9a-f]{64}$/.test(name)) await rename(join(dir, name), join(beginnings(store), name));
  }
  await rm(dir, { recursive: true, force: true });
}

/** Collects what killed processes have left, and drops what was forgotten. */
async function collectAbandoned(store: Store): Promise<void> {
  await mkdir(beginnings(store), { recursive: true });
  for (const name of abandoned(await readdir(store.tmp), WORK)) {
    await keepBeginnings(store, join(store.tmp, name)).catch(() => {});
  }
  for (const name of await readdir(beginnings(store))) {
    const file = join(beginnings(store), name);
    // The time of the last change of the file's name: its own time is the server's, by which apt knows that it may go on.
    const info = await stat(file).catch(() => undefined);
    if (info && Date.now() - info.ctimeMs > FORGOTTEN) await rm(file, { force: true });
  }
}

function downloadError(failed: Wanted[], stderr: string, exitCode: number): PiimgError {
  const reason = (url: string): string => {
    const line = stderr.split('\n').find((text) => text.startsWith('E: Failed to fetch') && text.includes(url));
    return line?.split(url)[1]?.trim() ?? `apt-helper ended with status ${exitCode}`;
  };
  const reasons = failed.map(({ url }) => reason(url));
  return new PiimgError(
    failed.length === 1
      ? `${failed[0]?.label} could not be downloaded`
      : `${failed.length} files could not be downloaded`,
    {
      detail: failed.map(({ label, url }, i) => `${label}: ${reasons[i]}\n  ${url}`).join('\n'),
      hint: hintFor(reasons),
    },
  );
}

function hintFor(reasons: string[]): string {
  const some = (pattern: RegExp): boolean => reasons.some((reason) => pattern.test(reason));
  if (some(/\b404\b/)) return 'What the lock names has left the archive: `piimg update` resolves again.';
  if (some(/Hash Sum mismatch/))
    return 'The server sent other bytes than were signed or asked for: try again later, or another --mirror.';
  const certificate = hintForCertificate(reasons.join('\n'));
  if (certificate !== undefined) return certificate;
  return 'Run the command again: what has arrived is kept, and the rest is fetched.';
}
