// The roles that can be built, and which of them cannot.
import { PiimgError } from '../lib/errors.ts';
import type { Issue } from '../lib/yaml/report.ts';
import { filesOfRole, roleNames, type RoleSearch } from './find.ts';
import { loadRole } from './load.ts';
import { resolveRole, type Bases } from './resolve.ts';

/** A role as `piimg roles` lists it; `issues` are what `piimg show` has to say about it. */
export interface RoleSummary {
  name: string;
  file: string;
  summary: string;
  issues: Issue[];
}

/** All roles with their summaries; those that are not valid are listed too. */
export async function listRoles(search: RoleSearch, bases: Bases): Promise<RoleSummary[]> {
  const roles: RoleSummary[] = [];
  for (const name of await roleNames(search)) {
    const [file] = await filesOfRole(name, search);
    if (file === undefined) continue;
    const issues = await resolveRole(name, search, bases).then(
      ({ warnings }) => warnings,
      (error: unknown) => {
        if (error instanceof PiimgError && Array.isArray(error.cause)) return error.cause as Issue[];
        throw error;
      },
    );
    const { role } = await loadRole(file);
    roles.push({ name, file, summary: role?.summary ?? '', issues });
  }
  return roles;
}
