// The project that uses all of the role language, and on loopback all that its role takes from elsewhere.
import { createHash, randomUUID } from 'node:crypto';
import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { run } from '../../src/host/exec.ts';
import { makeArchive } from './bad-luck-archive.ts';
import { makeDeb } from './bad-luck-project.ts';

// The times in packages made here: part of what a layer is made of.
process.env['SOURCE_DATE_EPOCH'] = '1700000000';

const fixture = path.resolve('test/fixtures/projects/kitchen-sink');

/** What a registry of the host's asks for; it must not be found in an image. */
export const TOKEN = 'token-of-the-host-4711';

export interface Kitchen {
  project: string;
  /** A home with settings for npm: the registry on loopback and its token. */
  home: string;
  /** Of the server. */
  url: string;
  /** Paths that were asked for, with whether the token came along. */
  requests: { path: string; token: boolean }[];
  close(): void;
}

/** Lays the project out below `dir` and serves packages, artifacts and npm packages until it is closed. */
export async function openKitchen(dir: string): Promise<Kitchen> {
  const project = path.join(dir, 'project');
  const served = path.join(dir, 'served');
  const home = path.join(dir, 'home');
  await cp(fixture, project, { recursive: true });
  await rm(path.join(project, 'registry'), { recursive: true });
  await makePackages(served, project);
  await mkdir(path.join(served, 'files'));
  // New ones every time, so that nothing of an earlier run does for them.
  await writeFile(path.join(served, 'files/tool'), `#!/bin/sh\necho ${randomUUID()}\n`);
  await writeFile(path.join(project, 'app/stamp'), randomUUID());
  await writeFile(path.join(served, 'files/other'), 'not what the role says\n');
  await writeFile(path.join(served, 'counted'), 'fetched\n');

  const requests: Kitchen['requests'] = [];
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    const token = request.headers.authorization === `Bearer ${TOKEN}`;
    requests.push({ path: pathname, token });
    if (pathname.startsWith('/npm/') && !token) return void response.writeHead(401).end();
    readFile(path.join(served, path.normalize(pathname))).then(
      (body) => response.writeHead(200, { 'content-length': body.length }).end(body),
      () => response.writeHead(404).end(),
    );
  });
  await listen(server);
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const url = `http://${host}`;
  await makeRegistry(path.join(served, 'npm'), project, url);
  const tool = await readFile(path.join(served, 'files/tool'));
  await fillIn(path.join(project, 'images/roles'), { URL: url, SHA256: sha('sha256', tool).toString('hex') });
  await mkdir(home);
  await writeFile(
    path.join(home, '.npmrc'),
    `registry=${url}/npm/\n//${host}/npm/:_authToken=${TOKEN}\nprefix=${home}/global\n`,
  );
  const close = (): void => {
    server.closeAllConnections();
    server.close();
  };
  return { project, home, url, requests, close };
}

/** A signed archive with two versions of one package and a package that asks, and a .deb beside the role. */
async function makePackages(served: string, project: string): Promise<void> {
  const pool = path.join(served, 'pool');
  await mkdir(pool, { recursive: true });
  for (const version of ['1.0', '2.0']) {
    const files = { 'usr/share/kitchen/archived': `${version}\n` };
    await makeDeb(pool, { name: 'kitchen-archived', version }, { files });
  }
  const scripts = {
    templates: 'Template: kitchen-asks/dish\nType: string\nDefault: none\nDescription: What is for dinner?\n',
    config: '#!/bin/sh\n. /usr/share/debconf/confmodule\ndb_input high kitchen-asks/dish || true\ndb_go\n',
    postinst:
      '#!/bin/sh\n. /usr/share/debconf/confmodule\ndb_get kitchen-asks/dish\necho "$RET" >/etc/kitchen-dish\ndb_stop\n',
  };
  await makeDeb(pool, { name: 'kitchen-asks', version: '1.0', depends: 'debconf' }, { scripts });
  const local = { name: 'kitchen-local', version: '1.0', depends: 'hello' };
  await makeDeb(project, local, { files: { 'usr/share/kitchen/local': 'local\n' } });
  await mkdir(path.join(served, 'store'));
  const { keyring } = await makeArchive(path.join(served, 'debian'), path.join(served, 'store'), pool);
  await cp(keyring, path.join(project, 'kitchen.gpg'));
}

/** Packs the packages of registry/ and writes the application's lock file, as npm does with a registry of one's own at `url`. */
async function makeRegistry(registry: string, project: string, url: string): Promise<void> {
  const packages: Record<string, unknown> = {
    '': JSON.parse(await readFile(path.join(fixture, 'app/package.json'), 'utf8')) as unknown,
  };
  for (const name of await readdir(path.join(fixture, 'registry'))) {
    const folder = path.join(registry, name, '-');
    const tarball = path.join(folder, `${name}-1.0.0.tgz`);
    await mkdir(folder, { recursive: true });
    const from = path.join(fixture, 'registry', name);
    // Other bytes every time: what an earlier run has fetched lies in piimg's cache.
    const now = `--mtime=@${Math.floor(Date.now() / 1000)}`;
    await run(['tar', '-czf', tarball, now, '--transform', 's,^\\.,package,', '-C', from, '.']);
    const json = await readFile(path.join(from, 'package.json'), 'utf8');
    const { os, cpu, libc, optionalDependencies, scripts, gypfile } = JSON.parse(json) as Record<string, unknown>;
    packages[`node_modules/${name}`] = {
      version: '1.0.0',
      resolved: `${url}/npm/${name}/-/${name}-1.0.0.tgz`,
      integrity: `sha512-${sha('sha512', await readFile(tarball)).toString('base64')}`,
      ...((scripts !== undefined || gypfile === true) && { hasInstallScript: true }),
      ...(optionalDependencies !== undefined && { optionalDependencies }),
      ...(os !== undefined && { os, cpu, libc, optional: true }),
    };
  }
  const lock = { name: 'kitchen', version: '1.0.0', lockfileVersion: 3, requires: true, packages };
  await writeFile(path.join(project, 'app/package-lock.json'), JSON.stringify(lock, null, 2));
}

async function fillIn(folder: string, values: Record<string, string>): Promise<void> {
  for (const name of await readdir(folder)) {
    const file = path.join(folder, name);
    const text = await readFile(file, 'utf8');
    await writeFile(
      file,
      text.replaceAll(/@([A-Z0-9]+)@/g, (_, key: string) => values[key] ?? ''),
    );
  }
}

/** The same port every time where it is free: package lists are kept in the cache by their address. */
function listen(server: Server): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', () => server.once('error', reject).listen(0, '127.0.0.1'));
    server.once('listening', resolve).listen(47_321, '127.0.0.1');
  });
}

function sha(algorithm: string, data: Buffer): Buffer {
  return createHash(algorithm).update(data).digest();
}
