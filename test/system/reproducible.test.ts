// The same lock gives the same image: as another user, elsewhere, cold, with another umask, time zone, locale, host name, one job.
import { cp, mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { dieWithParent, run } from '../../src/host/exec.ts';
import { digestOfFile } from '../../src/lib/digest.ts';
import { builtWeb, readBuilt, showDetail } from '../helpers/built.ts';
import { piimgCommand } from '../helpers/command.ts';
import { firstDifference, firstDifferentEntry } from '../helpers/first-difference.ts';

const NOBODY = '65534';
const isRoot = process.getuid?.() === 0;

/**
 * For root: private mounts in which the package lies elsewhere and `nobody` has ids of its own, another host name, and then
 * nobody's rights. Without root the user stays the same.
 */
const AS_NOBODY = `
folder=$1 package=$2; shift 2
hostname unlikely-build-host
for table in subuid subgid; do
  echo nobody:700000:65536 >"$folder/$table"; chmod 644 "$folder/$table"; mount --bind "$folder/$table" /etc/$table
done
mount --bind "$package" "$folder/package"
chown -R ${NOBODY}:${NOBODY} "$folder/project" "$folder/cache" "$folder/home"
cd "$folder/project"; umask 077
exec setpriv --reuid ${NOBODY} --regid ${NOBODY} --clear-groups "$@"
`;
const AS_MYSELF = 'cd "$1/project"; umask 077; shift 2; exec "$@"';

test('another user, place, umask, time zone, locale, host name and a cold cache give the same bytes', async () => {
  const first = await builtWeb();
  // Not below a home: nobody could not get there.
  const folder = await mkdtemp(path.join(tmpdir(), 'piimg-again-'));
  const source = fileURLToPath(new URL('../..', import.meta.url));
  try {
    await run(['chmod', '755', folder]);
    for (const name of ['package', 'home', 'cache', 'project/out'])
      await mkdir(path.join(folder, name), { recursive: true });
    await cp(path.join(first.cacheDir, 'store'), path.join(folder, 'cache/store'), { recursive: true });
    await cp(first.lock, path.join(folder, 'project/out/web.lock.json'));
    // npm's registry and proxies stay those of this machine.
    await cp(path.join(homedir(), '.npmrc'), path.join(folder, 'home/.npmrc')).catch(() => {});
    const kept = Object.entries(process.env).filter(([name]) =>
      /proxy$|^npm_config_registry$|^NODE_EXTRA_CA/i.test(name),
    );
    const env = {
      ...(Object.fromEntries(kept) as Record<string, string>),
      PATH: process.env['PATH'] ?? '',
      HOME: path.join(folder, 'home'),
      PIIMG_CACHE: path.join(folder, 'cache'),
      TZ: 'Pacific/Auckland',
      LANG: 'tr_TR.UTF-8',
    };
    const build = [...piimgCommand(isRoot ? path.join(folder, 'package') : source), 'build', '--role', 'web'];
    const options = ['--progress', 'log', '--jobs', '1', '--locked'];
    const place = isRoot
      ? ['unshare', '--mount', '--uts', '--propagation', 'private', 'sh', '-euc', AS_NOBODY]
      : ['sh', '-euc', AS_MYSELF];
    await run(dieWithParent([...place, 'sh', folder, source, ...build, ...options]), {
      env,
      extendEnv: false,
      signal: AbortSignal.timeout(15 * 60_000),
      onLine: (line) => line.startsWith('=') && console.log(line),
    }).catch(showDetail);
    const second = await readBuilt(path.join(folder, 'project/out'), path.join(folder, 'cache'));
    assert.is(await firstDifference(first, second), undefined);
    assert.is(second.manifest.image.sha256, first.manifest.image.sha256, 'same layers, another image');
    assert.is(await digestOfFile(second.image), first.manifest.image.sha256);
  } finally {
    // Layers belong to ids of the namespace.
    const enter = isRoot ? [] : ['unshare', '--user', '--map-root-user', '--map-auto'];
    await run([...enter, 'rm', '-rf', folder], { signal: AbortSignal.timeout(3 * 60_000) });
  }
});

test('of two layers that differ, the first file and what of it is named', async () => {
  const entry = {
    path: 'etc/motd',
    type: 'file' as const,
    mode: 0o644,
    uid: 0,
    gid: 0,
    size: 3,
    sha256: 'a',
    offset: 0,
  };
  const folder = { ...entry, path: 'etc', type: 'directory' as const };
  assert.is(firstDifferentEntry([folder, entry], [folder, { ...entry, offset: 512 }]), undefined);
  assert.is(firstDifferentEntry([folder, entry], [folder, { ...entry, sha256: 'b' }]), '/etc/motd: sha256 "a" and "b"');
  assert.is(firstDifferentEntry([folder], [{ ...folder, mode: 0o700 }]), '/etc: mode 420 and 448');
  assert.is(firstDifferentEntry([folder, entry], [folder]), '/etc/motd is only in the first');
  assert.is(firstDifferentEntry([folder], [folder, entry]), '/etc/motd is only in the second');
});

test('two builds with layers of other bytes are told apart', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'piimg-differ-'));
  const entry = { path: 'etc/motd', type: 'file', mode: 0o644, uid: 0, gid: 0, size: 3 };
  const built = async (name: string, sha256: string) => {
    const cacheDir = path.join(folder, name);
    await mkdir(path.join(cacheDir, 'layers/key'), { recursive: true });
    await writeFile(path.join(cacheDir, 'layers/key/layer.json'), JSON.stringify({ entries: [{ ...entry, sha256 }] }));
    const layers = [{ title: 'files', key: 'key', digest: sha256, size: 0 }];
    return { cacheDir, manifest: { layers } } as unknown as Awaited<ReturnType<typeof builtWeb>>;
  };
  const [one, other] = [await built('one', 'a'), await built('other', 'b')];
  assert.is(await firstDifference(one, one), undefined);
  assert.is(await firstDifference(one, other), 'layer “files” differs: /etc/motd: sha256 "a" and "b"');
  await run(['rm', '-rf', folder]);
});

test.run();
