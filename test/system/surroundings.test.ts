// Builds where names of folders hold what others quote by, behind a certificate authority of one's own, without a network,
// and on a copy of a cache.
import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { run } from '../../src/host/exec.ts';
import { storedPath } from '../../src/host/store.ts';
import { digestOfFile } from '../../src/lib/digest.ts';
import type { ImageManifest } from '../../src/image/manifest.ts';
import {
  freshCache,
  inFolder,
  makeDeb,
  mustBuild,
  piimg,
  removeTree,
  withProject,
  writeRole,
  type Ended,
  type Project,
} from '../helpers/bad-luck-project.ts';
import { makeAuthority, publish, withPrivateServer, type Authority } from '../helpers/private-server.ts';

/** Everything that a shell, apt, overlayfs, tar, YAML or a URL takes for more than a letter. */
const ODD = `it's a "pi": ä, #1 \\ %41 [x] {y} $HOME \`z\`; <&> *?!=+~@`;

/** A role with everything that is read from a file beside it or passed by its path. */
async function writeRoleOfEverything(project: Project): Promise<void> {
  const roles = path.join(project.dir, 'images/roles');
  const deb = await makeDeb(roles, { name: 'local', version: '1.0' }, { files: { 'usr/share/local': 'local\n' } });
  await cp(project.archive.keyring, path.join(roles, 'key.gpg'));
  await mkdir(path.join(project.dir, 'overlays/odd/rootfs/etc'), { recursive: true });
  await writeFile(path.join(project.dir, 'overlays/odd/rootfs/etc/odd.conf.mustache'), 'role {{role.name}}\n');
  await writeApp(project, {});
  const artifact = path.join(project.archive.dir, 'key.gpg');
  await writeRole(
    project,
    'everything',
    `
debs: [${path.basename(deb)}]
packages: [zlib1g]
sources: [{ name: own, uris: ['${project.server.url}/debian-security'], suites: [tiny], components: [main], keyring: key.gpg }]
npm: [{ source: ../../app, destination: /opt/app }]
artifacts: [{ url: '${project.server.url}/debian/key.gpg', sha256: ${await digestOfFile(artifact)}, destination: /etc/artifact }]
overlays: [{ name: odd }]
files: [{ path: /etc/inline, content: inline }]
run: [{ name: look, script: cat /etc/odd.conf /opt/app/index.js >/etc/all }]
`,
  );
}

/** The application `app` with packages (name → entry in its lock file), in a version that was never installed. */
async function writeApp({ dir }: Project, packages: Record<string, object>): Promise<void> {
  const app = path.join(dir, 'app');
  const dependencies = Object.fromEntries(Object.keys(packages).map((name) => [name, '1.0.0']));
  const self = { name: 'app', version: '1.0.0', dependencies };
  const entries = Object.entries(packages).map(([name, entry]) => [`node_modules/${name}`, entry]);
  const lock = { name: 'app', lockfileVersion: 3, packages: { '': self, ...Object.fromEntries(entries) } };
  await mkdir(app, { recursive: true });
  await writeFile(path.join(app, 'package.json'), JSON.stringify(self));
  await writeFile(path.join(app, 'package-lock.json'), JSON.stringify(lock));
  await writeFile(path.join(app, 'index.js'), 'console.log(1);\n');
}

/** Those files of a built role (layers, image, manifest, lock) that hold one of `words`. */
async function filesHolding({ dir, cache }: Project, role: string, words: string[]): Promise<string[]> {
  const results = (await readdir(path.join(dir, 'out'))).filter((name) => name.startsWith(`${role}.`));
  const manifest = await readFile(path.join(dir, `out/${role}.manifest.json`), 'utf8');
  const files = [
    ...(JSON.parse(manifest) as ImageManifest).layers.map(({ key }) => path.join(cache, 'layers', key, 'layer.tar')),
    ...results.map((name) => path.join(dir, 'out', name)),
    path.join(dir, `images/roles/${role}.lock.json`),
  ];
  const grep = ['grep', '--text', '--files-with-matches', '--fixed-strings', ...words.flatMap((word) => ['-e', word])];
  const { stdout } = await run([...grep, '--', ...files], { okCodes: [0, 1], env: { LC_ALL: 'C' } });
  return stdout.split('\n').filter((name) => name !== '');
}

