// The plan: everything a build will do, as plain data with a key for every layer. Pure: the same role, base and lock give the same plan.
import type { BaseDefinition } from '../base/definition.ts';
import type { Lock } from '../base/lock.ts';
import type { LockedPackage } from '../image/manifest.ts';
import { digestOf } from '../lib/digest.ts';
import type { NpmApp, OverlayEntry, ResolvedRole, SourceFile } from '../role/resolved.ts';
import { imageBoot, imageLayer, namesInBase, packagesOfImage, PACKAGES_PRESET, type ImageSpec } from './image-base.ts';
import { rootFile } from './root-file.ts';
import { bootFileConfig, diskIds, fstab, touchesBoot, type DiskIds } from './boot.ts';

/** Raised when the same plan would be carried out differently: it is part of every key. */
const PLAN_FORMAT = 11;

/** Raised when the same layers make another image. */
const ASSEMBLY = 2;

/** A file of the user's in a recipe, by content; where it lies is in `Plan.inputs`. */
export type ByDigest = Pick<SourceFile, 'sha256' | 'size'>;
export type PlannedFile = Omit<OverlayEntry, 'source' | 'from'> & { source?: ByDigest };

/** What one layer is made of. */
export type LayerSpec =
  | { kind: 'unpack'; packages: LockedPackage[]; bootstrap: boolean }
  | {
      kind: 'configure';
      debconf: ResolvedRole['debconf'];
      remove: string[];
      /** Packages whose scripts load compiled modules: perl and python are the image's own. */
      emulate: string[];
      /** Packages of the base that the answers concern: they were configured before. */
      reconfigure?: string[];
    }
  | { kind: 'accounts'; users: ResolvedRole['users']; groups: ResolvedRole['groups'] }
  | {
      kind: 'npm';
      app: Omit<NpmApp, 'source' | 'files'> & { files: { path: string; mode: number; file: ByDigest }[] };
      /** What its add-ons are compiled with. */
      build?: LockedPackage[];
    }
  | { kind: 'artifacts'; artifacts: ResolvedRole['artifacts'] }
  | { kind: 'files'; files: PlannedFile[] }
  | {
      kind: 'run';
      name: string;
      script: string;
      network: boolean;
      env: Record<string, string>;
      /** With the image's own perl and python, slowly: the host's find no module of the image that is a library. */
      interpreters?: 'own';
    }
  | { kind: 'settings'; timezone: string; locale: string; keymap: string }
  | {
      kind: 'units';
      units: ResolvedRole['units'];
      programs?: string[];
      /** On an image: the file that says what packages on top of it leave off, as its first boot would switch that on. */
      presets?: string;
    }
  | ImageSpec
  | { kind: 'initramfs' }
  | { kind: 'boot'; files: PlannedFile[] };

export interface LayerRecipe {
  key: string;
  title: string;
  spec: LayerSpec;
}

export interface Plan {
  version: 1;
  /** In which of its ways piimg makes an image of layers. */
  assembly: number;
  role: string;
  summary: string;
  base: string;
  /** Digest of all of the plan: the image's build id. */
  buildId: string;
  /** The build's clock, seconds since 1970. */
  epoch: number;
  disk: DiskIds;
  packages: LockedPackage[];
  removed: string[];
  /** Lowest first. */
  layers: LayerRecipe[];
  /** Keys of those that no file of the role's own changes, but for what the initramfs reads. */
  stable: string[];
  /** Written last, over the layers: depends on the build id. */
  finish: PlannedFile[];
  boards: BaseDefinition['boards'];
  size?: number;
}

/** The plan and where its inputs lie on this machine (sha256 → path): the latter is no part of the build id. */
export interface PlannedBuild {
  plan: Plan;
  inputs: Map<string, string>;
}

/**
 * Plans a build. `tools` is the digest of the native tools: other tools may make other bytes; `debs` are the role's .deb files as
 * packages, `agent` what carries out the first boot.
 */
