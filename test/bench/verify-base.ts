// `npm run verify:base`: is the base piimg makes with native tools the one that Debian's mmdebstrap makes by emulation?
//   npm run verify:base -- [--packages NAME,NAME…] [--work DIR] [--json FILE]
// --packages compares a smaller base; --work keeps the folder: a later run compares again what was bootstrapped there.
import { readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { parse, stringify } from 'yaml';
import { makeLayers, prepareBuild, type Prepared } from '../../src/cli/build.ts';
import type { Context } from '../../src/cli/context.ts';
import { abortOnSignals } from '../../src/cli/signals.ts';
import { mergeLayers } from '../../src/image/merge.ts';
import type { Layer } from '../../src/layers/layer.ts';
import { digestOf } from '../../src/lib/digest.ts';
import { nativeToolsAt } from '../../src/sandbox/native-tools.ts';
import { compareTrees, judge, KNOWN, type Difference } from './differences.ts';
import { mmdebstrap, placing, requireMmdebstrap } from './mmdebstrap.ts';
import { BUILD_OPTIONS, openProject, removeProject, type BenchProject } from './project.ts';
import { checkReaders, layerReader, tarReader } from './readers.ts';
import { treeOfLayers, treeOfTar, type Tree } from './tree.ts';
import { sh } from '../../src/sandbox/namespace.ts';
import { toolsFolder } from '../../src/cli/materials.ts';
import { runMain } from './main.ts';

const MOST_PATTERNS = 20;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { packages: { type: 'string' }, work: { type: 'string' }, json: { type: 'string' } },
  });
  requireMmdebstrap();
  if (KNOWN.length > MOST_PATTERNS)
    throw new Error(`${KNOWN.length} known differences; at most ${MOST_PATTERNS} are allowed`);
  const project = await openProject(abortOnSignals(), values.work);
  await writeBase(project, values.packages?.split(','));
  const context = { ...project.context, cacheDir: await project.freshCache('cache') };
  const prepared = await prepareBuild(OPTIONS, context);
  const { layers, sandbox } = await makeLayers(onlyBase(prepared), OPTIONS, context);
  try {
    await checkReaders(sandbox, path.join(project.dir, 'readers'), [layerReader(sandbox), tarReader(sandbox)]);
    const theirs = await treeOfTar(await emulatedTar(project.dir, prepared, context));
    const ours = await oursOf(layers);
    checkControls(ours, theirs);
    const { unexplained, used } = judge(compareTrees(ours, theirs), KNOWN);
    report({ unexplained, used, entries: ours.size, small: values.packages !== undefined });
    if (values.json !== undefined) {
      const rows = used.map(({ row, count }) => ({
        path: row.path.source,
        kinds: row.kinds,
        reason: row.reason,
        count,
      }));
      await writeFile(values.json, `${JSON.stringify({ entries: ours.size, known: rows, unexplained }, null, 1)}\n`);
    }
  } finally {
    if (values.work === undefined) await removeProject(project, sandbox);
  }
}

const OPTIONS = { ...BUILD_OPTIONS, role: 'plain', base: 'compared' };

/** The base under another name, with fewer packages where asked, and a role that adds nothing. */
async function writeBase({ dir }: BenchProject, packages: string[] | undefined): Promise<void> {
  const file = (name: string): string => path.join(dir, 'images/bases', `${name}.yaml`);
  const definition = parse(await readFile(file('debian-trixie'), 'utf8')) as object;
  // Files and scripts of the base are for its packages.
  const compared = packages ? { ...definition, packages, files: [], run: [] } : definition;
  await writeFile(file('compared'), stringify(compared));
  await writeFile(path.join(dir, 'images/roles/plain.yaml'), 'version: 1\nsummary: Nothing but the base\n');
}

/** The plan without what a role adds, the disk and the boot partition. */
function onlyBase(prepared: Prepared): Prepared {
  const { plan, inputs } = prepared.planned;
  const hasKernel = prepared.lock.basePackages.some(({ name }) => name.startsWith('linux-image'));
  const layers = plan.layers.filter(
    ({ title, spec }) => /^(essential|base)/.test(title) || (spec.kind === 'initramfs' && hasKernel),
  );
  // The build id is the key of the layer that would be written last, and is empty here.
  const buildId = digestOf(['base only', plan.buildId]);
  return { ...prepared, planned: { plan: { ...plan, buildId, layers, finish: [] }, inputs } };
}

