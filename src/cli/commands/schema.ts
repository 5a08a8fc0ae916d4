// `piimg schema`: the JSON schema of role files, as it lies in images/schemas.
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { packageRoot } from '../../host/package-root.ts';
import { print } from './output.ts';

export const schemaFile = path.join(packageRoot, 'images/schemas/role.schema.json');

export async function schema(): Promise<void> {
  print((await readFile(schemaFile, 'utf8')).trimEnd());
}
