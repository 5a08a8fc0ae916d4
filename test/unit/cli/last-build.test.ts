// Which image `piimg flash` takes when none is named: the one that was built last from this folder.
import { mkdir, rm, utimes, writeFile } from 'node:fs/promises';
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
  await writeFile(manifest, JSON.stringify({ image: { file: `${role}.img` } }));
  const time = new Date(Date.UTC(2026, 0, 1) + seconds * 1000);
  await utimes(manifest, time, time);
  await noteBuild(cacheDir, manifest);
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

test('what was built from another folder is not offered', async () => {
  const far = path.join(elsewhere, 'others');
  await from(here, () => built(far, 'lb', 9));
  assert.match(String(await refused(elsewhere)), 'none was built');
});

test.run();
