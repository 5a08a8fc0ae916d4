// Reads one role file. Nothing here knows of other roles.
import { loadYaml, parseYaml, type Language, type Loaded } from '../lib/yaml/load.ts';
import type { YamlText } from '../lib/yaml/place.ts';
import type { Issue } from '../lib/yaml/report.ts';
import { roleFileSchema, roleJsonSchema, type RoleFile } from './schema.ts';

export interface LoadedRole {
  text: YamlText;
  /** What the YAML says, valid or not; absent when it is no YAML. */
  data?: unknown;
  /** Absent when there are issues. */
  role?: RoleFile;
  issues: Issue[];
}

/** Keys people bring along from cloud-init and useradd. */
const PASSWORD_KEY = /^(lock_|hashed_|plain_text_)?(pass|passwd|password)$/i;

const roleLanguage: Language<RoleFile> = {
  kind: 'role',
  schema: roleFileSchema,
  jsonSchema: roleJsonSchema,
  least: '`version: 1`, `summary: …`',
  refuseKey: (key) =>
    PASSWORD_KEY.test(key)
      ? {
          message: `images carry no passwords: \`${key}\` is not accepted`,
          allowed: 'public ssh keys in `keys:` of a user, or given when the card is flashed',
        }
      : undefined,
};

/** Reads and validates a role file. Throws PiimgError when it cannot be read. */
export async function loadRole(file: string): Promise<LoadedRole> {
  return asRole(await loadYaml(file, roleLanguage));
}

/** Validates the text of a role file; `file` is only shown. */
export function parseRole(file: string, text: string): LoadedRole {
  return asRole(parseYaml(file, text, roleLanguage));
}

function asRole({ value, ...loaded }: Loaded<RoleFile>): LoadedRole {
  return value === undefined ? loaded : { ...loaded, role: value };
}
