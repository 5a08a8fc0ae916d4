// What role web does not have, for `npm run test:power -- --more-steps`: an account, a folder, a script, swap, and a
// peer; and Wi-Fi.
import { provisionStep } from '../../src/role/schema/provision.ts';
import { roleWith } from '../helpers/changed-image.ts';
import type { More } from './subject.ts';

/** What the seed has for them. */
export const MORE: More = {
  // Moved from the boot partition to the machine when all is done, like every secret.
  wifi: { ssid: 'home', password: 'a long enough password', country: 'DE' },
  peers: { db: [{ name: 'pi-db1', addresses: ['192.168.254.130'] }] },
};

const STEPS = [
  { step: 'user', name: 'keeper', user: 'keeper', groups: ['video'] },
  { step: 'directory', name: 'share', path: '/srv/share', owner: 'keeper', mode: '2770', after: ['keeper'] },
  // What tells that it was done comes first.
  {
    step: 'command',
    name: 'fill',
    script: 'echo one >/srv/share/one; sync; sleep 2; echo two >/srv/share/two; chown keeper: /srv/share/*',
    creates: '/srv/share/one',
    after: ['share'],
  },
  { step: 'swap', name: 'swap', kind: 'file', size: '16M' },
  { step: 'hosts', name: 'peers' },
];

/** The role of an image, with them. */
export const withMoreSteps = (image: string): Promise<string> =>
  roleWith(image, 'provision', (own) => [...own, ...STEPS.map((step) => provisionStep.parse(step))]);
