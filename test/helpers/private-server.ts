// A certificate authority that nobody knows, and an HTTPS server on loopback that only who trusts it will talk to.
import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { run } from '../../src/host/exec.ts';

/** Files in PEM. */
export interface Authority {
  /** Its name, which no image may carry. */
  name: string;
  certificate: string;
  serverKey: string;
  serverCertificate: string;
}

/** Makes an authority and a certificate of it for `localhost` and 127.0.0.1. */
export async function makeAuthority(dir: string): Promise<Authority> {
  await mkdir(dir, { recursive: true });
  const file = (name: string): string => path.join(dir, name);
  const name = 'Authority that nobody knows';
  const made = { name, certificate: file('ca.crt'), serverKey: file('key.pem'), serverCertificate: file('server.crt') };
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  const request = ['openssl', 'req', '-x509', '-sha256', '-days', '2', ...key];
  await run([...request, '-subj', `/CN=${name}`, '-keyout', file('ca.key'), '-out', made.certificate]);
  const signed = ['-CA', made.certificate, '-CAkey', file('ca.key'), '-addext', 'basicConstraints=critical,CA:FALSE'];
  const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
  await run([...request, ...signed, ...names, '-keyout', made.serverKey, '-out', made.serverCertificate]);
  return made;
}

/** Serves each folder of `folders` (first part of a path → folder) while `work` runs, which gets the port. */
export async function withPrivateServer<T>(
  authority: Authority,
  folders: Record<string, string>,
  work: (port: number) => Promise<T>,
): Promise<T> {
  const [key, cert] = await Promise.all([readFile(authority.serverKey), readFile(authority.serverCertificate)]);
  const server = createServer({ key, cert }, (request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'https://localhost');
    const [, first = '', ...rest] = path.normalize(decodeURIComponent(pathname)).split('/');
    readFile(path.join(folders[first] ?? '/dev/null', ...rest)).then(
      (body) => response.writeHead(200, { 'content-length': body.length }).end(body),
      () => response.writeHead(404).end(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    return await work((server.address() as AddressInfo).port);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

/** Puts the npm package `NAME` 1.0.0 into `registry`, a folder that is served at `url`, and gives its entry in a lock file. */
export async function publish(registry: string, url: string, name: string, content: string): Promise<object> {
  const tree = path.join(registry, name, 'package');
  await mkdir(tree, { recursive: true });
  await writeFile(path.join(tree, 'package.json'), JSON.stringify({ name, version: '1.0.0' }));
  await writeFile(path.join(tree, 'index.js'), content);
  const tarball = path.join(registry, name, `${name}.tgz`);
  await run(['tar', '-czf', tarball, '-C', path.dirname(tree), 'package']);
  const digest = createHash('sha512')
    .update(await readFile(tarball))
    .digest('base64');
  return { version: '1.0.0', resolved: `${url}/${name}/${name}.tgz`, integrity: `sha512-${digest}` };
}
