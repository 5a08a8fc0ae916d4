// Reads a folder below overlays/ into entries of the image: rootfs/, boot/, and node/ for the first boot.
import { lstat, readFile, readlink } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { positionAt } from '../lib/code-frame.ts';
import { renderTemplate, type TemplateData } from '../lib/template.ts';
import { notUtf8 } from '../lib/utf8.ts';
import type { Permission, Placed } from './draft.ts';
import { applyPermissions, defaultMode } from './permissions.ts';
import type { Place } from '../lib/yaml/place.ts';
import { issueAt, issueInText, type Issue } from '../lib/yaml/report.ts';
import type { OverlayEntry } from './resolved.ts';
import { readTree, sourceFile, type TreeEntry } from './source-file.ts';

/** An overlay, and what the role says about it. `place` is where the role names it. */
export interface OverlayRequest {
  name: string;
  dir: string;
  place: Place;
  data: TemplateData;
  permissions: Placed<Permission>[];
}

/** The folders of an overlay, and where in the image what is in them goes. */
const PARTS = [
  { folder: 'rootfs', to: () => '', render: true },
  { folder: 'boot', to: () => 'boot/firmware/', render: true },
  // Templates for the first boot: the node renders them, with what only it knows.
  { folder: 'node', to: (name: string) => `usr/lib/piimg/node/${name}/`, render: false },
];

/**
 * All entries of an overlay, sorted by path. Folders are entries only where they are empty or were given a mode or
 * owner: the others exist in the image already, or are made 0755 root:root. Files are read for their digests.
 */
export async function readOverlay(request: OverlayRequest): Promise<{ entries: OverlayEntry[]; issues: Issue[] }> {
  const issues: Issue[] = [];
  const refuse = (message: string): unknown => issues.push(issueAt(request.place, message));
  const entries: OverlayEntry[] = [];
  const folders = new Set<OverlayEntry>();
  let found = 0;

  if (await isLink(request.dir)) return { entries, issues: [issueAt(request.place, linkedFolder(request.dir))] };
  for (const { folder, to, render } of PARTS) {
    const root = join(request.dir, folder);
    const status = await lstat(root).catch(() => undefined);
    if (status === undefined) continue;
    found += 1;
    if (!status.isDirectory()) {
      refuse(status.isSymbolicLink() ? linkedFolder(root) : `${root} is not a folder`);
      continue;
    }
    for (const item of await readTree(root)) {
      const entry = await toEntry(item, to(request.name) + item.path, { request, render, issues });
      if (entry === undefined) continue;
      entries.push(entry);
      if (entry.type === 'directory' && !item.empty) folders.add(entry);
    }
  }
  if (found === 0) refuse(`the overlay ${request.dir} has neither rootfs/ nor boot/ nor node/`);

  const paths = new Set<string>();
  for (const { path, type } of entries) {
    if (paths.has(path) && type !== 'directory') refuse(`the overlay ${request.name} has two files for /${path}`);
    paths.add(path);
  }
  const { touched, issues: unmatched } = applyPermissions(entries, request.permissions);
  return {
    entries: entries
      .filter((entry) => !folders.has(entry) || touched.has(entry))
      .sort((a, b) => (a.path < b.path ? -1 : 1)),
    issues: [...issues, ...unmatched],
  };
}

interface Context {
  request: OverlayRequest;
  render: boolean;
  issues: Issue[];
}

async function toEntry(item: TreeEntry, path: string, context: Context): Promise<OverlayEntry | undefined> {
  const { request, render, issues } = context;
  const refuse = (message: string): undefined => void issues.push(issueAt(request.place, message));
  if (item.kind === 'misnamed' || /\p{Cc}|\uFFFD/u.test(path))
    return refuse(`the name of ${JSON.stringify(item.full)} is not plain text in UTF-8`);
  if (item.kind === 'special') {
    return refuse(`${item.full} is a device, socket or pipe; overlays have files, folders and links`);
  }
  const executable = item.executable && render;
  const entry: OverlayEntry = {
    path,
    type: item.kind,
    mode: defaultMode(path, item.kind, executable),
    owner: 'root',
    group: 'root',
    from: request.name,
  };
  if (item.kind === 'directory') return entry;
  if (item.kind === 'symlink') {
    if (!render) return refuse(`${item.full} is a link; node/ has files only`);
    const target = await readlink(item.full);
    if (target.includes('\uFFFD')) return refuse(`where the link ${item.full} leads is not UTF-8`);
    if (leavesRoot(path, target)) return refuse(`the link ${item.full} → ${target} leaves the image`);
    return { ...entry, target };
  }
  if (!render || !path.endsWith('.mustache')) return { ...entry, source: await sourceFile(item.full) };
  const rendered = path.slice(0, -'.mustache'.length);
  const content = await renderInto(item.full, request.data, issues);
  return { ...entry, path: rendered, mode: defaultMode(rendered, 'file', executable), content };
}

/** Whether a relative link climbs above the image's root. Absolute targets are paths in the image: fine. */
function leavesRoot(path: string, target: string): boolean {
  if (/\p{Cc}/u.test(target)) return true;
  if (target.startsWith('/')) return false;
  return posix.normalize(posix.join(posix.dirname(path), target)).split('/')[0] === '..';
}

async function renderInto(file: string, data: TemplateData, issues: Issue[]): Promise<string> {
  const bytes = await readFile(file);
  const text = bytes.toString();
  const say = (at: { line: number; column: number; length: number }, message: string, options = {}): unknown =>
    issues.push(issueInText({ file, text }, at, message, options));
  const fault = notUtf8(bytes);
  if (fault !== undefined) say({ ...fault, length: 1 }, 'this is not UTF-8, and a template has to be');
  const { output, problems } = renderTemplate(text, data);
  for (const { offset, length, message, ...options } of problems) {
    say({ ...positionAt(text, offset), length }, message, options);
  }
  return output;
}

async function isLink(path: string): Promise<boolean> {
  return (await lstat(path)).isSymbolicLink();
}

function linkedFolder(path: string): string {
  return `${path} is a link; the folders of an overlay must be real ones`;
}
