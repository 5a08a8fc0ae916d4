// Tells when a lock has become old, or security updates are waiting; never stands in a build's way.
import { securityUpdates } from '../base/updates.ts';
import type { Lock } from '../base/lock.ts';
import type { Progress } from '../lib/progress.ts';
import { archivesFor, inWorld, type LockRequest } from './locking.ts';

const DAY = 86_400_000;
/** Age in days from which a lock is called old. */
const OLD = 30;
/** How many packages are named. */
const NAMED = 5;

/** What to say about a lock's age; undefined when it is young. `now` in milliseconds. */
function ageAdvice(lock: Pick<Lock, 'created'>, now: number): string | undefined {
  const days = Math.floor((now - Date.parse(lock.created)) / DAY);
  return days > OLD ? `the lock is ${days} days old: \`piimg update\` resolves again` : undefined;
}

/** Notes an old lock and waiting security updates. Offline only the former: lists are fetched when they are older than a day. */
export async function adviseOnLock(lock: Lock, request: LockRequest, progress: Progress): Promise<void> {
  const old = ageAdvice(lock, Date.now());
  const waiting = await waitingUpdates(lock, request).catch(() => []);
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

async function waitingUpdates(lock: Lock, request: LockRequest): ReturnType<typeof securityUpdates> {
  const archives = await archivesFor(request);
  if (request.offline || !archives.some(({ suites }) => suites.some((suite) => suite.endsWith('-security')))) return [];
  const world = { architecture: request.base.architecture, archives, status: '' };
  const packages = [...lock.basePackages, ...lock.rolePackages];
  return inWorld(world, request, (apt) => securityUpdates(apt, packages), DAY);
}
