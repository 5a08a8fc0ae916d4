// The engine behind plan, update and shell: a prepared build, put to another use.
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { readLock, writeLock, type Lock, type LockedImage } from '../base/lock.ts';
import type { LockedPackage } from '../image/manifest.ts';
import { resolveRole } from '../role/resolve.ts';
import { findLayer } from '../layers/cache.ts';
import { chosenBase, requireImageBase } from './base-choice.ts';
import { makeLayers, prepareBuild } from './build.ts';
import type { BuildOptions } from './build-options.ts';
import type { Context } from './context.ts';
import { comparePackages } from './diffing.ts';
import type { PlanOptions, PlanResult, ShellOptions, UpdateOptions, UpdateResult } from './engine-types.ts';
import { atTheirPlaces } from './known-packages.ts';
import { lockFileOf, resolveLock } from './locking.ts';
import { HOST_ARCHITECTURE } from '../sandbox/shadow.ts';
import { mirrorFrom } from './parse.ts';
import { withCare } from './repair.ts';

/** What a build is asked when only its preparation is wanted. */
const defaults = (options: PlanOptions): BuildOptions => ({
  compress: 'none',
  offline: false,
  locked: false,
  cache: true,
  jobs: 1,
  shellOnError: false,
  ...options,
});

/** What a build of the role would do. */
export async function planRole(options: PlanOptions, context: Context): Promise<PlanResult> {
  const { planned } = await prepareBuild(defaults(options), context, { keepLock: false });
  const { plan } = planned;
  const cache = { dir: path.join(context.cacheDir, 'layers'), tmp: path.join(context.cacheDir, 'tmp') };
  const layers = await Promise.all(
    plan.layers.map(async ({ title, key }) => {
      const found = await findLayer(cache, key, () => {});
      return { title, key, cached: found !== undefined };
    }),
  );
  return { buildId: plan.buildId, layers, packages: plan.packages.length, plan };
}

/** Resolves packages anew and writes the lock; an archive that cannot be reached leaves the old one as it is. */
export async function updateLock(options: UpdateOptions, context: Context): Promise<UpdateResult> {
  const { search, cacheDir, signal, progress } = context;
  const { bases, choice } = await chosenBase(options, context);
  const { role, base, written } = await resolveRole(options.role, search, bases);
  requireImageBase(base, options);
  const mirror = mirrorFrom(options.mirror, process.env);
  const lockPath = lockFileOf(role, path.resolve(options.out ?? path.join('out', `${role.name}.img`)));
  const before = await readLock(lockPath);
  const request = { role, base, cacheDir, mirror, offline: false, signal, choice };
  const resolving = progress.step('lock', (step) => resolveLock(request, step, before, { keepBase: false }));
  const lock = await resolving.catch((error: unknown) => {
    throw atTheirPlaces(error, role.name, written);
  });
  await mkdir(path.dirname(lockPath), { recursive: true });
  await writeLock(lockPath, lock);
  const compared = (packages: (of: Lock) => LockedPackage[]) =>
    comparePackages(before ? packages(before) : [], packages(lock));
  const image = lock.image && lock.image.sha256 !== before?.image?.sha256 ? lock.image : undefined;
  return {
    lockPath,
    ...(image && { image: { ...(before?.image && { from: imageTitle(before.image) }), to: imageTitle(image) } }),
    packages: compared(({ basePackages, rolePackages }) => [...basePackages, ...rolePackages]),
    tools: compared(({ tools }) => tools[HOST_ARCHITECTURE] ?? []),
    buildPackages: compared(({ buildPackages = [] }) => buildPackages),
  };
}

const imageTitle = ({ name, released, sha256 }: LockedImage): string =>
  [name, released, sha256.slice(0, 12)].filter(Boolean).join(', ');

/** Runs a command in the built system of a role; resolves to its exit status. Nothing it writes stays. */
export async function openShell(options: ShellOptions, context: Context): Promise<number> {
  const { command, ...plan } = options;
  const build = defaults(plan);
  const prepared = await prepareBuild(build, context);
  const argv = command.length > 0 ? command : ['bash', '-l'];
  const term = process.env['TERM'];
  return withCare(prepared, context, { image: false }, async () => {
    const { layers, sandbox } = await makeLayers(prepared, build, context);
    const { exitCode } = await sandbox.inRoot(
      // With the image's own perl and python: the host's would find no module of the image that is a library.
      { lowers: layers.map(({ dir }) => `${dir}/tree`), overlay: 'interpreted' },
      {
        argv,
        stdout: 'inherit',
        okCodes: Array.from({ length: 256 }, (_, code) => code),
        signal: context.signal,
        ...(term !== undefined && { env: { TERM: term } }),
      },
    );
    return exitCode;
  });
}
