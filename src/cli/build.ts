// The build: role → lock → plan → layers → image → manifest. The only place that puts these stages together.
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import type { BaseDefinition } from '../base/definition.ts';
import type { Lock } from '../base/lock.ts';
import { readDeb } from '../host/deb.ts';
import { storedPath, type Store } from '../host/store.ts';
import { requireBuildTools } from '../host/tools.ts';
import { assembleImage, type AssembledImage } from '../image/assemble.ts';
import { compressImage } from '../image/compress.ts';
import type { ImageManifest, LockedPackage } from '../image/manifest.ts';
import type { RunTool } from '../image/run-tool.ts';
import { EXIT, PiimgError } from '../lib/errors.ts';
import { touch } from '../lib/touch.ts';
import { writeWhole } from '../lib/write-whole.ts';
import { printReport } from '../lib/yaml/report.ts';
import { buildLayers } from '../layers/build-layers.ts';
import { removeAbandoned } from '../layers/cache.ts';
import type { Layer } from '../layers/layer.ts';
import { isRaspberryPiOs, packagesOfImage } from '../plan/image-base.ts';
import { planBuild, type PlannedBuild } from '../plan/plan.ts';
import type { ResolvedRole, SourceFile } from '../role/resolved.ts';
import { resolveRole } from '../role/resolve.ts';
import type { Sandbox } from '../sandbox/root.ts';
import { minimalSeed } from '../seed/minimal.ts';
import type { BuildOptions, BuildResult } from './build-options.ts';
import type { Context } from './context.ts';
import { noteBuild } from './flashing/last-build.ts';
import { loginsOf } from './logins.ts';
import type { LockRequest } from './apt-world.ts';
import { lockFileOf, obtainLock } from './locking.ts';
import { HOST_ARCHITECTURE } from '../sandbox/shadow.ts';
import { fetchMaterials, prepareSandbox, toolsKey } from './materials.ts';
import { chosenBase, requireImageBase } from './base-choice.ts';
import { ensureImageLayer } from './base-image.ts';
import { firstBootAgent } from './agent.ts';
import { atTheirPlaces, refuseUnknownPackages } from './known-packages.ts';
import { adviseOnLock } from './lock-advice.ts';
import { mirrorFrom } from './parse.ts';
import { withCare } from './repair.ts';
import { removeOldCopy, unchanged } from './reuse.ts';

/** Everything that is known before work starts. */
export interface Prepared {
  role: ResolvedRole;
  base: BaseDefinition;
  lock: Lock;
  lockFile: string;
  request: LockRequest;
  planned: PlannedBuild;
  out: string;
  store: Store;
}

/** Reads role and base, obtains the lock, makes the plan. Writes nothing but the lock, and not even that without `keepLock`. */
export async function prepareBuild(
  options: BuildOptions,
  context: Context,
  { keepLock }: { keepLock: boolean } = { keepLock: true },
): Promise<Prepared> {
  requireBuildTools();
  const { search, cacheDir, signal, progress } = context;
  const { bases, choice } = await chosenBase(options, context);
  const { role, base, written, warnings } = await resolveRole(options.role, search, bases);
  if (warnings.length > 0) {
    await progress.step('role', async (step) => warnings.forEach((warning) => step.note(printReport([warning]))));
  }
  requireImageBase(base, options);
  const out = path.resolve(options.out ?? path.join('out', `${role.name}.img`));
  await requireFilePlace(out);
  const mirror = mirrorFrom(options.mirror, process.env);
  const request: LockRequest = { role, base, cacheDir, mirror, offline: options.offline, signal, choice };
  const lockFile = lockFileOf(role, out);
  const keeping = { locked: options.locked, keep: keepLock };
  const obtaining = progress.step('lock', (step) => obtainLock(lockFile, request, keeping, step));
  const lock = await obtaining.catch((error: unknown) => {
    throw atTheirPlaces(error, role.name, written);
  });
  const sized = options.size === undefined ? {} : { size: options.size };
  const debs = await Promise.all(role.debs.map(localPackage));
  const ofImage = packagesOfImage(lock);
  refuseUnknownPackages(role.name, written, [...ofImage, ...lock.basePackages, ...lock.rolePackages, ...debs]);
  const agent = await firstBootAgent(lock.image?.firstBoot);
  const planned = planBuild(role, base, lock, { tools: toolsKey(lock), debs, agent, ...sized });
  const store = { dir: path.join(cacheDir, 'store'), tmp: path.join(cacheDir, 'tmp') };
  return { role, base, lock, lockFile, request, planned, out, store };
}

