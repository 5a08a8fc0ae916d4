// Pure: which kernels lie on the boot partition, how they are packed, and which version they are.
import { gunzipSync } from 'node:zlib';
import type { ImageView } from './view.ts';

export interface Kernel {
  file: string;
  /** `gzip`: the firmware unpacks it; `image`: arm64's own header; `zimage`: 32 bits, unpacks itself. */
  packing: 'gzip' | 'image' | 'zimage' | 'unknown';
  architecture?: 'arm64' | 'arm';
  version?: string;
}

/** Raspberry Pi's kernels have 10 MiB packed, 30 unpacked. */
const MOST = 256 << 20;
const NAMES = /^(kernel\w*\.img|vmlinuz.*|Image)$/;
/** The kernel's Documentation/arch/arm64/booting and arch/arm/boot/compressed/head.S. */
const ARM64_MAGIC = { at: 56, text: 'ARM\x64' };
const ZIMAGE_MAGIC = { at: 0x24, number: 0x016f2818 };
const GZIP_MAGIC = 0x1f8b;
/** init/version.c: what the kernel says of itself at its start. */
const BANNER = 'Linux version ';

export async function kernelsOf({ boot: { files } }: ImageView): Promise<Kernel[]> {
  const found: Kernel[] = [];
  for (const file of await files.list('')) {
    if (!NAMES.test(file)) continue;
    const bytes = await files.read(file, MOST);
    if (bytes) found.push({ file, ...kernelIn(bytes) });
  }
  return found;
}

/** Version numbers of the folders of modules, `6.12.47+rpt-rpi-v8`. */
export async function moduleVersions({ root: { files } }: ImageView): Promise<string[]> {
  return files.list('usr/lib/modules').then((names) => (names.length > 0 ? names : files.list('lib/modules')));
}

export function kernelIn(bytes: Buffer): Omit<Kernel, 'file'> {
  if (bytes.length >= 2 && bytes.readUInt16BE(0) === GZIP_MAGIC) {
    const unpacked = unpack(bytes);
    return unpacked === undefined ? { packing: 'gzip' } : { ...kernelIn(unpacked), packing: 'gzip' };
  }
  if (bytes.toString('latin1', ARM64_MAGIC.at, ARM64_MAGIC.at + 4) === ARM64_MAGIC.text) {
    const version = versionIn(bytes);
    return { packing: 'image', architecture: 'arm64', ...(version !== undefined && { version }) };
  }
  if (bytes.length > ZIMAGE_MAGIC.at + 4 && bytes.readUInt32LE(ZIMAGE_MAGIC.at) === ZIMAGE_MAGIC.number)
    return { packing: 'zimage', architecture: 'arm' };
  return { packing: 'unknown' };
}

function unpack(bytes: Buffer): Buffer | undefined {
  try {
    return gunzipSync(bytes, { maxOutputLength: MOST });
  } catch {
    return undefined;
  }
}

/** The banner, not the format string of it that stands before. */
function versionIn(bytes: Buffer): string | undefined {
  for (let at = bytes.indexOf(BANNER); at !== -1; at = bytes.indexOf(BANNER, at + 1)) {
    const [, version] = /^Linux version (\d[\w.+~-]*) /.exec(bytes.toString('latin1', at, at + 200)) ?? [];
    if (version !== undefined) return version;
  }
  return undefined;
}