export function planBuild(
  role: ResolvedRole,
  base: BaseDefinition,
  lock: Lock,
  options: { tools: string; debs: LockedPackage[]; agent: OverlayEntry[]; size?: number },
): PlannedBuild {
  const inputs = new Map<string, string>();
  const byDigest = ({ path, sha256, size }: SourceFile): ByDigest => {
    inputs.set(sha256, path);
    return { sha256, size };
  };
  const planned = ({ source, from: _, ...entry }: OverlayEntry): PlannedFile => ({
    ...entry,
    ...(source && { source: byDigest(source) }),
  });
  const layers: LayerRecipe[] = [];
  const epoch = Math.floor(Date.parse(lock.created) / 1000);
  const root = digestOf({ format: PLAN_FORMAT, tools: options.tools, epoch });
  /** Adds a layer that depends on the named ones only, or on all before it. */
  const add = (title: string, spec: LayerSpec, on: string[] = layers.map(({ key }) => key)): string => {
    const key = digestOf({ root, spec, on });
    layers.push({ key, title, spec });
    return key;
  };

  // 1. The base: what apt calls essential first, the rest on top of it.
  const essential = new Set(lock.essential);
  if (base.kind === 'image') {
    layers.push(imageLayer(lock));
  } else {
    const first = lock.essential.flatMap((name) => lock.basePackages.find((locked) => locked.name === name) ?? []);
    add('essential packages', { kind: 'unpack', packages: first, bootstrap: true });
    add('essential packages configured', { kind: 'configure', debconf: [], remove: [], emulate: base.emulate });
  }
  const files = base.files.map(({ path, content, mode }) => rootFile(path, content, parseInt(mode, 8)));
  if (files.length > 0) add('base files', { kind: 'files', files });
  const rest = lock.basePackages.filter(({ name }) => !essential.has(name));
  if (rest.length > 0) {
    add('base packages', { kind: 'unpack', packages: rest, bootstrap: false });
    add('base packages configured', { kind: 'configure', debconf: [], remove: [], emulate: base.emulate });
  }
  for (const { name, script } of base.run) add(`base: ${name}`, { kind: 'run', name, script, network: false, env: {} });

  // 2. The role's packages.
  const answered = role.debconf.map((answer) => answer.package);
  const reconfigure = namesInBase(lock).filter((name) => answered.includes(name));
  role.debs.forEach(byDigest);
  const rolePackages = [...lock.rolePackages, ...options.debs];
  if (rolePackages.length > 0) add('packages', { kind: 'unpack', packages: rolePackages, bootstrap: false });
  if (rolePackages.length + lock.removed.length + role.debconf.length > 0) {
    const { debconf } = role;
    const emulate = [...base.emulate, ...role.emulate];
    const again = reconfigure.length > 0 ? { reconfigure } : {};
    add('packages configured', { kind: 'configure', debconf, remove: lock.removed, emulate, ...again });
  }
  const packageKeys = layers.map(({ key }) => key);

  // 3. Accounts, applications, settings, files.
  if (role.users.length + role.groups.length > 0) {
    add('accounts', { kind: 'accounts', users: role.users, groups: role.groups });
  }
  for (const { source: _, files, ...app } of role.npm) {
    const named = files.map(({ path, mode, file }) => ({ path, mode, file: byDigest(file) }));
    const build = app.rebuild.length > 0 ? { build: lock.buildPackages ?? [] } : {};
    add(`npm: ${app.destination}`, { kind: 'npm', app: { ...app, files: named }, ...build });
  }
  if (role.artifacts.length > 0) add('artifacts', { kind: 'artifacts', artifacts: role.artifacts });
  const { units, timezone, locale, keymap } = role;
  add('settings', { kind: 'settings', timezone, locale, keymap });
  add('first boot', { kind: 'files', files: options.agent.map(planned) }, []);
  const stable = layers.map(({ key }) => key);
  if (role.files.length > 0) add('files', { kind: 'files', files: role.files.map(planned) });
  const runKeys = role.run.map((step) => add(`run: ${step.name}`, { kind: 'run', ...step, interpreters: 'own' }));
  // What the first boot's steps are run by.
  const programs = role.provision.length > 0 ? { programs: ['/usr/bin/node'] } : {};
  add('units', { kind: 'units', units, ...programs, ...(base.kind === 'image' && { presets: PACKAGES_PRESET }) });

  // 4. Boot: the initramfs depends on what it reads, so that an application's file does not make it anew.
  const relevant = [
    ...role.files.filter(touchesBoot).map(planned),
    ...role.artifacts.filter(({ destination: path }) => touchesBoot({ path: path.replace(/^\/+/, ''), type: 'file' })),
  ];
  const read = digestOf({ relevant, keymap });
  const disk = diskIds(base.name, role.name);
  const boot = base.kind === 'image' ? imageBoot(role, disk) : packagesBoot(role, disk);
  const initramfs = add('initramfs', boot.initramfs, [...packageKeys, ...runKeys, read]);
  const bootFiles = add('boot files', boot.files, [initramfs]);
  // A script may have read any file.
  if (runKeys.length === 0) stable.push(initramfs, bootFiles);

  const unfinished: Omit<Plan, 'buildId' | 'finish'> = {
    version: 1,
    assembly: ASSEMBLY,
    role: role.name,
    summary: role.summary,
    base: base.name,
    epoch,
    disk,
    packages: installedPackages(lock, rolePackages),
    removed: lock.removed,
    layers,
    stable,
    boards: base.boards,
    ...(options.size !== undefined && { size: options.size }),
  };
  // All files that it will stand in, but for itself.
  const buildId = digestOf({ ...unfinished, finish: finishFiles(role, base, '', disk) });
  return { plan: { ...unfinished, buildId, finish: finishFiles(role, base, buildId, disk) }, inputs };
}

