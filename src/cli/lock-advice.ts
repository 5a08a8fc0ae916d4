// Tells when a lock has become old, or security updates are waiting; never stands in a build's way.
import { mkdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { securityUpdates, type WaitingUpdate } from '../base/updates.ts';
import type { Lock } from '../base/lock.ts';
import { digestOf } from '../lib/digest.ts';
import type { Progress } from '../lib/progress.ts';
import { writeWhole } from '../lib/write-whole.ts';
import { readImageRecord } from './image-record.ts';
import { archivesFor, inWorld, type LockRequest } from './apt-world.ts';

const DAY = 86_400_000;
/** Age in days from which a lock is called old. */
const OLD = 30;
/** How many packages are named. */
const NAMED = 5;

/** What to say about a lock's age; undefined when it is young. `now` in milliseconds. */
export function ageAdvice({ created, checked = created }: Lock, now: number): string | undefined {
  const days = Math.floor((now - Date.parse(checked)) / DAY);
  return days > OLD ? `the lock is ${days} days old: \`piimg update\` resolves again` : undefined;
}

/**
 * Notes an old lock and waiting security updates. apt is asked for these once a day at most, on lists that are fetched when they are older
 * than a day; offline never. Gives up after `patience` milliseconds.
 */
export async function adviseOnLock(
  lock: Lock,
  request: LockRequest,
  progress: Progress,
  { patience }: { patience?: number } = {},
): Promise<void> {
  const old = ageAdvice(lock, Date.now());
  const limits = patience === undefined ? [] : [AbortSignal.timeout(patience)];
  const signal = AbortSignal.any([request.signal, ...limits]);
  const waiting = await waitingUpdates(lock, { ...request, signal }).catch(() => []);
  if (old === undefined && waiting.length === 0) return;
  await progress.step('updates', (step) => {
    if (old !== undefined) step.note(old);
    if (waiting.length > 0) {
      const names = waiting.slice(0, NAMED).map(({ name, to }) => `${name} ${to}`);
      const more = waiting.length > NAMED ? ` and ${waiting.length - NAMED} more` : '';
      step.note(`security updates are waiting: ${names.join(', ')}${more}; \`piimg update\` takes them`);
    }
    return Promise.resolve();
  });
}

async function waitingUpdates(lock: Lock, request: LockRequest): Promise<WaitingUpdate[]> {
  const { base, role, cacheDir, offline } = request;
  const record = lock.image && (await readImageRecord(cacheDir, lock.image.sha256));
  const ofBase = base.kind === 'packages' ? base.archives : (record?.archives ?? []);
  const suites = [...ofBase, ...role.aptSources].flatMap((archive) => archive.suites);
  if (!suites.some((suite) => suite.endsWith('-security'))) return [];
  const packages = [...lock.basePackages, ...lock.rolePackages];
  const file = path.join(cacheDir, 'updates', digestOf(packages));
  const known = await answerOfToday(file);
  if (known || offline) return known ?? [];
  const world = { architecture: base.architecture, archives: await archivesFor(request, record), status: '' };
  const waiting = await inWorld(world, request, (apt) => securityUpdates(apt, packages), DAY);
  await mkdir(path.dirname(file), { recursive: true });
  await writeWhole(file, JSON.stringify(waiting));
  return waiting;
}

/** What apt said less than a day ago: reading the lists takes it longer than all of a build that has nothing to do. */
async function answerOfToday(file: string): Promise<WaitingUpdate[] | undefined> {
  const answered = await stat(file).catch(() => undefined);
  if (!answered || Date.now() - answered.mtimeMs > DAY) return undefined;
  return JSON.parse(await readFile(file, 'utf8')) as WaitingUpdate[];
}
