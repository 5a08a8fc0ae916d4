// A data disk: formatted when it is empty, and mounted. One that holds anything is refused.
import { randomUUID } from 'node:crypto';
import { open, realpath } from 'node:fs/promises';
import { makeFolder } from '../durable.ts';
import type { Machine } from '../machine.ts';
import { Problem } from '../problem.ts';
import type { StepContext, StepKind, StepOf } from '../step.ts';
import { fstabLine, hasFstabLine, mountedAt, setFstabLine } from './fstab.ts';

type Disk = Pick<StepOf<'disk'>, 'device' | 'mount' | 'filesystem' | 'options'>;

/** What is remembered of a disk: a cut while it is formatted must not make it look like somebody's. */
interface Formatting {
  uuid: string;
  /** mkfs was begun, and is not known to have ended: only then may what lies there be half a file system of ours. */
  pending: boolean;
  size: number;
  serial: string;
}

export const disk: StepKind<StepOf<'disk'>, Disk> = {
  shares: 'fstab',
  prepare: ({ device, mount, filesystem, options }) => ({ device, mount, filesystem, options }),
  async check(wanted, context) {
    const { machine, memory } = context;
    const known = memory.get();
    if (known === undefined) return `${wanted.device} is not mounted on ${wanted.mount}`;
    const { uuid } = JSON.parse(known) as Formatting;
    if (!(await hasFstabLine(machine, lineOf(wanted, uuid)))) return `/etc/fstab does not mount ${wanted.mount}`;
    const mounted = await mountedAt(machine, wanted.mount);
    if (mounted === undefined) return `nothing is mounted on ${wanted.mount}`;
    return (await uuidOf(mounted, machine)) === uuid ? undefined : `${mounted} is mounted on ${wanted.mount}`;
  },
  async apply(wanted, context) {
    const { machine } = context;
    const device = await realpath(machine.at(wanted.device)).catch((error: unknown) => {
      throw new Problem(`There is no disk ${wanted.device}`, { hint: 'Is it plugged in? See: lsblk', cause: error });
    });
    const uuid = await formatted(wanted, device, context);
    await makeFolder(machine.at(wanted.mount));
    await setFstabLine(machine, lineOf(wanted, uuid));
    await machine.run(['systemctl', 'daemon-reload']);
    const mounted = await mountedAt(machine, wanted.mount);
    if (mounted === undefined) await machine.run(['mount', wanted.mount]);
    else if ((await uuidOf(mounted, machine)) !== uuid)
      throw new Problem(`${mounted} is mounted on ${wanted.mount}, not ${wanted.device}`, {
        hint: `Unmount it: sudo umount ${wanted.mount}. Then: piimg-firstboot retry`,
      });
  },
};

async function uuidOf(device: string, machine: Machine): Promise<string> {
  const { stdout } = await machine.run(['blkid', '--output', 'value', '--match-tag', 'UUID', machine.at(device)], {
    okCodes: [0, 2],
  });
  return stdout.trim();
}

const lineOf = ({ mount: where, filesystem: type, options }: Disk, uuid: string): string =>
  fstabLine({ what: `UUID=${uuid}`, where, type, options });

/** The file system's UUID; made if need be. */
async function formatted({ device: named, filesystem }: Disk, device: string, context: StepContext): Promise<string> {
  const { machine, memory } = context;
  const facts = await factsOf(device, machine);
  const known = memory.get();
  const before = known === undefined ? undefined : (JSON.parse(known) as Formatting);
  // mke2fs writes the superblock last: where it is, the rest is.
  if (before !== undefined && facts.uuid === before.uuid) return before.uuid;
  const resumed = before?.pending && before.size === facts.size && before.serial === facts.serial;
  // Half a file system of ours has no signature yet: one that is there is somebody's, who put another disk into the same reader.
  const found = facts.signature ?? (resumed ? undefined : await firstData(device, facts.size));
  if (found !== undefined) {
    throw new Problem(`${named} (${device}) holds data: ${found}. It is not formatted.`, {
      hint: `If nothing on it is needed: sudo blkdiscard -f ${device} || sudo dd if=/dev/zero of=${device} bs=4M. Then: piimg-firstboot retry`,
    });
  }
  const note: Formatting = {
    uuid: resumed ? before.uuid : randomUUID(),
    pending: true,
    size: facts.size,
    serial: facts.serial,
  };
  await memory.set(JSON.stringify(note));
  await machine.run([`mkfs.${filesystem}`, '-q', '-F', '-U', note.uuid, device]);
  await machine.run(['sync', device]);
  await memory.set(JSON.stringify({ ...note, pending: false }));
  return note.uuid;
}