/** A .deb file of the role's as a package among those of the archives. */
async function localPackage({ path: file, sha256, size }: SourceFile): Promise<LockedPackage> {
  return { ...(await readDeb(file)), sha256, size, source: '', local: true };
}

/** Refuses a place for the image that is no file: a folder, or a card, which is for flashing with all its care. */
async function requireFilePlace(out: string): Promise<void> {
  const found = await stat(out).catch(() => undefined);
  if (!found || found.isFile()) return;
  throw new PiimgError(`${out} is a ${found.isDirectory() ? 'folder' : 'device'}: the image cannot be written there`, {
    exitCode: EXIT.refused,
    hint: 'Name a file with --out. Writing a card is a step of its own, after the build.',
  });
}

/** Makes the layers of a prepared build; the last one carries the build id. */
export async function makeLayers(
  prepared: Prepared,
  options: Pick<BuildOptions, 'offline' | 'shellOnError' | 'cache' | 'jobs'>,
  context: Context,
): Promise<{ layers: Layer[]; sandbox: Sandbox }> {
  const { lock, role, request, planned, store } = prepared;
  const { cacheDir, progress, signal } = context;
  const { image } = lock;
  const { base } = request;
  if (image && base.kind === 'image') {
    await progress.step('image of the base', (step) => ensureImageLayer(image, base, request, { step, signal }));
  }
  await fetchMaterials(store, lock, request, progress);
  const sandbox = await prepareSandbox(lock, store, cacheDir, { jobs: options.jobs, progress });
  await removeAbandoned(sandbox, store.tmp);
  const { plan, inputs } = planned;
  const finish = { key: plan.buildId, title: 'identity', spec: { kind: 'files' as const, files: plan.finish } };
  const layers = await buildLayers([...plan.layers, finish], {
    sandbox,
    cache: { dir: path.join(cacheDir, 'layers'), tmp: store.tmp },
    epoch: plan.epoch,
    file: (sha256) => inputs.get(sha256) ?? storedPath(store, sha256),
    progress,
    signal,
    shellOnError: options.shellOnError,
    offline: options.offline,
    npmCache: path.join(cacheDir, 'npm'),
    roleFile: role.sources.at(-1)?.path ?? role.name,
    jobs: options.jobs,
    noCache: !options.cache,
  });
  return { layers, sandbox };
}

/** Builds an image, its .bmap and its manifest; when nothing has changed, what lies there is the result. */
export async function buildRole(options: BuildOptions, context: Context): Promise<BuildResult> {
  const prepared = await prepareBuild(options, context);
  const { planned, out } = prepared;
  const manifestPath = `${out.replace(/\.img$/, '')}.manifest.json`;
  const result = { imagePath: out, manifestPath, stages: context.stages };
  const earlier = await unchanged(out, manifestPath, planned.plan.buildId, options);
  if (earlier) {
    // `piimg flash` and `piimg test` take the one that was asked for last.
    await touch(manifestPath);
    await noteBuild(context.cacheDir, manifestPath, planned.plan.buildId);
    // There is no work for it to go along with.
    await adviseOnLock(prepared.lock, prepared.request, context.progress, { patience: 20_000 });
    return { ...result, manifest: earlier, reused: true };
  }
  const advice = adviseOnLock(prepared.lock, prepared.request, context.progress);
  const manifest = await withCare(prepared, context, { image: true }, async () => {
    const made = await makeLayers(prepared, options, context);
    const assembled = await makeImage(prepared, made, { manifestPath, fresh: !options.cache }, context);
    const manifest = manifestOf(prepared, made.layers, assembled);
    const compressed = await compressedCopy(out, options, made.sandbox, context);
    if (compressed) manifest.image.compressed = { ...compressed, file: path.basename(compressed.file) };
    return manifest;
  });
  await Promise.all([advice, writeWhole(manifestPath, `${JSON.stringify(manifest, null, 1)}\n`)]);
  await noteBuild(context.cacheDir, manifestPath, planned.plan.buildId);
  return { ...result, manifest, reused: false };
}

