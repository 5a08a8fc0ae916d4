// The initramfs, and the files the Pi's firmware reads.
import { PiimgError } from '../../lib/errors.ts';
import type { PlannedFile } from '../../plan/plan.ts';
import type { LayerEntry } from '../layer.ts';
import { clock, rootOf, type StepContext } from './context.ts';
import { guardInitramfs } from '../initramfs-guard.ts';
import { placeFiles } from './files.ts';

/** Runs initramfs generation once for every kernel, without raspi-firmware's hook: that is the boot layer's. */
export async function makeInitramfs(context: StepContext): Promise<string[]> {
  const entries = await Promise.all(context.below.map((layer) => layer.entries));
  await context.sandbox.inRoot(rootOf(context, 'native'), {
    argv: [
      'sh',
      '-euc',
      // mkinitramfs instead of update-initramfs: the latter's hooks would write the firmware's files for the wrong disk.
      `indexed=" $* "
for dir in /usr/lib/modules/*/kernel; do
  version=$(basename "$(dirname "$dir")")
  case $indexed in *" $version "*) ;; *) depmod "$version" ;; esac
  mkinitramfs -o "/boot/initrd.img-$version" "$version"
done`,
      'sh',
      ...indexedKernels(entries),
    ],
    env: clock(context),
    signal: context.signal,
    onLine: (line) => context.step.update({ message: line }),
  });
  const { sandbox, below, tree, guard, signal } = context;
  await guardInitramfs(sandbox, [...below.map((layer) => layer.tree), tree], guard, signal);
  return [];
}

/** Kernels whose modules are as depmod has last seen them, by version. `layers`: entries of each, lowest first. */
export function indexedKernels(layers: LayerEntry[][]): string[] {
  const indexed = new Set<string>();
  for (const entries of layers) {
    const changed = entries.filter(({ type, opaque }) => type !== 'directory' || opaque);
    for (const { path, type } of changed) {
      const version = MODULES_DEP.exec(path)?.[1];
      if (version !== undefined && type === 'file') indexed.add(version);
      else if (version !== undefined) indexed.delete(version);
    }
    if (changed.some(({ path }) => FOR_ALL.test(path))) indexed.clear();
    for (const { path } of changed) indexed.delete(MODULE.exec(path)?.[1] ?? '');
  }
  return [...indexed];
}

const MODULES_DEP = /^usr\/lib\/modules\/([^/]+)\/modules\.dep$/;
/** depmod.d(5), and a whiteout of all modules. */
const FOR_ALL = /^((etc|usr\/lib|usr\/local\/lib)\/depmod\.d(\/|$)|usr\/lib\/modules$)/;
/** Anything there but the index and the package's own marks (.fresh-install); a whiteout of the folder itself as well. */
const MODULE = /^usr\/lib\/modules\/([^/]+)(?:$|\/(?!modules\.|\.))/;

/** cloud-init's schemas of what a seed may say, so that a seed can be checked before this card boots, on any computer. */
export const COPY_SCHEMAS = `mkdir -p /boot/firmware/piimg
for schema in schema-cloud-config-v1 schema-network-config-v2; do
  from=/usr/lib/python3/dist-packages/cloudinit/config/schemas/$schema.json
  [ ! -e "$from" ] || gzip -9nc "$from" >"/boot/firmware/piimg/$schema.json.gz"
done`;

/** Lets raspi-firmware's own hook fill /boot/firmware, so that a later kernel update on the Pi changes nothing unasked. */
export async function makeBootFiles(spec: { files: PlannedFile[] }, context: StepContext): Promise<string[]> {
  await placeFiles(spec.files, context);
  const hook = '/etc/kernel/postinst.d/z50-raspi-firmware';
  await context.sandbox
    .inRoot(rootOf(context, 'native'), {
      argv: [
        'sh',
        '-euc',
        `DEB_MAINT_PARAMS=configure ${hook}; test -s /boot/firmware/config.txt; test -s /boot/firmware/cmdline.txt
${COPY_SCHEMAS}`,
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
