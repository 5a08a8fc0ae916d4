// `piimg schema`: a JSON schema for editors, as it lies in images/schemas.
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { packageRoot } from '../../host/package-root.ts';
import { print } from './output.ts';

type Kind = 'role' | 'base' | 'machine' | 'node' | 'nodes';

export const schemaFile = (kind: Kind): string => path.join(packageRoot, 'images/schemas', `${kind}.schema.json`);

export async function schema(kind: Kind): Promise<void> {
  print((await readFile(schemaFile(kind), 'utf8')).trimEnd());
}