interface Facts {
  size: number;
  serial: string;
  uuid: string | undefined;
  /** What blkid takes it for: a file system, a partition table. */
  signature: string | undefined;
}

async function factsOf(device: string, machine: Machine): Promise<Facts> {
  const listed = await machine.run([
    'lsblk',
    '--bytes',
    '--json',
    '--output',
    'PATH,SIZE,SERIAL,MOUNTPOINTS,RO,PKNAME',
    device,
  ]);
  const [disk] = (JSON.parse(listed.stdout) as { blockdevices: Listed[] }).blockdevices;
  if (!disk) throw new Problem(`${device} is no disk`);
  if (disk.children?.length)
    throw new Problem(`${device} has partitions: ${disk.children.map(({ path }) => path).join(', ')}`, {
      hint: 'Name one that is empty, or another disk.',
    });
  if (disk.mountpoints.some((place) => place !== null))
    throw new Problem(`${device} is in use: mounted on ${disk.mountpoints.join(', ')}`);
  if (disk.ro) throw new Problem(`${device} can only be read`, { hint: 'Check its lock switch, and `dmesg`.' });
  // 2: nothing was found; 8: more than one thing, which is something.
  const probed = await machine.run(['blkid', '--probe', '--output', 'export', device], { okCodes: [0, 2, 8] });
  const tags = Object.fromEntries(probed.stdout.split('\n').map((line) => line.split('=', 2))) as Record<
    string,
    string
  >;
  const type = tags.TYPE ?? (tags.PTTYPE === undefined ? undefined : `a partition table (${tags.PTTYPE})`);
  const label = tags.LABEL === undefined ? '' : ` “${tags.LABEL}”`;
  const signature = probed.code === 8 ? 'more than one file system' : type && `${type}${label}`;
  return { size: disk.size, serial: disk.serial ?? '', uuid: tags.UUID, signature };
}

interface Listed {
  path: string;
  size: number;
  serial: string | null;
  mountpoints: (string | null)[];
  ro: boolean;
  children?: Listed[];
}

/** Bytes looked at in one place, and in how many: all of the beginning, where tables and the first partition are, then samples. */
const SAMPLE = 1 << 20;
const FIRST = 32;
const SAMPLES = 96;

/** Where there is something else than zeros (or the ones of erased flash), looking at both ends and between; undefined: nowhere. */
async function firstData(device: string, size: number): Promise<string | undefined> {
  const disk = await open(device, 'r');
  // One for all: this machine's memory is small.
  const buffer = Buffer.alloc(SAMPLE);
  try {
    for (let sample = 0; sample < SAMPLES; sample++) {
      const even = Math.floor((Math.max(0, size - SAMPLE) * sample) / (SAMPLES - 1) / 512) * 512;
      const at = sample < FIRST ? sample * SAMPLE : even;
      const { bytesRead } = await disk.read(buffer, 0, SAMPLE, at);
      const bytes = buffer.subarray(0, bytesRead);
      const [first = 0] = bytes;
      if ((first !== 0 && first !== 0xff) || bytes.some((byte) => byte !== first)) return `bytes at ${at} of ${size}`;
    }
  } finally {
    await disk.close();
  }
  return undefined;
}
