// One life of a card: switched on, waited for until it is its role, asked, switched off.
import path from 'node:path';
import { readCard } from '../../src/boot/card.ts';
import { withSession } from '../../src/boot/session.ts';
import { rm } from 'node:fs/promises';
import { checkFileSystems } from '../helpers/fsck.ts';
import { readBoot, readRoot, type ImageFile } from '../helpers/image-files.ts';
import { withQemu, type TestGuest } from '../helpers/qemu.ts';
import { LOOKED_INTO } from './differences.ts';
import type { Result } from '../../src/lib/first-boot.ts';
import { USER, type Subject } from './subject.ts';

/** What a machine is in the end. */
export interface Outcome {
  root: Map<string, ImageFile>;
  boot: Map<string, string>;
  /** `UNIT SUB-STATE` of every service and timer that is active or has failed. */
  units: string[];
  result: Pick<Result, 'status' | 'failure'>;
}

const ASK = `systemctl is-system-running --wait >/dev/null
systemctl list-units --type=service,timer --state=active,failed --plain --no-legend | awk '{ print $1, $4 }'; echo; cat /var/lib/piimg/result.json`;

/** For one life: two emulated Pis at a time, on a busy computer. */
const MINUTES = 30;

export interface Life {
  image: string;
  folder: string;
  writeLog?: string;
  /** Called while it runs. */
  watch?: (guest: TestGuest) => Promise<void>;
}

/** Throws Error with the console's end when it does not come up, does not go off, or leaves a file system that is not sound. */
export async function live({ key }: Subject, { image, folder, writeLog, watch }: Life): Promise<Outcome> {
  const options = {
    machine: 'virt',
    image,
    folder,
    minutes: MINUTES,
    forward: [22],
    ...(writeLog !== undefined && { writeLog }),
  };
  const { asked, card } = await withQemu(options, async (guest) => {
    const watching = watch?.(guest);
    const login = { port: guest.ports[22] ?? 0, user: USER, key: key.file };
    const stopped = new AbortController();
    // In emergency mode nobody ever logs in.
    void guest.ended.then((reason) => stopped.abort(new Error(reason?.message ?? 'the machine is off')));
    const { signal } = stopped;
    const { stdout } = await withSession({ login, seconds: MINUTES * 60, signal }, (session) =>
      session.ask(ASK, { seconds: MINUTES * 60 }),
    );
    await watching;
    await guest.powerOff(180);
    return { asked: stdout, card: guest.card };
  });
  const [units = ''] = asked.split('\n\n', 1);
  const raw = path.join(folder, 'after.raw');
  try {
    await readCard(card, raw);
    await checkFileSystems(raw);
    const boot = await readBoot(raw, path.join(folder, 'boot'));
    const { status, failure } = JSON.parse(asked.slice(units.length)) as Result;
    return {
      root: await readRoot(raw, { keep: LOOKED_INTO }),
      boot,
      units: units.split('\n').sort(),
      result: { status, ...(failure && { failure }) },
    };
  } finally {
    await rm(raw, { force: true });
  }
}
