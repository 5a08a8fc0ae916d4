// `npm run schema`: writes the JSON schemas that editors complete role, base and machine files with, and the one of node documents.
import { writeFile } from 'node:fs/promises';
import { baseJsonSchema } from '../base/schema.ts';
import { machineJsonSchema } from '../boot/machine-schema.ts';
import { roleJsonSchema } from '../role/schema.ts';
import { nodeJsonSchema } from '../seed/document.ts';
import { nodeFileJsonSchema } from '../seed/node.ts';
import { nodesFileJsonSchema } from '../seed/nodes.ts';

const schemas = {
  role: roleJsonSchema(),
  base: baseJsonSchema(),
  machine: machineJsonSchema(),
  node: nodeFileJsonSchema(),
  nodes: nodesFileJsonSchema(),
  'node-document': nodeJsonSchema(),
};
for (const [name, schema] of Object.entries(schemas)) {
  const target = new URL(`../../images/schemas/${name}.schema.json`, import.meta.url);
  await writeFile(target, `${JSON.stringify(schema, null, 2)}\n`);
}
