// The guard: no native program that helped to build may stay in an image for another architecture, and no key unsaid.

/** e_machine of the ELF header (System V ABI; Linux include/uapi/linux/elf-em.h). */
const MACHINES: Record<string, number> = { x64: 62, arm64: 183 };

/** e_machine when `head`, the first bytes of a file, is an ELF header; else undefined. */
export function elfMachine(head: Buffer): number | undefined {
  if (head.length < 20 || head.readUInt32BE(0) !== 0x7f454c46) return undefined;
  // EI_DATA at byte 5: 1 is little endian.
  return head[5] === 1 ? head.readUInt16LE(18) : head.readUInt16BE(18);
}

/** How a private key begins (RFC 7468, and OpenSSH's PROTOCOL.key), or what dropbear, whose keys are bare bytes, calls it. */
function isPrivateKey(path: string, head: Buffer): boolean {
  return /^-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(head.toString('latin1')) || /\/dropbear_\w+_host_key$/.test(path);
}

/** Collects what the guard has to say about one layer. */
export interface Guard {
  look(path: string, head: Buffer, sha256: string): void;
  /** Failures, each naming a file, and notes. */
  verdict(): { failures: string[]; notes: string[] };
}

/**
 * A guard for one layer. `native` are the digests of the tools layer: such a file is a failure. Other code of the host's
 * architecture is a failure where `strict` (Debian packages of another architecture hold none); else a note, and a failure when a Node
 * add-on has no arm64 variant in its package. Private keys in /etc, which some packages make for themselves, are noted.
 */
export function openGuard(native: ReadonlySet<string>, strict: boolean, arch: string = process.arch): Guard {
  const host = arch === 'arm64' ? undefined : MACHINES[arch];
  const failures: string[] = [];
  const notes: string[] = [];
  const addons = new Map<string, { host: string[]; arm64: boolean }>();
  return {
    look(path, head, sha256) {
      const machine = elfMachine(head);
      if (native.has(sha256)) failures.push(`/${path} is a native build tool, not a file of the image`);
      if (path.startsWith('etc/') && isPrivateKey(path, head))
        notes.push(`/${path} is a private key: every card gets the same one`);
      if (machine === undefined) return;
      if (path.endsWith('.node')) {
        const name = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? path;
        const addon = addons.get(name) ?? { host: [], arm64: false };
        if (machine === host) addon.host.push(path);
        if (machine === MACHINES['arm64']) addon.arm64 = true;
        addons.set(name, addon);
      } else if (machine === host && !native.has(sha256)) {
        if (strict) failures.push(`/${path} is code for this machine (${arch}), not for arm64`);
        else notes.push(`/${path} is code for ${arch}`);
      }
    },
    verdict() {
      for (const [name, addon] of addons) {
        if (addon.host.length > 0 && !addon.arm64) {
          failures.push(
            `/${addon.host[0]}: the add-on ${name.replace(/.*node_modules\//, '')} has no arm64 variant; name it under rebuild:`,
          );
        }
        notes.push(...addon.host.map((path) => `/${path} is code for ${arch}`));
      }
      return { failures, notes };
    },
  };
}
