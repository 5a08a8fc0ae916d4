// Reads the Node.js applications of a role: their files, and whether their lock file can be installed from.
import { readFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { nearest } from '../lib/suggest.ts';
import type { Draft, Placed } from './draft.ts';
import { within } from '../lib/yaml/place.ts';
import { issueAt, type Issue } from '../lib/yaml/report.ts';
import type { NpmApp } from './resolved.ts';
import { readTree, sourceFile } from './source-file.ts';

type NpmRequest = Draft['npm'] extends Map<string, Placed<infer T>> ? T : never;

/** One application with its files. Faults of its folder and lock file are issues at the role's `npm` entry. */
export async function readNpmApp({ value, place }: Placed<NpmRequest>): Promise<{ app?: NpmApp; issues: Issue[] }> {
  const source = resolve(dirname(place.text.file), value.source);
  const at = within(place, 'source');
  const issues: Issue[] = [];
  const tree = await readTree(source, new Set(['node_modules', '.git'])).catch(() => undefined);
  if (tree === undefined) return { issues: [issueAt(at, `there is no folder ${source}`)] };

  for (const needed of ['package.json', 'package-lock.json']) {
    if (tree.some((entry) => entry.path === needed && entry.kind === 'file')) continue;
    issues.push(issueAt(at, `${source} has no ${needed}`, { allowed: `a folder in which \`npm ci\` works` }));
  }
  const lock = issues.length === 0 ? await readFile(join(source, 'package-lock.json'), 'utf8') : undefined;
  if (lock !== undefined) {
    const locked = lockedPackages(lock);
    if (locked === undefined) {
      issues.push(
        issueAt(at, `the package-lock.json in ${source} is not one of npm 7 or newer: run \`npm install\` there`),
      );
    }
    for (const [index, name] of value.rebuild.entries()) {
      if (locked === undefined || locked.includes(name)) continue;
      const suggestion = nearest(name, locked);
      issues.push(issueAt(within(place, 'rebuild', index), `the lock file has no package \`${name}\``, { suggestion }));
    }
  }

  const files: NpmApp['files'] = [];
  for (const { path, full, kind, executable } of tree) {
    if (kind === 'misnamed') issues.push(issueAt(at, `the name of ${JSON.stringify(full)} is not UTF-8`));
    if (kind === 'symlink' || kind === 'special') issues.push(issueAt(at, `${full} is not a regular file`));
    if (kind === 'file') files.push({ path, mode: executable ? 0o755 : 0o644, file: await sourceFile(full) });
  }
  const { destination, owner = 'root', group = 'root', rebuild } = value;
  return { app: { source, files, destination, owner, group, rebuild }, issues };
}

/** Names of the packages in a lock file of version 2 or 3; undefined when it is none. */
function lockedPackages(text: string): string[] | undefined {
  try {
    const { packages } = JSON.parse(text) as { packages?: Record<string, unknown> };
    if (typeof packages !== 'object') return undefined;
    return [
      ...new Set(
        Object.keys(packages).flatMap(
          (path) => /(?:^|\/)node_modules\/(?!.*\/node_modules\/)(.+)$/.exec(path)?.[1] ?? [],
        ),
      ),
    ];
  } catch {
    return undefined;
  }
}
