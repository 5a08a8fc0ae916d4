// How a role sets the system up: accounts, units, kernel, firewall, locale.
import { isIP } from 'node:net';
import * as z from 'zod';
import { accountName, publicKey, timeZone, utf8Locale, word } from '../../lib/yaml/words.ts';
import { absolutePath, unitName } from './common.ts';

/** ids below 60000: above, Debian's adduser and systemd's dynamic users choose for themselves. */
const id = z.int().min(1).max(59999);

export const user = z.strictObject({
  name: accountName.describe('Login name.'),
  system: z.boolean().default(false).describe('A user that runs a service: no home by default, no login shell.'),
  uid: id.optional().describe('Number; chosen by the image when left out.'),
  group: accountName.optional().describe('Primary group; one of the same name when left out.'),
  groups: z.array(accountName).default([]).describe('Further groups.'),
  home: absolutePath.optional().describe('Home folder; /home/NAME, or /nonexistent for a system user.'),
  shell: absolutePath.optional().describe('Login shell; /bin/bash, or /usr/sbin/nologin for a system user.'),
  comment: word(/^[^\p{Cc}:]*$/u, 'one line of text without `:`')
    .default('')
    .describe('Full name.'),
  keys: z.array(publicKey).default([]).describe('Public ssh keys that may log in.'),
});

export const groupEntry = z.strictObject({
  name: accountName.describe('Name of the group.'),
  system: z.boolean().default(false).describe('A group for a service.'),
  gid: id.optional().describe('Number; chosen by the image when left out.'),
});

export const units = z.strictObject({
  enable: z.array(unitName).default([]).describe('Units to start at boot.'),
  disable: z.array(unitName).default([]).describe('Units not to start at boot.'),
  mask: z.array(unitName).default([]).describe('Units that must not start at all.'),
});

const setting = z.union([word(/^[^\n]*$/, 'one line of text'), z.number()]).transform(String);
export const sysctl = z
  .record(word(/^[a-z0-9_-]+([./][A-Za-z0-9_*:@-]+)+$/, 'a kernel setting, like `net.ipv4.ip_forward`'), setting)
  .describe('Kernel settings, as in sysctl.d(5).');

const moduleName = word(/^[A-Za-z0-9_-]+$/, 'the name of a kernel module, like `i2c-dev`');
export const modules = z.strictObject({
  load: z.array(moduleName).default([]).describe('Modules to load at boot.'),
  blacklist: z.array(moduleName).default([]).describe('Modules that must not load by themselves.'),
  options: z
    .record(moduleName, word(/^[^\n]+$/, 'parameters on one line, like `debug=1 speed=2`'))
    .default({})
    .describe('Parameters of modules, as in modprobe.d(5).'),
});

const port = z.int().min(1).max(65535);
const portRange = word(/^\d{1,5}-\d{1,5}$/, 'a port, a range like `8000-8010`, or a list of both').refine(
  (text) => {
    const [from = 0, to = 0] = text.split('-').map(Number);
    return from >= 1 && from < to && to <= 65535;
  },
  { error: 'the range must rise and lie in 1-65535' },
);
const cidr = z.string().refine(
  (text) => {
    const [address = '', bits, ...rest] = text.split('/');
    const version = isIP(address);
    if (version === 0 || rest.length > 0 || address.includes('%')) return false;
    return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128));
  },
  { error: 'this is not a network', params: { allowed: 'an address or network, like `192.168.1.0/24` or `fd00::/8`' } },
);

const allowRule = z.strictObject({
  port: z
    .union([port, portRange, z.array(z.union([port, portRange])).min(1)])
    .transform((ports) => (Array.isArray(ports) ? ports : [ports]))
    .describe('A port, a range like 8000-8010, or a list of both.'),
  protocol: z.enum(['tcp', 'udp']).default('tcp').describe('tcp or udp.'),
  from: z.array(cidr).default([]).describe('Networks that may connect; everybody when left out.'),
  comment: word(/^[^\p{Cc}"\\]{1,60}$/u, 'one line of at most 60 characters without `"` and `\\`')
    .optional()
    .describe('What the rule is for.'),
});
export const firewall = z
  .strictObject({ allow: z.array(allowRule).default([]).describe('What may come in.') })
  .describe('Inbound is refused but for what is allowed here; outbound is free. Without this key: no firewall.');

export const timezone = timeZone.describe(
  'Time zone, like Europe/Berlin; Etc/UTC when left out. An old name, like US/Pacific, becomes the new one.',
);

export const locale = utf8Locale.describe('Locale of the system; C.UTF-8 when left out.');

export const keymap = word(/^[a-z]{2,}([_-][A-Za-z0-9_-]+)?$/, 'a keyboard layout, like `de` or `us`').describe(
  'Keyboard layout of the console; us when left out.',
);
