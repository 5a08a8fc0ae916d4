// `piimg roles`: the roles that can be built, the user's before the built-in ones.
import path from 'node:path';
import { packageRoot } from '../../host/package-root.ts';
import { loadBase } from '../../base/definition.ts';
import { listRoles } from '../../role/list.ts';
import { styleFor } from '../../ui/style.ts';
import { formatTable } from '../../ui/table.ts';
import { searchPaths } from '../context.ts';
import { print, printJson } from './output.ts';

export async function roles(flags: { json?: boolean }): Promise<void> {
  const found = await listRoles(searchPaths(process.cwd()), { load: loadBase });
  if (flags.json) return printJson(found);
  const style = styleFor(process.stdout);
  const rows = found.map(({ name, summary, file, issues }) => [
    style.bold(name),
    issues.some(({ severity }) => severity === 'error') ? style.red('not valid, see piimg show') : summary,
    style.dim(builtIn(file) ? 'comes with piimg' : path.relative('.', file)),
  ]);
  print(formatTable(rows));
}

/** Not one of a clone one is working in. */
const builtIn = (file: string) => file.startsWith(packageRoot) && packageRoot !== process.cwd();
