// What templates may name: the role's variables and the node's, the node itself, its peers, its secrets.
import type { TemplateData } from '../src/lib/template.ts';
import type { NodeDocument } from '../src/seed/document.ts';
import type { Role } from './document.ts';

export function templateData(document: NodeDocument, role: Role, hostname: string): TemplateData {
  const { network, peers, variables, secrets } = document;
  const [address = ''] = network.addresses;
  return {
    ...role.variables,
    ...variables,
    node: { name: document.node ?? hostname, role: role.role, address, addresses: network.addresses },
    peers: Object.fromEntries(
      Object.entries(peers).map(([of, machines]) => [
        of,
        machines.map(({ name, addresses }) => ({ name, address: addresses[0] ?? '', addresses })),
      ]),
    ),
    secrets: Object.fromEntries(Object.entries(secrets).map(([name, value]) => [name, value ?? ''])),
  };
}

/**
 * Every secret's value, as it is and as programs may show it: in their own quotes, or a line of it. Longest first, as a short one may be
 * part of a long one.
 */
export function secretValues(document: NodeDocument): string[] {
  const values = Object.values(document.secrets).filter((value) => value !== null);
  const shown = values.flatMap((value) => [
    value,
    JSON.stringify(value).slice(1, -1),
    value.replaceAll("'", "''"),
    value.replaceAll('\\', '\\\\').replaceAll("'", "''"),
    value.replaceAll("'", `'\\''`),
    ...value.split('\n').filter((line) => line.length >= LINE),
  ]);
  return [...new Set(shown.filter(Boolean))].sort((a, b) => b.length - a.length);
}

/** Letters of a line that is worth hiding: fewer are everywhere. */
const LINE = 6;

/** The text with every secret in it made unreadable. */
export function masked(text: string, secrets: string[]): string {
  return secrets.reduce((rest, secret) => rest.replaceAll(secret, '(secret)'), text);
}
