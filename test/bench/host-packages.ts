// The same package list for the architecture of this machine: what the native peer installs.
import path from 'node:path';
import { resolvePackages } from '../../src/base/resolve.ts';
import type { Prepared } from '../../src/cli/build.ts';
import type { Context } from '../../src/cli/context.ts';
import { archivesFor } from '../../src/cli/apt-world.ts';
import { HOST_ARCHITECTURE } from '../../src/sandbox/shadow.ts';
import { wantedBy } from '../../src/cli/materials.ts';
import { updateLists, withApt } from '../../src/host/apt.ts';
import { download } from '../../src/host/download.ts';
import type { LockedPackage } from '../../src/image/manifest.ts';

/** Packages that exist for arm64 only, and what does the same work elsewhere. */
const SUBSTITUTES: Record<string, string> = { 'linux-image-arm64': `linux-image-${HOST_ARCHITECTURE}` };

/** Resolves base and role for this machine and downloads what the store lacks. */
export async function hostPackages(
  { base, role, lock, request, store }: Prepared,
  { progress, cacheDir, signal }: Context,
): Promise<{ packages: LockedPackage[]; substituted: string[] }> {
  const archives = await archivesFor(request);
  const world = { architecture: HOST_ARCHITECTURE, archives, status: '' };
  const folders = { tmp: store.tmp, lists: path.join(cacheDir, 'apt/bench') };
  const asked = [...base.packages, ...role.packages.map(({ name }) => name)];
  const words = asked.map((name) => SUBSTITUTES[name] ?? name);
  const packages = await progress.step(`packages for ${HOST_ARCHITECTURE}`, async (step) => {
    await updateLists(world, folders, signal);
    const { packages: found } = await withApt(world, folders, (apt) =>
      resolvePackages(apt, ['?essential', ...words], archives),
    );
    const wanted = wantedBy({ ...lock, tools: {}, basePackages: found, rolePackages: [] }, role, archives);
    await download(store, wanted, step, signal);
    return found;
  });
  const substituted = asked.flatMap((name) =>
    SUBSTITUTES[name] === undefined ? [] : [`${SUBSTITUTES[name]} for ${name}`],
  );
  return { packages, substituted };
}
