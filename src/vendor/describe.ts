// Pure: all that `piimg inspect` tells of an image, as data.
import { growthOf, type Growth } from './growth.ts';
import { identityOf, type Identity } from './identity.ts';
import { kernelsOf, moduleVersions, type Kernel } from './kernel.ts';
import { recognise, type Recognised } from './recognise.ts';
import { packagesOf, textOf } from './system.ts';
import type { Ext4Facts, FatFacts, ImageView, Layout } from './view.ts';

export interface Description {
  layout: Layout;
  boot: FatFacts & { why: string };
  root: Ext4Facts & { why: string };
  os: { name: string; id?: string; codename?: string };
  /** dpkg's name: `arm64`, `armhf`. */
  architecture?: string;
  /** The date of the release, and the line that says it. */
  release?: { date: string; text: string; from: string };
  kernels: Kernel[];
  /** Folders of modules. */
  modules: string[];
  init: Recognised;
  growth: Growth[];
  identity: Identity;
  notes: string[];
}

/** Where pi-gen, and before it NOOBS, write of which release an image is (pi-gen, scripts/common: update_issue). */
const ISSUES = ['etc/rpi-issue', 'etc/rpi-image-gen'];

/** Reads all of it. Throws PiimgError where a file system is damaged. */
export async function describe(view: ImageView): Promise<Description> {
  const { layout, boot, root, notes } = view;
  const architecture = await architectureOf(view);
  const release = await releaseOf(view);
  return {
    layout,
    boot: { ...boot.facts, why: boot.why },
    root: { ...root.facts, why: root.why },
    os: await systemOf(view),
    ...(architecture !== undefined && { architecture }),
    ...(release && { release }),
    kernels: await kernelsOf(view),
    modules: await moduleVersions(view),
    init: await recognise(view),
    growth: await growthOf(view),
    identity: await identityOf(view),
    notes,
  };
}

/** The architecture that dpkg itself is of; that of `lib/ld-linux-*` where there is no dpkg. */
async function architectureOf(view: ImageView): Promise<string | undefined> {
  const dpkg = (await packagesOf(view)).get('dpkg')?.architecture;
  if (dpkg !== undefined && dpkg !== 'all') return dpkg;
  const loaders = [...(await view.root.files.list('lib')), ...(await view.root.files.list('usr/lib'))];
  if (loaders.includes('ld-linux-aarch64.so.1')) return 'arm64';
  return loaders.includes('ld-linux-armhf.so.3') ? 'armhf' : undefined;
}

/** os-release(5): /etc before /usr/lib. */
async function systemOf({ root: { files } }: ImageView): Promise<Description['os']> {
  const text = (await textOf(files, 'etc/os-release')) || (await textOf(files, 'usr/lib/os-release'));
  const field = (key: string): string | undefined => new RegExp(`^${key}=["']?(.*?)["']?$`, 'm').exec(text)?.[1];
  const [id, codename] = [field('ID'), field('VERSION_CODENAME')];
  return {
    name: field('PRETTY_NAME') ?? 'unknown',
    ...(id !== undefined && { id }),
    ...(codename !== undefined && { codename }),
  };
}

/** The date of the release, by the files that its makers leave; undefined where none says it. */
export async function releaseOf({ boot, root }: ImageView): Promise<Description['release']> {
  const places = [
    ...ISSUES.map((path) => ({ files: root.files, path, from: `/${path}` })),
    { files: boot.files, path: 'issue.txt', from: 'issue.txt' },
  ];
  for (const { files, path, from } of places) {
    const text = await textOf(files, path);
    const date = /\b\d{4}-\d{2}-\d{2}\b/.exec(text)?.[0];
    if (date !== undefined) return { date, text: text.split('\n')[0]?.trim() ?? '', from };
  }
  return undefined;
}
