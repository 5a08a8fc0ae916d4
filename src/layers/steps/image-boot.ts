// The boot files of a base that is an image: its own kernel, firmware and initramfs, with what the role and the disk change.
import { PiimgError } from '../../lib/errors.ts';
import type { ImageSpec } from '../../plan/image-base.ts';
import { guardInitramfs } from '../initramfs-guard.ts';
import type { LayerEntry } from '../layer.ts';
import { COPY_SCHEMAS } from './boot.ts';
import { cmdlineFor, configFor, fstabFor } from './boot-texts.ts';
import { clock, rootOf, type StepContext } from './context.ts';
import { placeFiles } from './files.ts';
import { readInside } from './read-inside.ts';

/**
 * What goes into an initramfs, or says what does (initramfs-tools(7)): a package that has anything to do there brings a hook. The
 * keyboard's settings are left out: every role writes them, and Debian's initramfs takes them for passwords of disks only.
 */
const IN_INITRAMFS = [
  /^(etc|usr\/share)\/initramfs-tools\//,
  /^usr\/lib\/(modules|firmware|modprobe\.d|udev)\//,
  /^etc\/(modprobe\.d|udev)\//,
  /^etc\/(crypttab|modules)$/,
  /^boot\/(vmlinuz|config)-/,
];

/** Whether layers on top of an image's change what its initramfs is made of. */
export function touchesInitramfs(layers: LayerEntry[][]): boolean {
  return layers.some((entries) =>
    entries.some(({ path, type }) => type !== 'directory' && IN_INITRAMFS.some((pattern) => pattern.test(path))),
  );
}

/**
 * `dep` looks at the machine it runs on for modules: a build has none (initramfs.conf(5)). Raspberry Pi OS has it too, which its makers switch
 * to when its initramfs is made (pi-gen, export-image/05-finalise/01-run.sh): a machine of the image makes its own by that again.
 */
const UPDATE = `
[ -x /usr/sbin/update-initramfs ] || exit 97
modules=$(
  for file in /etc/initramfs-tools/initramfs.conf /usr/share/initramfs-tools/conf.d/* /etc/initramfs-tools/conf.d/*; do
    [ ! -f "$file" ] || . "$file" >&2
  done
  echo "\${MODULES-}"
)
if [ "$modules" = dep ]; then
  mkdir -p /etc/initramfs-tools/conf.d
  trap 'rm -f /etc/initramfs-tools/conf.d/zz-piimg-build' EXIT
  echo MODULES=most >/etc/initramfs-tools/conf.d/zz-piimg-build
fi
update-initramfs -u -k all
`;

/**
 * Lets the image's own update-initramfs make its initramfs anew, and its hooks copy it to where the firmware looks. Nothing where there is
 * none, or where nothing on top of the image goes into it. Throws PiimgError with its last lines.
 */
export async function updateInitramfs(context: StepContext): Promise<string[]> {
  const { sandbox, below, tree, guard, signal, step } = context;
  const [, ...onTop] = await Promise.all(below.map((layer) => layer.entries));
  if (!touchesInitramfs(onTop)) return [];
  const { exitCode } = await sandbox
    .inRoot(rootOf(context, 'native'), {
      argv: ['sh', '-euc', UPDATE],
      env: clock(context),
      okCodes: [0, 97],
      signal,
      onLine: (line) => step.update({ message: line }),
    })
    .catch((error: unknown) => {
      throw new PiimgError('The image could not make its initramfs anew', {
        ...(error instanceof PiimgError && error.detail !== undefined && { detail: error.detail }),
        hint: 'Files or packages of the role go into it. Look around with --shell-on-error.',
        cause: error,
      });
    });
  if (exitCode !== 0) return ['the image has no update-initramfs: its initramfs stays as it is'];
  await guardInitramfs(sandbox, [...below.map((layer) => layer.tree), tree], guard, signal);
  return [];
}

/** Of a system that was on before it became an image: no machine of it is that one. */
const FORGET_INSTANCE =
  'rm -rf /var/lib/cloud/data /var/lib/cloud/instance /var/lib/cloud/instances /var/lib/cloud/sem\n';

/** Host keys that came with the image go where something on it makes new ones: else nobody could log in. */
const REMOVE_HOST_KEYS = `
if [ -x /usr/bin/cloud-init ] || [ -e /usr/lib/systemd/system/regenerate_ssh_host_keys.service ] ||
  [ -e /usr/lib/systemd/system/sshd-keygen.service ]; then
  rm -f /etc/ssh/ssh_host_*_key /etc/ssh/ssh_host_*_key.pub
fi`;

/**
 * It makes other keys in place of those of the seed. Debian's sshd-keygen only makes those that are missing. Masked, as the first boot would
 * switch it on again by presets.
 */
const KEEP_HOST_KEYS = `
if [ -e /usr/lib/systemd/system/regenerate_ssh_host_keys.service ] && [ -e /usr/lib/systemd/system/sshd-keygen.service ]; then
  mkdir -p /etc/systemd/system
  rm -f /etc/systemd/system/*.wants/regenerate_ssh_host_keys.service
  ln -sf /dev/null /etc/systemd/system/regenerate_ssh_host_keys.service
fi`;

/** Puts the disk's id and the role's additions into the image's own files. Throws PiimgError when it has no config.txt. */
export async function fitBootFiles(
  { diskId, config, cmdline: words }: Extract<ImageSpec, { kind: 'image-boot' }>,
  context: StepContext,
): Promise<string[]> {
  const paths = ['boot/firmware/config.txt', 'boot/firmware/cmdline.txt', 'etc/fstab'];
  const [settings, cmdline, fstab] = await Promise.all(paths.map((path) => readInside(path, context)));
  if (settings === undefined || cmdline === undefined) {
    throw new PiimgError(`The image has no ${settings === undefined ? 'config.txt' : 'cmdline.txt'} to boot with`, {
      hint: 'It is none for a Raspberry Pi, or a package of the role removes it.',
    });
  }
  const owned = { type: 'file', mode: 0o644, owner: 'root', group: 'root' } as const;
  await placeFiles(
    [
      { path: 'boot/firmware/cmdline.txt', content: cmdlineFor(cmdline, { diskId, words }), ...owned },
      { path: 'boot/firmware/config.txt', content: configFor(settings, config), ...owned },
      { path: 'etc/fstab', content: fstabFor(fstab ?? '', diskId), ...owned },
    ],
    context,
  );
  await context.sandbox.inRoot(rootOf(context, 'native'), {
    argv: ['sh', '-euc', `${FORGET_INSTANCE}${COPY_SCHEMAS}${REMOVE_HOST_KEYS}${KEEP_HOST_KEYS}`],
    env: clock(context),
    signal: context.signal,
  });
  return [];
}