test('project and cache in folders with every odd character', async () => {
  await withProject(async (project) => {
    await writeRole(project, 'tiny');
    await mustBuild(project, 'tiny');
    const odd = await freshCache(await inFolder(project, ODD), `cache ${ODD}`);
    // The keyring of the base as well, and lists that have to be fetched.
    const keyring = path.join(odd.dir, 'key.gpg');
    await cp(project.archive.keyring, keyring);
    const base = path.join(odd.dir, 'images/bases/tiny.yaml');
    const text = await readFile(base, 'utf8');
    await writeFile(
      base,
      text.replace(/^keyring: .*$/m, () => `keyring: ${JSON.stringify(keyring)}`),
    );
    await rm(path.join(odd.cache, 'apt'), { recursive: true });
    await writeRoleOfEverything(odd);
    const digest = await mustBuild(odd, 'everything', ['--compress', 'xz']);
    assert.is(await digestOfFile(path.join(odd.dir, 'out/everything.img')), digest);
    const updated = await piimg(odd, ['update', '--role', 'everything']);
    assert.is(updated.code, 0, updated.stderr);
    const { stdout, stderr } = await piimg(odd, ['shell', '--role', 'everything', '--', 'cat', '/etc/all']);
    assert.is(stdout, 'role everything\nconsole.log(1);\n', stderr);
    assert.equal(await filesHolding(odd, 'everything', [ODD, path.basename(project.dir)]), []);
  });
});

/** A project whose role takes packages, an artifact and npm packages from a server with a certificate of an unknown authority. */
async function withPrivate(work: (world: Private) => Promise<void>): Promise<void> {
  await withProject(async (project) => {
    await writeRole(project, 'tiny');
    await mustBuild(project, 'tiny');
    const file = (name: string): string => path.join(project.dir, name);
    const authority = await makeAuthority(file('authority'));
    await mkdir(file('files'));
    await writeFile(file('files/tool'), '#!/bin/sh\necho a tool\n');
    const folders = { debian: project.archive.dir, files: file('files'), registry: file('registry') };
    await withPrivateServer(authority, folders, async (port) => {
      const registry = `https://127.0.0.1:${port}/registry`;
      await writeApp(project, { secret: await publish(file('registry'), registry, 'secret', '// installed\n') });
      // An artifact's address is the role's own word, and in its lock: another name of the server than the host's settings have.
      const artifact = `{ url: 'https://localhost:${port}/files/tool', sha256: ${await digestOfFile(file('files/tool'))}, destination: /usr/bin/tool }`;
      await writeRole(
        project,
        'private',
        `npm: [{ source: ../../app, destination: /opt/app }]\nartifacts: [${artifact}]\n`,
      );
      await writeFile(file('apt.conf'), `Acquire::https::CaInfo "${authority.certificate}";\n`);
      await mkdir(file('home'));
      await work({ project, authority, mirror: `https://127.0.0.1:${port}`, host: `127.0.0.1:${port}` });
    });
  });
}

interface Private {
  project: Project;
  authority: Authority;
  mirror: string;
  host: string;
}

/** This machine's own settings out of the way; npm hands its own on to the scripts it runs, which these tests are. */
const NOTHING_SET = {
  NODE_EXTRA_CA_CERTS: '',
  no_proxy: '127.0.0.1,localhost',
  npm_config_globalconfig: '/dev/null',
  npm_config_userconfig: '',
  npm_config_cafile: '',
  npm_config_registry: '',
  // As below `npm --silent`: what npm fails of has to be said all the same.
  npm_config_loglevel: 'silent',
  // A certificate gets no better by trying again.
  npm_config_fetch_retries: '0',
};

