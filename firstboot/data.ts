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

/** Every secret's value, longest first: a short one may be part of a long one. */
export function secretValues(document: NodeDocument): string[] {
  const values = Object.values(document.secrets).filter((value) => value !== null && value !== '');
  return (values as string[]).sort((a, b) => b.length - a.length);
}

/** The text with every secret in it made unreadable. */
export function masked(text: string, secrets: string[]): string {
  return secrets.reduce((rest, secret) => rest.replaceAll(secret, '(secret)'), text);
}
