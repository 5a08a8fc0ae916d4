// The files a role is made of, in the order in which they are merged: `extends` first, then `with`, then itself.
import { dirname, resolve } from 'node:path';
import { nearest } from '../lib/suggest.ts';
import { filesOfRole, isRoleFile, roleName, roleNames, searchFrom, type RoleSearch } from './find.ts';
import { loadRole, type LoadedRole } from './load.ts';
import { within, type Place } from '../lib/yaml/place.ts';
import { issueAt, type Issue } from '../lib/yaml/report.ts';
import { roleReference } from './schema.ts';

/**
 * Loads a role file and everything it extends and mixes in. Each file is there once, where it is first needed, so
 * that two mixins may extend the same role. Circles, unknown roles and all faults of the files are in `issues`.
 */
export async function loadChain(file: string, search: RoleSearch): Promise<{ chain: LoadedRole[]; issues: Issue[] }> {
  const chain: LoadedRole[] = [];
  const issues: Issue[] = [];
  const done = new Set<string>();

  const visit = async (current: string, trail: string[]): Promise<void> => {
    done.add(current);
    const loaded = await loadRole(current);
    issues.push(...loaded.issues);
    for (const { reference, place } of references(loaded)) {
      const found = await locate(reference, place, search);
      if (typeof found !== 'string') issues.push(found);
      else if (found === current || trail.includes(found)) issues.push(circle([...trail, current, found], place));
      else if (!done.has(found)) await visit(found, [...trail, current]);
    }
    chain.push(loaded);
  };
  await visit(file, []);
  return { chain, issues };
}

/** Also of a file that is not valid: the faults of all files are reported together. */
function references({ text, data }: LoadedRole): { reference: string; place: Place }[] {
  const root: Place = { text, path: [] };
  const { extends: parent, with: mixins } = (data ?? {}) as { extends?: unknown; with?: unknown };
  return [
    { reference: parent, place: within(root, 'extends') },
    ...(Array.isArray(mixins) ? mixins : []).map((reference: unknown, index) => ({
      reference,
      place: within(root, 'with', index),
    })),
  ].flatMap(({ reference, place }) =>
    roleReference.safeParse(reference).success ? [{ reference: String(reference), place }] : [],
  );
}

/** The file that is meant, or what to say when there is none. */
async function locate(reference: string, place: Place, outer: RoleSearch): Promise<string | Issue> {
  const from = place.text.file;
  if (isRoleFile(reference)) {
    const file = resolve(dirname(from), reference);
    return (await loadRole(file).catch(() => undefined)) === undefined
      ? issueAt(place, `there is no role file ${file}`)
      : file;
  }
  const search = searchFrom(from, outer);
  const files = await filesOfRole(reference, search);
  // A user's `web` that extends `web` means the built-in one; only when there is no other is it a circle.
  const file = files.find((candidate) => candidate !== from) ?? files[0];
  if (file !== undefined) return file;
  const names = await roleNames(search);
  return issueAt(place, `there is no role \`${reference}\` in ${search.roleDirs.join(' or ')}`, {
    allowed: names.join(', '),
    suggestion: nearest(reference, names),
  });
}

function circle(files: string[], place: Place): Issue {
  const start = files.indexOf(files.at(-1) ?? '');
  const names = files.slice(start).map(roleName);
  return issueAt(place, `roles go round in a circle: ${names.join(' → ')}`);
}