/** Bootstraps by emulation, unless the work folder has that already. The base's files and scripts are applied at the same points. */
async function emulatedTar(
  dir: string,
  { base, lock, store, planned }: Prepared,
  { cacheDir, progress }: Context,
): Promise<string> {
  const { files, run: scripts } = base;
  const done = path.join(dir, 'arm64.tar.lock');
  const wanted = digestOf([lock, files, scripts]);
  if ((await readFile(done, 'utf8').catch(() => '')) === wanted) return path.join(dir, 'arm64.tar');
  const env = `SYSTEMD_OFFLINE=1`;
  const options = [
    ...placing(files),
    ...scripts.map(({ script }) => `--customize-hook=chroot "$1" env ${env} sh -euc ${sh(script)}`),
  ];
  const emulated = nativeToolsAt(toolsFolder(lock, cacheDir));
  const packages = lock.basePackages;
  let lines = 0;
  const { tar, seconds } = await progress.step('mmdebstrap, emulated', (step) =>
    mmdebstrap({
      architecture: 'arm64',
      packages,
      store,
      dir,
      epoch: planned.plan.epoch,
      options,
      emulated,
      onLine: (message) => step.update({ message, done: ++lines }),
    }),
  );
  console.log(`emulated mmdebstrap: ${seconds.toFixed(0)} s, ${(await stat(tar)).size} bytes`);
  await writeFile(done, wanted);
  return tar;
}

async function oursOf(layers: Layer[]): Promise<Tree> {
  const text = async (name: string): Promise<string> => {
    for (const { dir } of layers.toReversed()) {
      const found = await readFile(`${dir}/tree/etc/${name}`, 'utf8').catch(() => undefined);
      if (found !== undefined) return found;
    }
    return '';
  };
  const merged = mergeLayers(layers.map(({ index }) => index));
  return treeOfLayers(merged, { passwd: await text('passwd'), group: await text('group') });
}

/** A comparison that finds nothing proves nothing: a planted file, mode and attribute must each be reported. */
function checkControls(ours: Tree, theirs: Tree): void {
  const victim = 'usr/bin/dpkg';
  const entry = ours.get(victim);
  if (!entry) throw new Error(`/${victim} is not in the base`);
  const content = 'f'.repeat(64);
  const plants: [Difference['kind'], string, Tree][] = [
    ['added', 'usr/bin/planted', new Map([...ours, ['usr/bin/planted', { ...entry, sha256: content }]])],
    ['content', victim, new Map([...ours, [victim, { ...entry, sha256: content }]])],
    ['mode', victim, new Map([...ours, [victim, { ...entry, mode: 0o4755 }]])],
    ['xattrs', victim, new Map([...ours, [victim, { ...entry, xattrs: { 'security.capability': 'AAAA' } }]])],
  ];
  for (const [kind, at, planted] of plants) {
    const { unexplained } = judge(compareTrees(planted, theirs), KNOWN);
    const found = unexplained.some((difference) => difference.path === at && difference.kind === kind);
    if (!found) throw new Error(`a planted difference was not reported: ${kind} of /${at}`);
  }
  console.log(`${plants.length} planted differences were reported.`);
}

function report(result: {
  unexplained: Difference[];
  used: ReturnType<typeof judge>['used'];
  entries: number;
  small: boolean;
}): void {
  const { unexplained, used, entries, small } = result;
  for (const { row, count } of used)
    console.log(`${String(count).padStart(6)}  ${row.path.source}  (${row.kinds.join(', ')}): ${row.reason}`);
  // A smaller base need not show every known difference.
  const unused = small ? [] : used.filter(({ count }) => count === 0);
  for (const { row } of unused) console.log(`UNUSED  ${row.path.source}: remove it from the list`);
  for (const { path: at, kind, detail } of unexplained) console.log(`DIFFERS  /${at}: ${kind}: ${detail}`);
  console.log(
    `${entries} entries compared, ${unexplained.length} unexplained differences, ${unused.length} unused patterns`,
  );
  if (unexplained.length + unused.length > 0) process.exitCode = 1;
}

await runMain(main);
