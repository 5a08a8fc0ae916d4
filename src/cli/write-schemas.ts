// `npm run schema`: writes the JSON schemas that editors complete role and base files with.
import { writeFile } from 'node:fs/promises';
import { baseJsonSchema } from '../base/schema.ts';
import { roleJsonSchema } from '../role/schema.ts';

for (const [name, schema] of Object.entries({ role: roleJsonSchema(), base: baseJsonSchema() })) {
  const target = new URL(`../../images/schemas/${name}.schema.json`, import.meta.url);
  await writeFile(target, `${JSON.stringify(schema, null, 2)}\n`);
}
