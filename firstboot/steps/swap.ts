// Swap: compressed memory, or a file on the card.
import { open, readFile, rm, stat } from 'node:fs/promises';
import { makeFolder, writeDurably } from '../durable.ts';
import type { Machine } from '../machine.ts';
import type { StepKind, StepOf } from '../step.ts';
import { fstabLine, hasFstabLine, setFstabLine } from './fstab.ts';

interface Swap {
  kind: 'zram' | 'file';
  bytes: number;
}

const FILE = '/var/swap/piimg';
const UNIT = 'piimg-zram.service';
const LINE = fstabLine({ what: FILE, where: 'none', type: 'swap', options: ['sw'] });

/** Admin guide, blockdev/zram: algorithm and size are set before it is used. It goes before any swap on a disk. */
const zramUnit = (bytes: number): string => `[Unit]
Description=Swap in compressed memory
DefaultDependencies=no
After=systemd-modules-load.service
Before=swap.target umount.target
Conflicts=umount.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -ec 'modprobe zram num_devices=1; echo 1 >/sys/block/zram0/reset; echo zstd >/sys/block/zram0/comp_algorithm || :; echo ${bytes} >/sys/block/zram0/disksize; mkswap /dev/zram0; swapon --priority 100 /dev/zram0'
ExecStop=/bin/sh -ec 'swapoff /dev/zram0; echo 1 >/sys/block/zram0/reset'

[Install]
WantedBy=swap.target
`;

export const swap: StepKind<StepOf<'swap'>, Swap> = {
  shares: 'fstab',
  prepare: ({ kind, size }) => ({ kind, bytes: Number.parseInt(size, 10) * (size.endsWith('G') ? 2 ** 30 : 2 ** 20) }),
  async check({ kind, bytes }, { machine }) {
    if (!(await inUse(machine, kind === 'zram' ? '/dev/zram0' : FILE))) return 'the swap is not in use';
    if (kind === 'file') {
      if ((await stat(machine.at(FILE))).size !== bytes) return `${FILE} has another size`;
      return (await hasFstabLine(machine, LINE)) ? undefined : `/etc/fstab does not name ${FILE}`;
    }
    const found = await readFile(machine.at(`etc/systemd/system/${UNIT}`), 'utf8').catch(() => '');
    return found === zramUnit(bytes) ? undefined : `${UNIT} is another`;
  },
  async apply({ kind, bytes }, { machine }) {
    if (kind === 'zram') {
      await writeDurably(machine.at(`etc/systemd/system/${UNIT}`), zramUnit(bytes), { mode: 0o644, uid: 0, gid: 0 });
      await machine.run(['systemctl', 'daemon-reload']);
      await machine.run(['systemctl', 'enable', UNIT]);
      await machine.run(['systemctl', 'restart', UNIT]);
      return;
    }
    await makeFolder(machine.at('/var/swap'), { mode: 0o700, uid: 0, gid: 0 });
    if (await inUse(machine, FILE)) await machine.run(['swapoff', FILE]);
    const at = machine.at(FILE);
    await rm(at, { force: true });
    await (await open(at, 'wx', 0o600)).close();
    // Allocated, not sparse: the kernel refuses a swap file with holes (mkswap(8)).
    await machine.run(['fallocate', '--length', String(bytes), at]);
    await machine.run(['mkswap', '--quiet', at]);
    await machine.run(['swapon', at]);
    await setFstabLine(machine, LINE);
  },
};

async function inUse(machine: Machine, name: string): Promise<boolean> {
  const lines = (await readFile(machine.at('proc/swaps'), 'utf8')).split('\n').slice(1);
  return lines.some((line) => line.split(/\s+/)[0] === name);
}
