// `npm run schema`: writes the JSON schema that editors complete role files with.
import { writeFile } from 'node:fs/promises';
import { roleJsonSchema } from './schema.ts';

const target = new URL('../../images/schemas/role.schema.json', import.meta.url);
await writeFile(target, `${JSON.stringify(roleJsonSchema(), null, 2)}\n`);
