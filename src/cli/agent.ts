// The first-boot agent as every image gets it: its program is made when piimg is compiled.
import { existsSync } from 'node:fs';
import path from 'node:path';
import { packageRoot } from '../host/package-root.ts';
import { PiimgError } from '../lib/errors.ts';
import type { OverlayEntry } from '../role/resolved.ts';
import { readTree, sourceFile } from '../role/source-file.ts';

const FOLDER = path.join(packageRoot, 'dist/firstboot/rootfs');
const UNITS = 'usr/lib/systemd/system';
const PROGRAMS = 'usr/lib/piimg';

/**
 * Here and not in a folder: npm packages hold no links. Below /usr they start the units whatever presets say, and an administrator can
 * mask them.
 */
const LINKS: Record<string, string> = {
  [`${UNITS}/cloud-init.target.wants/piimg-repair.service`]: '../piimg-repair.service',
  [`${UNITS}/cloud-init.target.wants/piimg-settled.service`]: '../piimg-settled.service',
  [`${UNITS}/multi-user.target.wants/piimg-firstboot.service`]: '../piimg-firstboot.service',
  'usr/sbin/piimg-firstboot': '../lib/piimg/piimg-firstboot',
};

/** Where no cloud-init would start what mends accounts: until all is as the role says, at each start. */
const WITHOUT_CLOUD_INIT = {
  link: `${UNITS}/sysinit.target.wants/piimg-repair.service`,
  settings: `${UNITS}/piimg-repair.service.d/without-cloud-init.conf`,
  text: `[Unit]
ConditionPathExists=!/var/lib/piimg/seen.sha256
Before=kernel-command-line.service rpi-preseed.service piimg-firstboot.service
`,
};

/** Where the machine writes how its first boot went. A place of its own from the start: no table of the FAT changes when it does. */
const RESULT = { path: 'boot/firmware/piimg-result.json', content: '\n'.repeat(16 * 1024) };

/** Its program, units and scripts; on a base whose `own` first boot is told who the machine is, more of them. Throws PiimgError where piimg was not compiled. */
export async function firstBootAgent(firstBoot?: 'own'): Promise<OverlayEntry[]> {
  if (!existsSync(FOLDER)) {
    const hint = 'In a clone of piimg, make it with: npm run compile';
    throw new PiimgError('The first-boot agent is not there.', { hint });
  }
  const owned = { owner: 'root', group: 'root', from: 'firstboot' };
  const files = (await readTree(FOLDER)).filter(({ kind }) => kind === 'file');
  const entries: OverlayEntry[] = await Promise.all(
    files.map(async ({ path: file, full }) => {
      const mode = file.startsWith(`${PROGRAMS}/`) ? 0o755 : 0o644;
      return { path: file, type: 'file', mode, ...owned, source: await sourceFile(full) };
    }),
  );
  const { link, settings, text } = WITHOUT_CLOUD_INIT;
  if (firstBoot === 'own') entries.push({ path: settings, type: 'file', mode: 0o644, ...owned, content: text });
  const more = firstBoot === 'own' ? { [link]: '../piimg-repair.service' } : {};
  const links = Object.entries({ ...LINKS, ...more }).map(([file, target]): OverlayEntry => {
    return { path: file, type: 'symlink', mode: 0o777, ...owned, target };
  });
  const result: OverlayEntry = { ...RESULT, type: 'file', mode: 0o644, ...owned };
  return [...entries, ...links, result].sort((a, b) => (a.path < b.path ? -1 : 1));
}