function makeImage(
  { role, planned: { plan }, lock, out }: Prepared,
  { layers, sandbox }: { layers: Layer[]; sandbox: Sandbox },
  { manifestPath, fresh }: { manifestPath: string; fresh: boolean },
  { progress, signal, cacheDir }: Context,
): Promise<AssembledImage> {
  return progress.step('image', async (step) => {
    const image = await assembleImage({
      layers,
      stable: layers.filter(({ index }) => plan.stable.includes(index.key)),
      stages: { dir: path.join(cacheDir, 'stages'), tmp: path.join(cacheDir, 'tmp'), fresh },
      buildId: plan.buildId,
      diskId: parseInt(plan.disk.diskId, 16),
      role: plan.role,
      base: plan.base,
      logins: loginsOf(role),
      raspberryPi: isRaspberryPiOs(lock),
      firstBoot: lock.image?.firstBoot,
      users: role.users.map(({ name }) => name),
      seed: minimalSeed(plan.buildId, lock.image?.firstBoot),
      bootFiles: [],
      out,
      ...(plan.size !== undefined && { size: plan.size }),
      sourceDateEpoch: plan.epoch,
      runTool: toolRunner(sandbox, signal),
      step,
      signal,
    });
    const removed = await removeOldCopy(out, manifestPath);
    if (removed !== undefined) step.note(`removed ${removed}: it was packed from the image that was here before`);
    return image;
  });
}

async function compressedCopy(
  image: string,
  { compress, jobs }: BuildOptions,
  sandbox: Sandbox,
  { progress, signal }: Context,
): Promise<Awaited<ReturnType<typeof compressImage>> | undefined> {
  if (compress === 'none') return undefined;
  return progress.step(`compress (${compress})`, (step) =>
    compressImage(image, compress, { jobs, runTool: toolRunner(sandbox, signal), step }),
  );
}

/** The sandbox's tools, as the image stage calls them. */
export function toolRunner(sandbox: Sandbox, signal?: AbortSignal): RunTool {
  return async (tool, { input, script, writable }) => {
    const argv = script === undefined ? tool : ['sh', '-euc', script, ...tool];
    const stream =
      input === undefined
        ? {}
        : { input: input instanceof Readable ? input : Readable.from(input, { highWaterMark: 16 }) };
    return (await sandbox.tool(argv, { writable, ...stream, signal })).stdout;
  };
}

function manifestOf({ planned, lock, out }: Prepared, layers: Layer[], image: AssembledImage): ImageManifest {
  const { plan } = planned;
  return {
    version: 1,
    role: plan.role,
    summary: plan.summary,
    base: plan.base,
    buildId: plan.buildId,
    image: {
      file: path.basename(out),
      size: image.size,
      allocated: image.allocated,
      sha256: image.sha256,
      bmap: path.basename(image.bmapFile),
    },
    boards: plan.boards,
    disk: image.disk,
    slots: image.slots,
    packages: plan.packages,
    removed: plan.removed,
    layers: layers.map(({ index: { title, key, digest, size } }) => ({ title, key, digest, size })),
    tools: Object.fromEntries((lock.tools[HOST_ARCHITECTURE] ?? []).map(({ name, version }) => [name, version])),
    notes: layers.flatMap(({ index }) => index.notes),
  };
}
