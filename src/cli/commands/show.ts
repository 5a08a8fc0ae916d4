// `piimg show ROLE`: a role with everything merged, as YAML or JSON.
import { stringify } from 'yaml';
import { printReport } from '../../lib/yaml/report.ts';
import { loadBase } from '../../base/definition.ts';
import { resolveRole } from '../../role/resolve.ts';
import { searchPaths } from '../context.ts';
import { print, printJson, tell } from './output.ts';

/** As a role is written, and chmod says it. */
const octalModes = (key: unknown, value: unknown): unknown =>
  key === 'mode' && typeof value === 'number' ? value.toString(8).padStart(4, '0') : value;

export async function show(nameOrFile: string, flags: { json?: boolean }): Promise<void> {
  const { role, warnings } = await resolveRole(nameOrFile, searchPaths(process.cwd()), { load: loadBase });
  if (warnings.length > 0) tell(printReport(warnings));
  if (flags.json) printJson(role);
  else print(stringify(role, octalModes, { lineWidth: 0 }).trimEnd());
}
