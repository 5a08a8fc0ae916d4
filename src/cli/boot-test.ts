// A boot test: the image's own card in a machine of QEMU, from the firmware's choice to sound file systems after power-off.
import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { makeCard } from '../boot/card.ts';
import { judgeBoot, type JudgedBoot } from '../boot/checks/boot.ts';
import { portsOf } from '../boot/checks/health.ts';
import type { ExpectedIdentity, Identity } from '../boot/checks/identity.ts';
import { judgeLogin } from '../boot/checks/login.ts';
import { MACHINE_ADDRESS } from '../boot/checks/outside/endpoint.ts';
import type { BootFiles } from '../boot/command-line.ts';
import { startFiles } from '../boot/firmware/start.ts';
import { reasonOf } from '../boot/firmware/would-not-boot.ts';
import type { Guest } from '../boot/guest.ts';
import {
  cardSize,
  chooseAccelerator,
  notExercised,
  qemuFor,
  thisHost,
  type Accelerator,
  type Machine,
} from '../boot/machine.ts';
import { withGuest } from '../boot/qemu.ts';
import type { BootReport, BootRun, Reason } from '../boot/report.ts';
import { makeSeedKey, TEST_USER, type SeedKey } from '../boot/seed-key.ts';
import { diskFull, isDiskFull, requireSpace, type SpaceNeed } from '../host/space.ts';
import { makeWorkFolder } from '../host/work-folder.ts';
import { hasPlaces } from '../image/header.ts';
import { SECTOR } from '../image/mbr.ts';
import { digestOfFile } from '../lib/digest.ts';
import type { Step } from '../lib/progress.ts';
import { loginSeed } from '../seed/login.ts';
import { withBootPartition } from './boot-partition.ts';
import type { BootImage } from './boot-image.ts';
import { loginPatches, throughFirstBoot } from './own-first-boot.ts';

/** Seconds for the first login, and as many until all has started: an emulated Pi on a busy machine takes minutes. */
const PATIENCE = 900;
/** Seconds for power-off: longer than systemd gives a unit that does not stop (90). */
const POWER_OFF = 150;

export interface BootTestOptions {
  machine: Machine;
  /** A second boot, which must be that of the same machine. */
  reboot: boolean;
  /** Machines of other tests, whom this one must not resemble; it is added to them. */
  met: Identity[];
  step: Step;
  signal: AbortSignal;
}

/** Everything that is known and made before the power goes on. */
export interface Bench {
  machine: Machine;
  accelerator: Accelerator;
  boot: BootFiles;
  warnings: string[];
  card: string;
  key: SeedKey;
  instanceId: string;
  folder: string;
  segment: boolean;
}

/**
 * Boots `image` and judges it. What the machine does wrong, and a card that no Pi would start, is in the report; a missing tool, a
 * full disk and the like are thrown. Nothing is written to the image.
 */
