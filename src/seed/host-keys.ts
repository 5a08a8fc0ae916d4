// The ssh host key of a node, made before its first boot, so that the first login already knows whom it talks to.
import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { run } from '../host/exec.ts';

export interface HostKey {
  /** As cloud-init names it: `ed25519_private`, `ed25519_public`. */
  type: 'ed25519';
  privateKey: string;
  publicKey: string;
}

/**
 * Makes the key in `folder`, which is private and the caller's to remove. One type alone: it is then the machine's only host key, and
 * what is told of it is all there is to know. Every OpenSSH since 6.5 (2014) takes ed25519, and it is the one it asks for first.
 */
export async function makeHostKeys(folder: string, node: string, signal?: AbortSignal): Promise<HostKey[]> {
  const file = path.join(folder, 'host-keys', 'ssh_host_ed25519_key');
  await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
  const command = ['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', `root@${node}`, '-f', file];
  await run(command, { ...(signal && { signal }) });
  const [privateKey, publicKey] = [await readFile(file, 'utf8'), (await readFile(`${file}.pub`, 'utf8')).trim()];
  return [{ type: 'ed25519', privateKey, publicKey }];
}
