// The initramfs, and the files the Pi's firmware reads.
import { PiimgError } from '../../lib/errors.ts';
import type { PlannedFile } from '../../plan/plan.ts';
import { clock, rootOf, type StepContext } from './context.ts';
import { guardInitramfs } from '../initramfs-guard.ts';
import { placeFiles } from './files.ts';

/** Runs initramfs generation once for every kernel, without raspi-firmware's hook: that is the boot layer's. */
export async function makeInitramfs(context: StepContext): Promise<string[]> {
  await context.sandbox.inRoot(rootOf(context, 'native'), {
    argv: [
      'sh',
      '-euc',
      // mkinitramfs instead of update-initramfs: the latter's hooks would write the firmware's files for the wrong disk.
      'for dir in /usr/lib/modules/*/kernel; do version=$(basename "$(dirname "$dir")"); depmod "$version"; mkinitramfs -o "/boot/initrd.img-$version" "$version"; done',
    ],
    env: clock(context),
    signal: context.signal,
    onLine: (line) => context.step.update({ message: line }),
  });
  const { sandbox, below, tree, guard, signal } = context;
  await guardInitramfs(sandbox, [...below.map((layer) => layer.tree), tree], guard, signal);
  return [];
}

/** Lets raspi-firmware's own hook fill /boot/firmware, so that a later kernel update on the Pi changes nothing unasked. */
export async function makeBootFiles(spec: { files: PlannedFile[] }, context: StepContext): Promise<string[]> {
  await placeFiles(spec.files, context);
  const hook = '/etc/kernel/postinst.d/z50-raspi-firmware';
  await context.sandbox
    .inRoot(rootOf(context, 'native'), {
      argv: [
        'sh',
        '-euc',
        `DEB_MAINT_PARAMS=configure ${hook}; test -s /boot/firmware/config.txt; test -s /boot/firmware/cmdline.txt`,
      ],
      env: clock(context),
      signal: context.signal,
    })
    .catch((error: unknown) => {
      throw new PiimgError('raspi-firmware could not fill the boot partition', {
        ...(error instanceof PiimgError && error.detail !== undefined && { detail: error.detail }),
        cause: error,
      });
    });
  return [];
}
