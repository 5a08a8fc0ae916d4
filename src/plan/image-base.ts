// What the plan says of a base that is an image: its layer, its packages, and how its own boot files come to fit the disk and the role.
import type { Lock } from '../base/lock.ts';
import type { LockedPackage } from '../image/manifest.ts';
import { digestOf } from '../lib/digest.ts';
import type { ConfigSection, ResolvedRole } from '../role/resolved.ts';
import type { DiskIds } from './boot.ts';

/** Raised when the same image would be taken apart differently. */
const IMAGE_FORMAT = 2;

/** What keeps units of packages on top of an image off at its first boot. */
export const PACKAGES_PRESET = 'etc/systemd/system-preset/01-first-boot.preset';

/** Layers that only such a base has. */
export type ImageSpec =
  /** The image taken apart, by its digest. */
  | { kind: 'image'; image: string }
  /** Its own initramfs, made anew where something in it may have changed. */
  | { kind: 'image-initramfs' }
  /** Its own config.txt, cmdline.txt and fstab, with the disk's id and what the role adds. */
  | { kind: 'image-boot'; diskId: string; config: ConfigSection[]; cmdline: string[] };

/** The key of an image's layer: of the image alone, so that every role and every set of tools shares it. */
export function imageLayerKey(sha256: string): string {
  return digestOf({ image: sha256, format: IMAGE_FORMAT });
}

/** The lowest layer. Throws TypeError for the lock of a base that is no image. */
export function imageLayer({ image }: Lock): { key: string; title: string; spec: ImageSpec } {
  if (!image) throw new TypeError('the lock says no image');
  return { key: imageLayerKey(image.sha256), title: 'image', spec: { kind: 'image', image: image.sha256 } };
}

export function imageBoot(role: ResolvedRole, { diskId }: DiskIds): { initramfs: ImageSpec; files: ImageSpec } {
  const config = role.config.filter(({ lines }) => lines.length > 0);
  return {
    initramfs: { kind: 'image-initramfs' },
    files: { kind: 'image-boot', diskId, config, cmdline: role.cmdline },
  };
}

/** What is installed in the image, of which nobody has the packages themselves. */
export function packagesOfImage({ image }: Lock): LockedPackage[] {
  return Object.entries(image?.packages ?? {}).map(([key, version]) => {
    const [name = '', architecture = 'arm64'] = key.split(':');
    return { name: architecture === 'arm64' ? name : key, version, architecture, sha256: '', size: 0, source: 'image' };
  });
}

/** Names of all packages of the base. */
export function namesInBase(lock: Lock): string[] {
  return [...new Set([...lock.basePackages, ...packagesOfImage(lock)].map(({ name }) => name))];
}

/** Whether the base is a Raspberry Pi OS, by the package that its first boot comes from. */
export const isRaspberryPiOs = ({ image }: Pick<Lock, 'image'>): boolean =>
  'raspberrypi-sys-mods' in (image?.packages ?? {});
