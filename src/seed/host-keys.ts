// The ssh host keys of a node, made before its first boot, so that the first login already knows whom it talks to.
import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { run } from '../host/exec.ts';

export interface HostKey {
  /** As cloud-init names it: `ed25519_private`, `ed25519_public`. */
  type: (typeof TYPES)[number];
  privateKey: string;
  publicKey: string;
}

/**
 * Those that Debian makes: what is missing, its sshd-keygen.service would add on the first boot, and nobody would know that one
 * beforehand. They are then the machine's only host keys.
 */
const TYPES = ['ed25519', 'ecdsa', 'rsa'] as const;

/** Makes the keys in `folder`, which is private and the caller's to remove. */
export async function makeHostKeys(folder: string, node: string, signal?: AbortSignal): Promise<HostKey[]> {
  const inside = path.join(folder, 'host-keys');
  await mkdir(inside, { recursive: true, mode: 0o700 });
  return Promise.all(
    TYPES.map(async (type) => {
      const file = path.join(inside, `ssh_host_${type}_key`);
      const command = ['ssh-keygen', '-q', '-t', type, '-N', '', '-C', `root@${node}`, '-f', file];
      await run(command, { ...(signal && { signal }) });
      return {
        type,
        privateKey: await readFile(file, 'utf8'),
        publicKey: (await readFile(`${file}.pub`, 'utf8')).trim(),
      };
    }),
  );
}
