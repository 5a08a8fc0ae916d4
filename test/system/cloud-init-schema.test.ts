// The real `cloud-init schema` about what piimg writes for it: the fullest of the golden seeds, and those for other makers' cloud-init.
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { run } from '../../src/host/exec.ts';
import { piimgCommand } from '../helpers/command.ts';

const GOLDENS = [
  ...['fixed', 'wifi'].map((name) => `seed/${name}`),
  ...['cloudinit', 'cloudinit-rpi'].map((format) => `formats/${format}/full`),
];
const TYPES = { 'user-data': 'cloud-config', 'network-config': 'network-config' };

/** The sections of a golden file. */
async function documentsOf(golden: string): Promise<Record<string, string>> {
  const text = await readFile(`test/golden/${golden}.txt`, 'utf8');
  const parts = text.split(/^==> (.+)\n/m).slice(1);
  return Object.fromEntries(parts.flatMap((name, index) => (index % 2 === 0 ? [[name, parts[index + 1] ?? '']] : [])));
}

const documents: { name: string; type: string; text: string }[] = [];
for (const golden of GOLDENS) {
  const texts = await documentsOf(golden);
  for (const [file, type] of Object.entries(TYPES))
    documents.push({ name: `${golden} ${file}`, type, text: texts[file] ?? '' });
}
/**
 * Without it cloud-init only says that it skips all this: an image does not need it. It is a library in part, which the host's
 * python does not find.
 */
const ROLE = `version: 1
summary: cloud-init that can check
extends: base
packages: [python3-jsonschema]
run: [{ name: look, script: python3 -c 'import jsonschema' }]
`;
// The negative control: one that it must refuse.
const WRONG = { name: 'wrong', type: 'cloud-config', text: '#cloud-config\nusers: 3\n' };

test('cloud-init finds nothing to complain about', async () => {
  const checks = [...documents, WRONG].map(({ name, type, text }) => {
    const bytes = Buffer.from(text).toString('base64');
    return `echo ${bytes} | base64 -d >/tmp/document; echo "== ${name}"; cloud-init schema --schema-type ${type} --config-file /tmp/document 2>&1 || echo REFUSED`;
  });
  const project = await mkdtemp('/var/tmp/piimg-schema-');
  let stdout: string;
  try {
    await mkdir(`${project}/images/roles`, { recursive: true });
    await writeFile(`${project}/images/roles/schema.yaml`, ROLE);
    const command = [...piimgCommand(), 'shell', '--role', 'schema', '--', 'sh', '-c', checks.join('\n')];
    ({ stdout } = await run(command, { cwd: project, signal: AbortSignal.timeout(900_000) }));
  } finally {
    await rm(project, { recursive: true, force: true });
  }
  const said = new Map(
    stdout
      .split(/^== /m)
      .slice(1)
      .map((part): [string, string] => [part.split('\n')[0] ?? '', part]),
  );
  for (const { name } of documents) {
    assert.match(said.get(name) ?? '', /Valid schema|valid schema/, said.get(name));
    assert.not.match(said.get(name) ?? '', /REFUSED|deprecat/i, said.get(name));
  }
  assert.match(said.get('wrong') ?? '', 'REFUSED', 'negative control');
});

test.run();
