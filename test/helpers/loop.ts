// A card of a reader: a loop device over a file, which only root can make, and its root partition mounted as a desktop does.
import { execa } from 'execa';
import { asRoot } from './as-root.ts';

async function sh(script: string, ...args: string[]): Promise<string> {
  const [program = '', ...command] = asRoot(['sh', '-euc', script, 'sh', ...args]);
  return (await execa(program, command, { timeout: 60_000 })).stdout;
}

export async function withLoop<T>(file: string, use: (device: string) => Promise<T>): Promise<T> {
  const device = (await sh('losetup --find --show "$1"', file)).trim();
  try {
    return await use(device);
  } finally {
    await sh('losetup --detach "$1"', device);
  }
}

/** The node is made by hand where no udev does; the loop may have an older one's partition. */
const MOUNT = `
name=$(basename "$1"); mkdir "$2"
delpart "$1" 2 2>/dev/null || true
addpart "$1" 2 "$3" "$4"
mknod "$2.device" b $(tr : ' ' < "/sys/block/$name/\${name}p2/dev")
mount -o ro,noload "$2.device" "$2"
`;

/** With the ext4 of the second partition mounted at `place`, a new folder. LBA and sectors are those of the partition. */
export async function withRootMounted<T>(
  device: string,
  { place, start, sectors }: { place: string; start: number; sectors: number },
  use: () => Promise<T>,
): Promise<T> {
  await sh(MOUNT, device, place, String(start), String(sectors));
  try {
    return await use();
  } finally {
    await sh('umount "$1"', place);
  }
}
