// Which image `piimg flash` takes when none is named: the one that was built last from this folder.
import { mkdir, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { lastBuild, noteBuild } from '../../../src/cli/flashing/last-build.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';

const [cacheDir, here, elsewhere] = [temporaryFolder(), temporaryFolder(), temporaryFolder()];

/** As `piimg build` leaves it, so many seconds after 2026 began. */
async function built(folder: string, role: string, seconds: number): Promise<string> {
  await mkdir(folder, { recursive: true });
  const manifest = path.join(folder, `${role}.manifest.json`);
  await writeFile(path.join(folder, `${role}.img`), '');
  const buildId = `${role} at ${seconds}`;
  await writeFile(manifest, JSON.stringify({ buildId, image: { file: `${role}.img` } }));
  await noteBuild(cacheDir, manifest, buildId);
  const time = new Date(Date.UTC(2026, 0, 1) + seconds * 1000);
  const notes = path.join(cacheDir, 'last-builds');
  const written = (await readdir(notes).catch(() => [])).map((name) => path.join(notes, name));
  // This one is the youngest.
  for (const file of [manifest, ...written])
    if ((await stat(file)).mtimeMs > Date.UTC(2026, 6, 1)) await utimes(file, time, time);
  return manifest;
}

async function from<T>(folder: string, work: () => Promise<T>): Promise<T> {
  const before = process.cwd();
  process.chdir(folder);
  try {
    return await work();
  } finally {
    process.chdir(before);
  }
}

const last = (folder: string): Promise<string> => from(folder, () => lastBuild(cacheDir));
const refused = (folder: string): Promise<unknown> => last(folder).then(assert.unreachable, (error: unknown) => error);

test('none; the newest of ./out; one that was put elsewhere later; that is gone again', async () => {
  assert.match(String(await refused(here)), 'none was built in ./out');
  await from(here, () => built('out', 'web', 1));
  await from(here, () => built('out', 'db', 2));
  assert.is(await last(here), 'out/db.img');
  const far = path.join(elsewhere, 'images');
  await from(here, () => built(far, 'lb', 3));
  assert.is(await last(here), path.join(far, 'lb.img'));
  await from(here, () => built('out', 'web', 4));
  assert.is(await last(here), 'out/web.img');
  await from(here, () => built(far, 'lb', 5));
  await rm(path.join(far, 'lb.img'));
  assert.is(await last(here), 'out/web.img');
});

test('what was built from another folder is not offered, be it to the same place', async () => {
  const far = path.join(elsewhere, 'others');
  await from(here, () => built(far, 'lb', 9));
  assert.match(String(await refused(elsewhere)), 'none was built');
  await from(here, () => built('out', 'db', 10));
  assert.is(await last(here), 'out/db.img');
  await from(elsewhere, () => built(far, 'lb', 11));
  assert.is(await last(here), 'out/db.img');
  await rm(path.join(here, 'out'), { recursive: true });
  assert.match(String(await refused(here)), 'none was built', 'it was built again from elsewhere');
  assert.is(await last(elsewhere), path.join(far, 'lb.img'));
});

test.run();