/** Builds the role `private` with nothing that an earlier build has fetched from the private server, and the settings of `env` alone. */
async function build({ project }: Private, env: Record<string, string>, around: string[] = []): Promise<Ended> {
  const { cache, dir } = project;
  const tool = await digestOfFile(path.join(dir, 'files/tool'));
  for (const gone of ['npm', 'apt']) await rm(path.join(cache, gone), { recursive: true, force: true });
  await rm(storedPath({ dir: path.join(cache, 'store'), tmp: '' }, tool), { force: true });
  await rm(path.join(dir, 'images/roles/private.lock.json'), { force: true });
  // So that npm has something to do.
  await writeFile(path.join(dir, 'app/stamp'), String(Math.random()));
  return piimg(
    project,
    ['build', '--role', 'private'],
    { ...NOTHING_SET, HOME: path.join(dir, 'home'), ...env },
    around,
  );
}

test('a certificate authority of the host: without it every download fails with the remedy, with it none does, and no image knows it', async () => {
  await withPrivate(async (world) => {
    const { project, authority, mirror, host } = world;
    const refused = async (env: Record<string, string>, ...said: RegExp[]): Promise<void> => {
      const { code, stderr } = await build(world, env);
      assert.is(code, 1, stderr);
      for (const words of [...said, /^hint: .*update-ca-certificates/m]) assert.match(stderr, words);
    };
    const PIIMG_MIRROR = mirror;
    const APT_CONFIG = path.join(project.dir, 'apt.conf');
    const NODE_EXTRA_CA_CERTS = authority.certificate;
    await refused({ PIIMG_MIRROR, NODE_EXTRA_CA_CERTS }, /^error: The package lists could not be fetched$/m);
    await refused({ NODE_EXTRA_CA_CERTS }, /^error: https:\/\/localhost:\d+\/files\/tool could not be downloaded$/m);
    await refused({ APT_CONFIG }, /^error: \/opt\/app: npm does not trust the registry's certificate$/m);

    const accepted = async (env: Record<string, string>, around: string[] = []): Promise<void> => {
      const { code, stderr } = await build(world, { ...env, PIIMG_MIRROR }, around);
      assert.is(code, 0, stderr);
      await assertNotRecorded(world);
    };
    // apt's setting with that of Node.js, then with npm's own; last, what the whole machine trusts.
    await accepted({ APT_CONFIG, NODE_EXTRA_CA_CERTS });
    await writeFile(
      path.join(project.dir, 'home/.npmrc'),
      `cafile=${authority.certificate}\nregistry=https://${host}/registry\n`,
    );
    await accepted({ APT_CONFIG });
    await rm(path.join(project.dir, 'home/.npmrc'));
    await accepted({}, trusting(authority));
  });
});

/** A prefix that runs a program on a machine that trusts the authority, as after update-ca-certificates(8). */
function trusting({ certificate }: Authority): string[] {
  const user = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user', '--map-auto'];
  const script = 'mount -t tmpfs tmpfs /etc/ssl/certs; cp "$1" /etc/ssl/certs/ca-certificates.crt; shift; exec "$@"';
  return ['unshare', ...user, '--mount', 'sh', '-euc', script, 'sh', certificate];
}

/** Looks for the authority, its files and the server in all that a build leaves. */
async function assertNotRecorded({ project, authority, host }: Private): Promise<void> {
  const [, line = ''] = (await readFile(authority.certificate, 'utf8')).split('\n');
  const words = [authority.name, authority.certificate, line, host, project.dir];
  assert.equal(await filesHolding(project, 'private', words), []);
  // Words that are there are found: in the layer of npm and in the image.
  assert.is((await filesHolding(project, 'private', ['// installed'])).length, 2);
}

test('offline: npm packages of an earlier build are used, those that are not there named, and no step gets the network', async () => {
  await withPrivate(async (world) => {
    const { project, authority, mirror } = world;
    const { dir, cache } = project;
    const settings = { PIIMG_MIRROR: mirror, APT_CONFIG: path.join(dir, 'apt.conf') };
    const online = await build(world, { ...settings, NODE_EXTRA_CA_CERTS: authority.certificate });
    assert.is(online.code, 0, online.stderr);

    // Nothing but the registry's certificate is in the way of a request now.
    const offline = (role: string): Promise<Ended> =>
      piimg(project, ['build', '--role', role, '--offline'], { ...NOTHING_SET, ...settings });
    await writeFile(path.join(dir, 'app/stamp'), 'another');
    const built = await offline('private');
    assert.is(built.code, 0, built.stderr);

    await writeFile(path.join(dir, 'app/stamp'), 'and another');
    await rm(path.join(cache, 'npm'), { recursive: true });
    const missing = await offline('private');
    assert.is(missing.code, 1, missing.stderr);
    assert.match(missing.stderr, /^error: Offline, and 1 of 1 npm packages of \/opt\/app are not in the cache$/m);
    assert.match(missing.stderr, /^ {2}\| secret@1\.0\.0$/m);
    assert.match(missing.stderr, /^hint: Build once without --offline/m);

    // A step that no cache has yet.
    const script = `echo ${Math.random()}`;
    const role = await writeRole(project, 'fetches', `run: [{ name: fetch, script: ${script}, network: true }]\n`);
    const refused = await offline('fetches');
    assert.is(refused.code, 1, refused.stderr);
    assert.ok(refused.stderr.includes(`error: ${role}: the run step “fetch” asks for the network`), refused.stderr);
    await mustBuild(project, 'fetches');
    const cached = await offline('fetches');
    assert.is(cached.code, 0, cached.stderr);
  });
});

test('offline with lock and store: neither a mirror nor an apt that works is needed', async () => {
  await withProject(async (project) => {
    await writeRole(project, 'tiny');
    const digest = await mustBuild(project, 'tiny');
    const base = path.join(project.dir, 'images/bases/tiny.yaml');
    await writeFile(base, (await readFile(base, 'utf8')).replace(/^mirror: .*\n/m, ''));
    const broken = path.join(project.dir, 'apt.conf');
    await writeFile(broken, 'no apt.conf {\n');
    const args = ['build', '--role', 'tiny', '--out', 'out/again.img', '--offline'];
    const { code, stderr } = await piimg(project, args, { APT_CONFIG: broken }, ['env', '--unset=PIIMG_MIRROR']);
    assert.is(code, 0, stderr);
    assert.is(await digestOfFile(path.join(project.dir, 'out/again.img')), digest);
  });
});

test('a copy of the cache without the files of layers: they are put back, and what is built upon them is the same', async () => {
  await withProject(async (shared) => {
    const project = await freshCache(shared, 'cache');
    await writeRole(project, 'tiny');
    await mustBuild(project, 'tiny');
    const layers = path.join(project.cache, 'layers');
    for (const key of await readdir(layers)) await removeTree(path.join(layers, key, 'tree'));
    const whole = await piimg(project, ['cache', 'verify']);
    assert.is(whole.code, 0, whole.stdout + whole.stderr);

    const look = `find /etc /usr /var -printf '%p %m %U %G %l\\\\n' | sort >/srv/seen`;
    await writeRole(project, 'tiny', `run: [{ name: look, script: "${look}" }]\n`);
    const { code, stderr } = await piimg(project, ['build', '--role', 'tiny']);
    assert.is(code, 0, stderr);
    assert.match(stderr, /^= essential packages configured: reused/m);
    const verified = await piimg(project, ['cache', 'verify']);
    assert.is(verified.code, 0, verified.stdout + verified.stderr);
    const digest = await digestOfFile(path.join(project.dir, 'out/tiny.img'));
    assert.is(await mustBuild(project, 'tiny', ['--no-cache']), digest);
  });
});

test.run();
