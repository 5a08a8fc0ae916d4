// A load balancer for tests of the first boot: its upstreams come from the node document.
import type { Root } from './first-boot.ts';

/** Nasty for every language it may come into. */
export const SECRET = 's3cret \'with\' "quotes" \\ and $HOME';

const UPSTREAMS =
  '{{#peers.web}}\nserver {{name}} {{address}}:{{port}};\n{{/peers.web}}\n# {{node.name}}, {{secrets.token}}\n';
/** Of the role. */
export const STEPS = [
  { step: 'directory', name: 'folder', path: '/etc/lb', mode: '0750' },
  {
    step: 'template',
    name: 'upstreams',
    overlay: 'lb',
    template: 'upstreams.conf',
    destination: '/etc/lb/upstreams.conf',
    mode: '0640',
    after: ['folder'],
  },
  { step: 'unit', name: 'restart', unit: 'lb.service', state: 'restarted', after: ['upstreams'] },
  { step: 'hosts', name: 'peers' },
];
/** Of the node. */
export const DOCUMENT = {
  node: 'pi-lb1',
  variables: { port: 3000 },
  peers: {
    web: [
      { name: 'pi-web1', addresses: ['192.168.254.122', 'fd00::7a'] },
      { name: 'pi-web2', addresses: ['192.168.254.123'] },
    ],
  },
  secrets: { token: SECRET },
};

/** Makes the root one that is to become it. */
export async function loadBalancer(root: Root): Promise<void> {
  await root.role(STEPS, { port: 80 });
  await root.write('usr/lib/piimg/node/lb/upstreams.conf', UPSTREAMS);
  await root.document(DOCUMENT);
}
