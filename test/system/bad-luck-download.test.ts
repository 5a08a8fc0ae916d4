// Servers that stop midway, send other bytes, have forgotten a version or forge a signature; and what is needed without any server.
import { copyFile, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { storedPath } from '../../src/host/store.ts';
import { digestOfFile } from '../../src/lib/digest.ts';
import type { ImageManifest } from '../../src/image/manifest.ts';
import { answer, indexArchive, type Mischief } from '../helpers/bad-luck-archive.ts';
import { makeDeb, mustBuild, piimg, withProject, writeRole, type Project } from '../helpers/bad-luck-project.ts';

/** Big enough that half of it is more than what sockets buffer, and not compressible. */
const NOISE = Array.from({ length: 200_000 }, (_, i) => ((i * 2_654_435_761) % 4_294_967_296).toString(36)).join('\n');

interface Noise {
  version: string;
  /** Name of its file in the archive, and its digest. */
  file: string;
  sha256: string;
}

let versions = 0;

/** A project whose archive also has a package `noise` that nobody has yet, for the time of `work`; its role `noisy` installs that. */
async function withNoise(work: (project: Project, noise: Noise) => Promise<void>): Promise<void> {
  await withProject(async (project) => {
    await writeRole(project, 'tiny');
    await mustBuild(project, 'tiny');
    const { archive, cache } = project;
    // Never one of an earlier run's, whose layers are in the cache: a process id comes again in a namespace of its own.
    const version = `1.${Date.now()}.${++versions}`;
    const files = { 'usr/share/noise': NOISE };
    const deb = await makeDeb(path.join(archive.dir, 'pool'), { name: 'noise', version }, { files });
    const sha256 = await digestOfFile(deb);
    await indexArchive(archive);
    try {
      await rm(path.join(cache, 'apt'), { recursive: true, force: true });
      await writeRole(project, 'noisy', 'packages: [noise]\n');
      await work(project, { version, file: path.basename(deb), sha256 });
    } finally {
      await rm(deb);
      await rm(storedPath({ dir: path.join(cache, 'store'), tmp: '' }, sha256), { force: true });
      await indexArchive(archive);
    }
  });
}

/** The packages that are partly there. */
const beginnings = ({ cache }: Project): Promise<string[]> => readdir(path.join(cache, 'tmp/partial'));

const named = (version: string): RegExp => new RegExp(`^error: noise ${version} could not be downloaded$`, 'm');

/** Sends less than is left of that file and closes the connection: half of the rest each time. */
function stopsMidway(file: string, times: number): Mischief {
  let left = times;
  return (request, response, body) => {
    if (!request.url?.endsWith(file) || left-- <= 0) return false;
    const from = startOf(request);
    const part = body.subarray(from);
    response.writeHead(from > 0 ? 206 : 200, {
      'last-modified': 'Sat, 01 Mar 2025 00:00:00 GMT',
      'accept-ranges': 'bytes',
      'content-length': part.length,
      ...(from > 0 && { 'content-range': `bytes ${from}-${body.length - 1}/${body.length}` }),
    });
    response.write(part.subarray(0, Math.ceil(part.length / 2)), () => setTimeout(() => response.destroy(), 50));
    return true;
  };
}

const startOf = ({ headers }: IncomingMessage): number => Number(/^bytes=(\d+)-$/.exec(headers.range ?? '')?.[1] ?? 0);

test('a transfer cut once is taken up where it was cut', async () => {
  await withNoise(async (project, { file }) => {
    const { server } = project;
    server.misbehave(stopsMidway(file, 1));
    await mustBuild(project, 'noisy');
    const ranges = server.requests.filter((request) => request.path.endsWith(file)).map(({ range }) => range);
    assert.is(ranges.length, 2);
    assert.is(ranges[0], undefined);
    assert.match(ranges[1] ?? '', /^bytes=\d{5,}-$/);
  });
});

test('a transfer cut again and again fails naming the file; the next run gets the rest', async () => {
  await withNoise(async (project, { version, file, sha256 }) => {
    const { server } = project;
    server.misbehave(stopsMidway(file, Infinity));
    const failed = await piimg(project, ['build', '--role', 'noisy']);
    assert.is(failed.code, 1);
    assert.match(failed.stderr, named(version));
    assert.match(failed.stderr, new RegExp(`/debian/pool/${file}$`, 'm'));
    assert.match(failed.stderr, /^hint: .*what has arrived is kept/m);
    assert.ok((await beginnings(project)).includes(sha256));

    server.misbehave(undefined);
    const before = server.requests.length;
    await mustBuild(project, 'noisy');
    const again = server.requests.slice(before).filter((request) => request.path.endsWith(file));
    assert.is(again.length, 1);
    assert.match(again[0]?.range ?? '', /^bytes=\d{5,}-$/);
    assert.not((await beginnings(project)).includes(sha256));
  });
});

test('other bytes than the index says are refused, naming the package; a true copy is then taken', async () => {
  await withNoise(async (project, { version, file }) => {
    project.server.misbehave((request, response, body) => {
      if (!request.url?.endsWith(file)) return false;
      const changed = Buffer.from(body);
      changed[changed.length - 100] = (changed[changed.length - 100] ?? 0) ^ 1;
      answer(response, changed, request.headers.range);
      return true;
    });
    const { code, stderr } = await piimg(project, ['build', '--role', 'noisy']);
    assert.is(code, 1);
    assert.match(stderr, named(version));
    assert.match(stderr, /Hash Sum mismatch/);
    assert.match(stderr, /^hint: .*other bytes/m);
    project.server.misbehave(undefined);
    await mustBuild(project, 'noisy');
  });
});

test('a locked version that left the archive is named, with the remedy', async () => {
  await withNoise(async (project, { version, file }) => {
    project.server.misbehave((request, response) => {
      if (!request.url?.endsWith(file)) return false;
      response.writeHead(404).end();
      return true;
    });
    const { code, stderr } = await piimg(project, ['build', '--role', 'noisy']);
    assert.is(code, 1);
    assert.match(stderr, named(version));
    assert.match(stderr, /404/);
    assert.match(stderr, /^hint: .*`piimg update`/m);
  });
});

test('a forged or unsigned index is refused', async () => {
  await withNoise(async (project) => {
    const attempts: [string, Mischief][] = [
      [
        'forged',
        (request, response, body) => {
          if (!request.url?.endsWith('/InRelease')) return false;
          answer(response, Buffer.from(body.toString().replace('Origin: Test', 'Origin: Evil')), undefined);
          return true;
        },
      ],
      [
        'unsigned',
        (request, response) => {
          if (!/\/(InRelease|Release\.gpg)$/.test(request.url ?? '')) return false;
          response.writeHead(404).end();
          return true;
        },
      ],
    ];
    for (const [name, mischief] of attempts) {
      project.server.misbehave(mischief);
      const { code, stderr } = await piimg(project, ['build', '--role', 'noisy']);
      assert.is(code, 1, `${name}: ${stderr}`);
      assert.match(stderr, /^error: The package lists could not be fetched$/m);
      assert.match(stderr, name === 'forged' ? /BADSIG|invalid signature|not valid/i : /not signed/i);
    }
    assert.not((await readdir(path.join(project.dir, 'images/roles'))).includes('noisy.lock.json'));
    project.server.misbehave(undefined);
    await mustBuild(project, 'noisy');
  });
});

test('offline: builds from the store alone, names what is missing there, needs a lock or lists', async () => {
  await withNoise(async (project, { version, sha256 }) => {
    const digest = await mustBuild(project, 'noisy');
    project.server.misbehave((_request, response) => {
      response.destroy();
      return true;
    });
    await rm(path.join(project.dir, 'out'), { recursive: true });
    const before = project.server.requests.length;
    assert.is(await mustBuild(project, 'noisy', ['--offline', '--no-cache']), digest);
    assert.is(project.server.requests.length, before);

    await rm(storedPath({ dir: path.join(project.cache, 'store'), tmp: '' }, sha256));
    const missing = await piimg(project, ['build', '--role', 'noisy', '--offline', '--no-cache']);
    assert.is(missing.code, 1);
    assert.match(missing.stderr, /^error: Offline, and 1 of \d+ files are not in the store$/m);
    assert.ok(missing.stderr.includes(`  | noise ${version}\n`), missing.stderr);

    await rm(path.join(project.cache, 'apt'), { recursive: true });
    await writeRole(project, 'fresh', 'packages: [noise]\n');
    const listless = await piimg(project, ['build', '--role', 'fresh', '--offline']);
    assert.is(listless.code, 1);
    assert.match(listless.stderr, /^error: Offline, and no package lists were ever fetched$/m);
  });
});

test('a proxy of the host is used for lists and packages, and no file of the image names it', async () => {
  await withNoise(async (project) => {
    const { server } = project;
    const base = path.join(project.dir, 'images/bases/tiny.yaml');
    await copyFile(base, `${base}.bak`);
    // An address that only the proxy can make something of.
    await writeFile(base, (await readFile(base, 'utf8')).replace(/^mirror: .*$/m, 'mirror: http://archive.invalid'));
    const env = { http_proxy: server.url, no_proxy: '', PIIMG_MIRROR: 'http://archive.invalid' };
    const { code, stderr } = await piimg(project, ['build', '--role', 'noisy'], env);
    assert.is(code, 0, stderr);
    const asked = server.requests.map((request) => request.path);
    assert.ok(asked.some((address) => /^http:\/\/archive\.invalid\/debian\/dists\/.*InRelease$/.test(address)));
    assert.ok(asked.some((address) => address.startsWith('http://archive.invalid/debian/pool/noise')));
    const manifest = JSON.parse(
      await readFile(path.join(project.dir, 'out/noisy.manifest.json'), 'utf8'),
    ) as ImageManifest;
    for (const { key, title } of manifest.layers) {
      const tar = await readFile(path.join(project.cache, 'layers', key, 'layer.tar'));
      for (const word of [new URL(server.url).host, 'archive.invalid'])
        assert.is(tar.indexOf(word), -1, `${word} in ${title}`);
    }
  });
});

test.run();
