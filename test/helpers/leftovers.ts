// Says what a file system holds that no image may carry: identities, passwords, traces of the machine that built it, its programs.
import { readFileSync, readdirSync } from 'node:fs';
import { homedir, hostname } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { ImageFile } from './image-files.ts';

/** e_machine of what belongs in an image: arm64, and the VideoCore firmware (Linux include/uapi/linux/elf-em.h; Broadcom's 137). */
const MACHINES = [183, 137];

/** Files whose content is looked at. */
export const JUDGED = /^\/etc\/(machine-id|shadow|gshadow|apt\/.*)$/;

/** Folders that are empty until the first boot. */
const EMPTY =
  /^\/(home|tmp|run|var\/tmp|var\/lib\/apt\/lists|var\/cache\/apt\/archives|var\/lib\/cloud|var\/log\/journal)\/./;

/** One line for each thing that should not be there. */
export function findLeftovers(files: Map<string, ImageFile>): string[] {
  const found: string[] = [];
  const text = (path: string): string => files.get(path)?.text ?? '';
  if (text('/etc/machine-id') !== 'uninitialized\n') found.push(`/etc/machine-id is ${text('/etc/machine-id')}`);
  const resolver = files.get('/etc/resolv.conf')?.target;
  if (resolver !== '../run/systemd/resolve/stub-resolv.conf') found.push(`/etc/resolv.conf leads to ${resolver}`);
  for (const path of ['/etc/shadow', '/etc/gshadow']) {
    const lines = text(path).split('\n').filter(Boolean);
    if (path === '/etc/shadow' && lines.length === 0) found.push(`${path} is empty`);
    for (const [name, password = ''] of lines.map((line) => line.split(':'))) {
      if (!/^[!*]+$/.test(password)) found.push(`${path}: ${name} has a password`);
    }
  }
  for (const [path, file] of files) {
    if (
      /^\/etc\/ssh\/ssh_host_|^\/usr\/sbin\/policy-rc\.d$|^\/etc\/apt\/.*proxy|^\/root\/\.(npm|cache|bash_history)/.test(
        path,
      )
    ) {
      found.push(`${path} is there`);
    }
    if (EMPTY.test(path) && file.type !== 'directory') found.push(`${path} is there`);
    if (path.startsWith('/etc/apt/') && /Acquire::[^\n]*Proxy/i.test(file.text ?? ''))
      found.push(`${path} names a proxy`);
    if (file.machine !== undefined && !MACHINES.includes(file.machine)) {
      found.push(`${path} is code for ELF machine ${file.machine}`);
    }
    for (const word of file.words ?? []) found.push(`${path} holds “${word}”`);
  }
  return found;
}

/** Names by which this machine, this user and this build would be recognised; short and common words would be found anywhere. */
export function wordsOfThisMachine(folders: string[]): string[] {
  const root = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
  const { env } = process;
  const mirrors = aptAddresses().filter((uri) => !/^https?:\/\/(deb|security)\.debian\.org\//.test(uri));
  const proxies = ['http_proxy', 'https_proxy', 'HTTP_PROXY', 'HTTPS_PROXY'].flatMap((name) => env[name] ?? []);
  const host = hostname().length >= 6 && !/^(localhost|debian|raspberrypi)$/.test(hostname()) ? [hostname()] : [];
  const home = homedir() === '/root' ? [] : [homedir()];
  const words = [...folders, root, ...home, ...host, ...mirrors, ...proxies, env['PIIMG_MIRROR'] ?? '', 'PIIMG_'];
  return [...new Set(words.filter((word) => word.length > 5))];
}

function aptAddresses(): string[] {
  const folder = '/etc/apt/sources.list.d';
  const text = readdirSync(folder)
    .map((name) => readFileSync(`${folder}/${name}`, 'utf8'))
    .join('\n');
  return [...text.matchAll(/^URIs:\s*(.*)$/gm)].flatMap(([, uris = '']) => uris.trim().split(/\s+/));
}
