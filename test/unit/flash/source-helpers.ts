// What the tests of sources share: an image, packed by the programs people use, and a web server that has bad days.
import { createCipheriv } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { readSource } from '../../../src/flash/source/read.ts';
import { openSource, type Source } from '../../../src/flash/source/source.ts';
import { run } from '../../../src/host/exec.ts';
import { PiimgError } from '../../../src/lib/errors.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';

/** The same bytes at every call, which nothing packs. */
export const noise = (length: number): Buffer =>
  createCipheriv('aes-128-ctr', Buffer.alloc(16), Buffer.alloc(16)).update(Buffer.alloc(length));

/** Larger than all that pipes and pieces hold, with a hole, and of no round size. */
export const image = Buffer.concat([noise(3 << 20), Buffer.alloc(5 << 20), noise((2 << 20) + 77)]);

export const folder = temporaryFolder();
export const at = (name: string): string => path.join(folder, name);

/** Writes a file into `folder`. */
export function put(name: string, bytes: Uint8Array | string): string {
  writeFileSync(at(name), bytes);
  return at(name);
}

export const deadline = (): AbortSignal => AbortSignal.timeout(60_000);

/** What a command prints. */
export async function output(command: string[], input?: Uint8Array): Promise<Buffer> {
  const options = { cwd: folder, signal: deadline(), ...(input && { input }) };
  const program = run(command, { ...options, stdout: 'stream' });
  const pieces: Buffer[] = [];
  for await (const piece of program.stdout) pieces.push(piece as Buffer);
  await program;
  return Buffer.concat(pieces);
}

/** `image.img`, and it packed in every way, by name. */
export async function packAll(): Promise<string[]> {
  put('image.img', image);
  put('image.img.gz', await output(['gzip', '-1c', 'image.img']));
  put('image.img.xz', await output(['xz', '-0c', 'image.img']));
  put('image.img.zst', await output(['zstd', '-1qc', 'image.img']));
  await run(['zip', '-q1', 'image.zip', 'image.img'], { cwd: folder });
  return ['image.img', 'image.img.gz', 'image.img.xz', 'image.img.zst', 'image.zip'].map(at);
}

export const open = (name: string): Promise<Source> => openSource(name, { signal: deadline() });

export async function readAll(source: Source, from = 0): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of readSource(source, { from, signal: deadline() })) pieces.push(piece);
  return Buffer.concat(pieces);
}

export async function failure(work: Promise<unknown>): Promise<PiimgError> {
  try {
    await work;
  } catch (error) {
    if (error instanceof PiimgError) return error;
    throw error;
  }
  throw new Error('it should have failed');
}

/** With one bit changed. */
export function flipped(bytes: Buffer, place: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[place] = (copy[place] ?? 0) ^ 1;
  return copy;
}

/** The programs of sources that are still there, as children of this process. */
export function programsLeft(): string[] {
  const children = readdirSync('/proc/self/task').flatMap((thread) =>
    readFileSync(`/proc/self/task/${thread}/children`, 'utf8').split(' ').filter(Boolean),
  );
  // A dead one that nobody has waited for yet has an empty command line.
  const alive = children.filter((pid) => readFileSync(`/proc/${pid}/cmdline`).length > 0);
  const names = alive.map((pid) => readFileSync(`/proc/${pid}/comm`, 'utf8').trim());
  return names.filter((name) => ['xz', 'gzip', 'zstd', 'curl', 'setpriv', 'sh'].includes(name));
}

/** A web server for the time of `work`, with the requests it gets. */
export async function withServer<T>(
  answer: (request: IncomingMessage, response: ServerResponse, count: number) => void,
  work: (url: string, requests: IncomingMessage[]) => Promise<T>,
): Promise<T> {
  process.env['no_proxy'] = '127.0.0.1';
  const requests: IncomingMessage[] = [];
  const server = createServer((request, response) => answer(request, response, requests.push(request)));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    return await work(`http://127.0.0.1:${(server.address() as AddressInfo).port}/image`, requests);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}
