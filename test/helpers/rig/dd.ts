// Reads and writes a device past every cache, by dd: an ordinary user's tests need sudo for it.
import { run, type Running } from '../../../src/host/exec.ts';
import { asRoot } from '../as-root.ts';

/** Whole sectors at `offset`; resolves when the device has flushed them. */
export function put(device: string, offset: number, bytes: Uint8Array): Running {
  const flags = ['oflag=direct,seek_bytes', 'iflag=fullblock', 'conv=fsync'];
  return run(asRoot(['dd', `of=${device}`, 'bs=1M', `seek=${offset}`, ...flags, 'status=none']), { input: bytes });
}

/** Whole sectors at `offset`. */
export async function get(device: string, offset: number, length: number): Promise<Buffer> {
  const flags = ['iflag=direct,skip_bytes,count_bytes', `skip=${offset}`, `count=${length}`];
  const dd = run(asRoot(['dd', `if=${device}`, 'bs=1M', ...flags, 'status=none']), { stdout: 'stream' });
  const [pieces] = await Promise.all([dd.stdout.toArray() as Promise<Buffer[]>, dd]);
  return Buffer.concat(pieces);
}
