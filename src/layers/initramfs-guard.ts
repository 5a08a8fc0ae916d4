// Looks into each generated initramfs: hooks copy programs into it, and one for the building machine would not run on a Pi.
import type { Sandbox } from '../sandbox/root.ts';
import type { Guard } from './guard.ts';
import { readTarFrom } from './tar-reader.ts';

/** Shows every file of every /boot/initrd.img-* to the guard. `trees` are the layers' trees, lowest first, the newest included. */
export async function guardInitramfs(
  sandbox: Sandbox,
  trees: string[],
  guard: Guard,
  signal: AbortSignal | undefined,
): Promise<void> {
  const script = [
    'mkdir /tmp/initramfs',
    // The image's own program knows how its initramfs is put together.
    'for file in /boot/initrd.img-*; do unmkinitramfs "$file" "/tmp/initramfs/${file##*/}"; done',
    'exec tar -c --format=posix -C /tmp/initramfs .',
  ].join('\n');
  const argv = ['sh', '-euc', script];
  const unpacked = sandbox.inRoot({ lowers: trees, overlay: 'native' }, { argv, stdout: 'stream', signal });
  let files = 0;
  await readTarFrom(unpacked, async ({ path, type }, data) => {
    if (type !== 'file') return;
    let head = Buffer.alloc(0);
    await data((chunk) => {
      if (head.length < HEAD) head = Buffer.concat([head, chunk.subarray(0, HEAD)]);
    });
    guard.look(`boot/${path}`, head, '');
    files++;
  });
  if (files === 0) throw new Error('the initramfs holds no files: the guard saw nothing');
}

/** An ELF header's first fields. */
const HEAD = 64;
