// One boot of the card, judged: from the first login to the sound file systems after power-off.
import type { HealthCheck } from '../../role/schema/health.ts';
import { PiimgError } from '../../lib/errors.ts';
import type { Guest } from '../guest.ts';
import type { BootRun, CheckResult, Reason } from '../report.ts';
import { type Attempt, type Look, type Patience, wordsOf } from '../retry.ts';
import { type Login, type Session, withSession } from '../session.ts';
import { lookAtCloudInit, lookAtFirstBoot, lookAtPasswords, lookAtRoot, lookAtUnits } from './always.ts';
import { judgeHealth } from './health.ts';
import { type ExpectedIdentity, type Identity, judgeIdentity, readIdentity } from './identity.ts';
import { judge, type Timing } from './judge.ts';
import { type Outside, withOutside } from './outside/endpoint.ts';
import { judgePowerOff, type PowerOff } from './power-off.ts';
import { readPlot, readTimes } from './times.ts';

export interface Expected extends PowerOff {
  health: HealthCheck[];
  /** Bytes. */
  cardSize: number;
  identity: ExpectedIdentity;
  /** The test's own user and key, in the seed. */
  login: Omit<Login, 'port'>;
  /** Whether cloud-init is to be done; else its base's own first boot was told of the login. */
  cloudInit: boolean;
  /** The wire of the machine's second network card, where it has one. */
  segment?: { file: string; mac: string };
  /** Seconds for the first login, and from it until all units have started; a machine that hangs is told by `guest` sooner. */
  patience: number;
  /** Whether systemd is to draw the boot: half a minute of an emulated machine's time. */
  plot: boolean;
}

export type JudgedBoot = Pick<BootRun, 'checks' | 'times' | 'plot'> & {
  identity?: Identity;
  reason?: Reason;
  /** What could not be learned, and changes nothing in the verdict. */
  notes: string[];
};

/** Judges the boot that `guest` is, and switches it off. What the machine does wrong is in the result; other failures are thrown. */
export async function judgeBoot(
  guest: Guest,
  expected: Expected,
  onResult?: (result: CheckResult) => void,
): Promise<JudgedBoot> {
  const boot: JudgedBoot = { checks: [], times: {}, notes: [] };
  const gone = new AbortController();
  void guest.ended.then((reason) => gone.abort(reason));
  const timing: Timing = {
    elapsed: () => (Date.now() - guest.poweredOn) / 1000,
    signal: gone.signal,
    ...(onResult && { onResult }),
  };
  const login = { ...expected.login, port: guest.ports[22] ?? 0 };
  const { signal } = gone;
  let loggedIn = false;
  try {
    await withSession({ login, seconds: expected.patience, signal }, (session) => {
      loggedIn = true;
      const segment = expected.segment && { ...expected.segment, givesAddress: !expected.cloudInit };
      return withSecondNetwork(segment, (outside) => judgeStarted(boot, guest, session, outside, expected, timing));
    });
  } catch (error) {
    const end = signal.aborted ? await guest.ended : undefined;
    // What cannot be asked of a machine that has failed, or that takes no login, is no failure of this computer's.
    if (end !== undefined) boot.reason = end;
    else if (signal.aborted || loggedIn || !(error instanceof PiimgError)) throw error;
    else boot.reason = { code: 'timeout', message: error.message };
  }
  if (signal.aborted) boot.reason ??= await guest.ended;
  boot.reason ??= firstFailure(boot.checks);
  return boot;
}

/** Seconds for what is true of a machine as soon as it has started: a look may still fail by chance. */
const SOON = 20;

const withSecondNetwork = <T>(segment: Expected['segment'], work: (outside?: Outside) => Promise<T>): Promise<T> =>
  segment === undefined ? work() : withOutside(segment, work);

async function judgeStarted(
  boot: JudgedBoot,
  guest: Guest,
  session: Session,
  outside: Outside | undefined,
  expected: Expected,
  timing: Timing,
): Promise<void> {
  const always = (name: string, look: (attempt: Attempt) => Promise<Look>, patience: Patience) =>
    judge({ name, kind: 'always' }, look, timing, patience);
  const patient = { within: expected.patience };
  const started = always('all units have started', (attempt) => lookAtUnits(session, attempt), patient);
  const soon = { within: SOON, from: started };
  const health = judgeHealth(
    { ports: guest.ports, session, ...(outside && { outside }) },
    expected.health,
    timing,
    started,
  );
  const others = [
    ...(expected.cloudInit
      ? [always('cloud-init is done', (attempt) => lookAtCloudInit(session, attempt), patient)]
      : []),
    always('the machine is its role', (attempt) => lookAtFirstBoot(session, attempt), patient),
    always('root fills the card', (attempt) => lookAtRoot(session, expected.cardSize, attempt), soon),
    always('nobody has a password', (attempt) => lookAtPasswords(session, attempt), soon),
    always(
      'first' in expected.identity ? 'identity of the first boot' : 'identity of its own',
      async (attempt) => {
        boot.identity = await readIdentity(session, attempt);
        return judgeIdentity(boot.identity, expected.identity);
      },
      soon,
    ),
  ];
  boot.checks = await Promise.all([started, ...others]);
  const healthy = await health;
  boot.checks.push(...healthy);
  if (timing.signal?.aborted) return;
  boot.checks.push(await always('no unit has failed since', (attempt) => lookAtUnits(session, attempt), soon));
  boot.times = (await noted(boot, 'boot times', readTimes(session, timing.elapsed))) ?? {};
  const passed = healthy.filter(({ status }) => status === 'passed');
  if (passed.length > 0 && healthy.every(({ status }) => status !== 'failed'))
    boot.times.health = Math.max(...passed.map(({ at }) => at));
  const plot = expected.plot ? await noted(boot, 'drawing of the boot', readPlot(session)) : undefined;
  if (plot !== undefined) boot.plot = plot;
  const { checks, seconds } = await judgePowerOff(guest, session, expected, timing);
  boot.checks.push(...checks);
  if (seconds !== undefined) boot.times.powerOff = seconds;
}

/** What it resolves with; a rejection is a note, as no check depends on it. */
function noted<T>({ notes }: JudgedBoot, what: string, reading: Promise<T>): Promise<T | undefined> {
  return reading.catch((error: unknown) => {
    notes.push(`The ${what} could not be read from the machine: ${wordsOf(error)}`);
    return undefined;
  });
}

/** The first in time: others may follow from it. */
function firstFailure(checks: CheckResult[]): Reason | undefined {
  const [first] = checks.filter(({ status }) => status === 'failed').sort((a, b) => a.at - b.at);
  return first && { code: 'check', message: `${first.name}: ${first.seen}` };
}