/** What is on the image in the end: a role may replace or remove what the base has, and a base what its image has. */
function installedPackages(lock: Lock, rolePackages: LockedPackage[]): LockedPackage[] {
  const { basePackages, removed } = lock;
  const gone = new Set([...rolePackages.map(({ name }) => name), ...removed]);
  const onTop = new Set(basePackages.map(({ name }) => name));
  const below = packagesOfImage(lock).filter(({ name }) => !onTop.has(name));
  return [...[...below, ...basePackages].filter(({ name }) => !gone.has(name)), ...rolePackages];
}

const packagesBoot = (role: ResolvedRole, disk: DiskIds): { initramfs: LayerSpec; files: LayerSpec } => ({
  initramfs: { kind: 'initramfs' },
  files: { kind: 'boot', files: bootFileConfig(role, disk) },
});

function finishFiles(
  role: ResolvedRole,
  { name: base, kind }: BaseDefinition,
  buildId: string,
  disk: DiskIds,
): PlannedFile[] {
  const { name, summary, variables, provision, health } = role;
  const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;
  return [
    // machine-id(5): the word makes the first boot a first boot; systemd then writes its own.
    rootFile('etc/machine-id', 'uninitialized\n'),
    // And it enables every unit that Debian's presets do not forbid: what the role disabled, what packages leave off. Not here.
    // The first boot of an image stays its makers' own, but for what the role disabled, and packages on top leave off.
    rootFile(
      'etc/systemd/system-preset/00-first-boot.preset',
      kind === 'image' ? role.units.disable.map((unit) => `disable ${unit}\n`).join('') : 'disable *\n',
    ),
    // Packages that are installed later enable their services by the presets: once it has booted, the line above is gone.
    rootFile(
      'usr/lib/tmpfiles.d/piimg-first-boot.conf',
      ['etc/systemd/system-preset/00-first-boot.preset', ...(kind === 'image' ? [PACKAGES_PRESET] : [])]
        .map((path) => `r! /${path}\n`)
        .join(''),
    ),
    ...(kind === 'image' ? [] : [fstab(disk)]),
    rootFile('usr/lib/piimg/image.json', json({ version: 1, role: name, base, buildId })),
    rootFile('usr/lib/piimg/role.json', json({ version: 1, role: name, summary, variables, provision, health })),
  ];
}