export async function testBoot(image: BootImage, options: BootTestOptions): Promise<BootReport> {
  const { machine, step, signal } = options;
  const needs = [roomToRun(), roomToCheck(image)];
  await requireSpace(needs, MAKE_ROOM);
  const started = Date.now();
  const sha256 = await digestOfFile(image.file);
  const accelerator = chooseAccelerator(machine, await thisHost());
  const { role, base, buildId } = image;
  const report: Omit<BootReport, 'verdict' | 'seconds'> = {
    version: 1,
    image: { file: path.basename(image.file), sha256, role, base, buildId },
    machine: { name: machine.name, title: machine.title, accelerator: accelerator.name, qemu: await qemuFor(machine) },
    boots: [],
    warnings: [],
    notExercised: [...notExercised(machine, accelerator), ...unverified(image)],
    started: started / 1000,
  };
  const folder = await makeWorkFolder('boot');
  let reason: Reason | undefined;
  const consoles: string[] = [];
  try {
    const bench = await makeBench(image, machine, accelerator, {
      folder,
      consoles,
      signal,
      tell: (message) => step.update({ message }),
    });
    report.warnings.push(...bench.warnings);
    const known: Identity[] = [];
    for (let boot = 0; boot <= (options.reboot ? 1 : 0) && reason === undefined; boot++) {
      step.update({ message: boot === 0 ? 'switched on' : 'switched on again' });
      const [first] = known;
      const fresh = { instanceId: bench.instanceId, inImage: image.identity, met: options.met };
      const judged = await runBoot(image, bench, { step, signal }, first === undefined ? fresh : { first });
      report.boots.push(judged.run);
      report.warnings.push(...judged.notes);
      if (judged.identity) known.push(judged.identity);
      reason = judged.reason;
    }
    // Healthy by the checks that are always made; nobody knows the others.
    if (image.unread !== undefined) reason ??= { code: 'root-damaged', message: image.unread, hint: UNREAD };
  } catch (error) {
    if (isDiskFull(error)) throw await diskFull(needs, error, MAKE_ROOM);
    reason = reasonOf(error);
    if (reason === undefined) throw error;
    // Of a first boot of its base's that went wrong there is nothing else.
    const [said] = consoles.slice(-1);
    if (said !== undefined && report.boots.length === 0) report.boots.push({ checks: [], times: {}, console: said });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  signal.throwIfAborted();
  if ((await digestOfFile(image.file)) !== sha256) {
    reason = {
      code: 'image-changed',
      message: `${report.image.file} is not what it was before the test`,
      hint: 'Did something else write to it? Build it again.',
    };
  }
  return {
    ...report,
    verdict: reason === undefined ? 'passed' : 'failed',
    ...(reason && { reason }),
    seconds: (Date.now() - started) / 1000,
  };
}

/** What no test of piimg itself has had. */
const unverified = ({ raspberryPi = false }: BootImage): string[] =>
  raspberryPi
    ? [
        'Raspberry Pi OS itself: piimg was tried with look-alikes of its images. A real one is unverified until `npm run verify:raspios -- IMAGE` has run on it.',
      ]
    : [];

const UNREAD = 'Check the root file system with `e2fsck -fn`, or build the image again.';
const MAKE_ROOM = 'Make room, or choose another place for temporary files with TMPDIR.';
/** Bytes that the first boots of a card write to it: it grows, keeps a journal, unpacks caches. */
const WRITTEN = 512 * 2 ** 20;

const roomToRun = (): SpaceNeed => ({ folder: tmpdir(), bytes: WRITTEN, what: 'what the machine writes' });

/** Both file systems are copied out of the card. */
const roomToCheck = ({ allocated }: BootImage): SpaceNeed => {
  return { folder: tmpdir(), bytes: allocated + WRITTEN, what: 'its file systems, to be checked' };
};

/** Throws PiimgError when a machine has no room to run in. */
export function requireRoomToRun(): Promise<void> {
  return requireSpace([roomToRun()], MAKE_ROOM);
}

/**
 * Makes the throw-away card with a login of its own, and reads it as the firmware would. Where its base's own first boot has to be told of
 * that, it is over by then.
 */
export async function makeBench(
  image: BootImage,
  machine: Machine,
  accelerator: Accelerator,
  {
    folder,
    consoles = [],
    signal,
    tell,
  }: { folder: string; consoles?: string[]; signal: AbortSignal; tell: (message: string) => void },
): Promise<Bench> {
  const key = await makeSeedKey(folder);
  const instanceId = `piimg-test-${randomBytes(8).toString('hex')}`;
  // A second network card costs boot time: only where something has to be seen from outside.
  const segment = image.health.some(({ check }) => check === 'closed');
  const own = !hasPlaces(image);
  const patches = own
    ? await loginPatches(image.file, { node: instanceId, user: TEST_USER, key: key.public }, signal)
    : seedPatches(image, machine, { instanceId, key, segment });
  const card = await makeCard(machine, image.file, folder, patches);
  const { boot, warnings } = own
    ? await throughFirstBoot({ image, machine, accelerator, card, folder, consoles }, { signal, tell })
    : await withBootPartition(image.file, (partition) => startFiles(partition, machine, folder));
  return {
    machine,
    accelerator,
    boot,
    warnings: [...image.warnings, ...warnings],
    card,
    key,
    instanceId,
    folder,
    segment,
  };
}

function seedPatches(
  { slots, role: hostname, raspberryPi = false }: BootImage,
  { network }: Machine,
  { instanceId, key, segment }: Pick<Bench, 'instanceId' | 'key' | 'segment'>,
): { offset: number; content: Buffer }[] {
  const fixed = segment && network ? [{ mac: network.macs[1], addresses: [MACHINE_ADDRESS] }] : [];
  const user = { user: TEST_USER, keys: [key.public] };
  const seed = loginSeed(slots, { instanceId, hostname, ...user, fixed, raspberryPi });
  return seed.map(({ slot, content }) => ({ offset: slot.offset, content }));
}

async function runBoot(
  image: BootImage,
  bench: Bench,
  { step, signal }: Pick<BootTestOptions, 'step' | 'signal'>,
  identity: ExpectedIdentity,
): Promise<{ run: BootRun; notes: string[]; identity?: Identity; reason?: Reason }> {
  const { machine, key, folder } = bench;
  const [boot, root] = image.partitions;
  const expected = {
    health: image.health,
    cardSize: cardSize(machine, image.size),
    partitions: {
      boot: { offset: (boot?.start ?? 0) * SECTOR, length: (boot?.sectors ?? 0) * SECTOR },
      root: { offset: (root?.start ?? 0) * SECTOR },
    },
    identity,
    cloudInit: hasPlaces(image),
    login: { user: TEST_USER, key: key.file },
    patience: PATIENCE,
    powerOff: POWER_OFF,
    folder,
    plot: !('first' in identity),
  };
  const forward = [...new Set([22, ...portsOf(image.health)])];
  return withGuest({ ...bench, forward, signal }, async (guest) => {
    const stop = tellFirstSigns(guest, step);
    const onResult = ({ status, name }: { status: string; name: string }) =>
      step.update({ message: `${status}: ${name}` });
    const wire = guest.segment && { segment: guest.segment };
    const judge: Promise<JudgedBoot> =
      machine.reaches === 'login' ? judgeLogin(guest, PATIENCE) : judgeBoot(guest, { ...expected, ...wire }, onResult);
    const { checks, times, plot, notes, reason, identity: found } = await judge.finally(stop);
    const marked = guest.marked();
    const run: BootRun = {
      checks,
      times,
      console: await guest.console(),
      ...(plot && { plot }),
      ...(marked && { marked }),
    };
    return { run, notes, ...(found && { identity: found }), ...(reason && { reason }) };
  });
}

/** Until the first result, the console's last line says that something is going on. */
function tellFirstSigns(guest: Guest, step: Step): () => void {
  const timer = setInterval(() => {
    void guest.console().then((text) => step.update({ message: text.trimEnd().split('\n').at(-1) ?? '' }));
  }, 2000);
  return () => clearInterval(timer);
}
