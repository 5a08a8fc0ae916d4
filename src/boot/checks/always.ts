// What is true of every healthy machine, whatever its role: all units, cloud-init, the first boot, the grown root file system, no passwords.
import { run } from '../../host/exec.ts';
import type { Result } from '../../lib/first-boot.ts';
import type { Attempt, Look } from '../retry.ts';
import { type Session, sshCommand } from '../session.ts';
import { excerpt } from './kind.ts';

/** Once the system has started: `degraded` is systemd's word for a unit that has failed. */
export async function lookAtUnits(session: Session, attempt: Attempt): Promise<Look> {
  const { stdout } = await session.ask(
    'systemctl is-system-running; systemctl list-units --failed --plain --no-legend --no-pager',
    attempt,
  );
  const [state = '', ...failed] = stdout.trimEnd().split('\n');
  const names = failed.map((line) => line.split(' ')[0]).filter(Boolean);
  const seen = names.length === 0 ? state : `${state}: ${names.join(', ')} failed`;
  return { ok: state === 'running' && names.length === 0, seen, final: !/^(initializing|starting)$/.test(state) };
}

/** The parts of `cloud-init status --format=json` that are read. */
interface CloudInitStatus {
  status: string;
  datasource: string;
  errors: string[];
  recoverable_errors: Record<string, string[]>;
}

/** It has finished without errors, with the seed of the card. Before it has, its slow program is not even started. */
export async function lookAtCloudInit(session: Session, attempt: Attempt): Promise<Look> {
  const { stdout } = await session.ask(
    'if [ -e /run/cloud-init/result.json ]; then cloud-init status --format=json; else echo running; fi',
    attempt,
  );
  if (stdout.trim() === 'running') return { ok: false, seen: 'still running' };
  const { status, datasource, errors, recoverable_errors: recovered } = JSON.parse(stdout) as CloudInitStatus;
  const complaints = [...errors, ...Object.values(recovered).flat()];
  const seen = [`${status} (${datasource})`, ...complaints.map(excerpt)].join(', ');
  return {
    ok: status === 'done' && datasource === 'nocloud' && complaints.length === 0,
    seen,
    final: status !== 'running',
  };
}

/** The machine has become its role, as the agent says; an image that an older piimg has built has none. */
export async function lookAtFirstBoot(session: Session, attempt: Attempt): Promise<Look> {
  const { stdout } = await session.ask(
    'if [ ! -e /usr/sbin/piimg-firstboot ]; then echo none; else systemctl is-active piimg-firstboot; cat /var/lib/piimg/result.json 2>/dev/null; fi',
    attempt,
  );
  const text = stdout.trim();
  if (text === 'none') return { ok: true, seen: 'this image has no first-boot agent' };
  const [state = '', ...lines] = text.split('\n');
  // What an earlier boot has left says nothing of this one.
  if (state === 'activating') return { ok: false, seen: 'still at work' };
  if (lines.length === 0) return { ok: false, seen: 'not begun yet' };
  const { status, seconds, steps, failure } = JSON.parse(lines.join('\n')) as Result;
  const step = failure?.step === undefined ? '' : `step ${failure.step}: `;
  const seen = failure ? `${step}${excerpt(failure.message)}` : `${status}: ${steps.length} steps in ${seconds} s`;
  return { ok: status === 'applied', seen, final: status === 'failed' && state === 'failed' };
}

/** Bytes at the end of a card that may stay free: growpart and the alignment of partitions leave up to this. */
const SLACK = 4 * 2 ** 20;
/** What of a partition ext4 gives to files at least; the rest is its own tables. */
const USABLE = 0.9;

/** Partition and file system of the root reach to the end of a card of that many bytes. */
export async function lookAtRoot(session: Session, cardSize: number, attempt: Attempt): Promise<Look> {
  const { stdout } = await session.ask(
    'cd /sys/class/block/"$(basename "$(findmnt --noheadings --output SOURCE /)")" && cat start size && stat --file-system --format="%S %b" /',
    attempt,
  );
  const [start = 0, sectors = 0, block = 0, blocks = 0] = stdout.split(/\s+/).map(Number);
  const [end, length, files] = [(start + sectors) * 512, sectors * 512, block * blocks];
  const mebibytes = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MiB`;
  return {
    ok: end > cardSize - SLACK && files > USABLE * length,
    seen: `${mebibytes(files)} for files in ${mebibytes(length)}, of a card of ${mebibytes(cardSize)}`,
  };
}

/** ssh offers nobody a password, and nobody has one. */
export async function lookAtPasswords(session: Session, attempt: Attempt): Promise<Look> {
  for (const user of ['root', session.login.user]) {
    const methods = await offered(session, user, attempt);
    if (methods === undefined) return { ok: false, seen: `${user} may log in by ssh without key or password` };
    if (/password|keyboard/.test(methods)) return { ok: false, seen: `ssh offers ${user} ${methods}` };
  }
  // No hash leaves the machine: the names do.
  const { stdout } = await session.ask(`awk -F: '$2 !~ /^[!*]/ { print $1 }' /etc/shadow`, attempt);
  const users = stdout.trim().split('\n').filter(Boolean);
  return { ok: users.length === 0, seen: users.length === 0 ? 'keys only' : `with a password: ${users.join(', ')}` };
}

/** The ways to log in that sshd names when it refuses one without a key; undefined when it did not refuse. */
async function offered({ login }: Session, user: string, { signal }: Attempt): Promise<string | undefined> {
  const command = sshCommand({ ...login, user }, ['-o', 'PubkeyAuthentication=no'], 'true');
  const { exitCode, stderr } = await run(command, { okCodes: [0, 255], signal });
  if (exitCode === 0) return undefined;
  const methods = /Permission denied \(([^)]*)\)/.exec(stderr)?.[1];
  if (methods === undefined) throw new Error(stderr.trim());
  return methods;
}
