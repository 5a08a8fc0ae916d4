// A small signed Debian archive made of packages in a store, and a server on loopback that misbehaves when told to.
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { run } from '../../src/host/exec.ts';
import { digestOfFile } from '../../src/lib/digest.ts';

/** A folder laid out as an archive's; `keyring` verifies its signature. */
export interface Archive {
  dir: string;
  keyring: string;
  gnupg: string;
}

const ARCHITECTURES = ['amd64', 'arm64'];

/** An archive below `dir` of every .deb in `store` (a content-addressed store) and in the folder `extra`. Its one suite is `tiny`. */
export async function makeArchive(dir: string, store: string, extra: string): Promise<Archive> {
  const archive = { dir, keyring: path.join(dir, 'key.gpg'), gnupg: path.join(dir, 'gnupg') };
  await rm(dir, { recursive: true, force: true });
  await mkdir(path.join(dir, 'pool'), { recursive: true });
  await makeKey(archive);
  for (const folder of await readdir(store)) {
    for (const name of await readdir(path.join(store, folder))) {
      await symlink(path.join(store, folder, name), path.join(dir, 'pool', `${name}.deb`));
    }
  }
  for (const name of await readdir(extra)) await symlink(path.join(extra, name), path.join(dir, 'pool', name));
  await indexArchive(archive);
  return archive;
}

/** Writes and signs the indexes of what is in the pool. */
export async function indexArchive(archive: Archive): Promise<void> {
  const stanzas = await controlStanzas(path.join(archive.dir, 'pool'));
  const dist = path.join(archive.dir, 'dists/tiny');
  const sums: string[] = [];
  for (const architecture of ARCHITECTURES) {
    const name = `main/binary-${architecture}/Packages`;
    const fits = new RegExp(`^Architecture: (${architecture}|all)$`, 'm');
    const text = stanzas
      .filter((stanza) => fits.test(stanza))
      .sort()
      .join('\n');
    await mkdir(path.join(dist, path.dirname(name)), { recursive: true });
    await writeFile(path.join(dist, name), text);
    sums.push(` ${createHash('sha256').update(text).digest('hex')} ${Buffer.byteLength(text)} ${name}`);
  }
  const release = [
    'Origin: Test',
    'Suite: tiny',
    'Codename: tiny',
    `Date: ${new Date().toUTCString()}`,
    `Architectures: ${ARCHITECTURES.join(' ')}`,
    'Components: main',
    'SHA256:',
    ...sums,
  ];
  await writeFile(path.join(dist, 'Release'), `${release.join('\n')}\n`);
  await sign(archive, path.join(dist, 'Release'), path.join(dist, 'InRelease'));
}

/** Each package's control data (without its description) with where it lies, its size and digest. */
async function controlStanzas(pool: string): Promise<string[]> {
  const script =
    'cd "$1"; for deb in *.deb; do dpkg-deb -f "$deb" | sed "/^Description:/,\\$d"; echo "Filename: pool/$deb"; echo; done';
  const { stdout } = await run(['sh', '-c', script, 'sh', pool], { env: { LC_ALL: 'C.UTF-8' } });
  const stanzas = stdout.split('\n\n').filter((stanza) => /^Package: /m.test(stanza));
  return Promise.all(
    stanzas.map(async (stanza) => {
      const file = path.join(pool, path.basename(/^Filename: (.*)$/m.exec(stanza)?.[1] ?? ''));
      return `${stanza.trim()}\nSize: ${(await stat(file)).size}\nSHA256: ${await digestOfFile(file)}\n`;
    }),
  );
}

async function makeKey({ keyring, gnupg }: Archive): Promise<void> {
  await mkdir(gnupg, { mode: 0o700 });
  const gpg = ['gpg', '--homedir', gnupg, '--batch', '--quiet'];
  await run([...gpg, '--passphrase', '', '--quick-gen-key', 'Test archive', 'ed25519', 'sign', 'never']);
  await run([...gpg, '--output', keyring, '--export']);
  await run(['gpgconf', '--homedir', gnupg, '--kill', 'gpg-agent']);
}

/** Clear-signs `from` into `to` with the archive's key. */
export async function sign({ gnupg }: Archive, from: string, to: string): Promise<void> {
  await run(['gpg', '--homedir', gnupg, '--batch', '--yes', '--quiet', '--output', to, '--clearsign', from]);
  await run(['gpgconf', '--homedir', gnupg, '--kill', 'gpg-agent']);
}

/** What a request gets instead of the file: true when it was dealt with. */
export type Mischief = (request: IncomingMessage, response: ServerResponse, body: Buffer) => boolean;

export interface Server {
  url: string;
  /** Every request so far: its path, and its Range header. */
  requests: { path: string; range: string | undefined }[];
  misbehave(mischief: Mischief | undefined): void;
}

/** Serves `archive` below /debian on loopback while `work` runs; also as a proxy, to whoever asks for a whole address. */
export async function withServer<T>(archive: Archive, work: (server: Server) => Promise<T>): Promise<T> {
  const requests: Server['requests'] = [];
  let mischief: Mischief | undefined;
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    const { range } = request.headers;
    requests.push({ path: request.url ?? '', range });
    const name = path.join(
      archive.dir,
      path.normalize(decodeURIComponent(pathname)).replace(/^\/debian(-security)?\//, ''),
    );
    void readFile(name)
      .catch(() => undefined)
      .then((body) => {
        if (body === undefined) return response.writeHead(404).end();
        return mischief?.(request, response, body) || answer(response, body, range);
      });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    return await work({ url, requests, misbehave: (next) => (mischief = next) });
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

/** The whole file, or the end of it that `range` (bytes=N-) asks for. */
export function answer(response: ServerResponse, body: Buffer, range: string | undefined): void {
  const from = Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0);
  const modified = { 'last-modified': 'Sat, 01 Mar 2025 00:00:00 GMT', 'accept-ranges': 'bytes' };
  if (from >= body.length && from > 0) {
    response.writeHead(416, { 'content-range': `bytes */${body.length}` }).end();
    return;
  }
  const part = body.subarray(from);
  response.writeHead(from > 0 ? 206 : 200, {
    ...modified,
    'content-length': part.length,
    ...(from > 0 && { 'content-range': `bytes ${from}-${body.length - 1}/${body.length}` }),
  });
  response.end(part);
}
