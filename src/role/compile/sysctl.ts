// Kernel settings as a file for systemd-sysctl.
import type { Draft } from '../draft.ts';
import { heading, placeOf, type WrittenFile } from './written.ts';

/** `60-`: after the distribution's own (10-50), before what an administrator adds by hand (99-). */
export function compileSysctl({ sysctl }: Draft): WrittenFile[] {
  const place = placeOf(sysctl);
  if (place === undefined) return [];
  const lines = [...sysctl].map(([key, { value }]) => `${key} = ${value}\n`).sort();
  return [
    { path: 'etc/sysctl.d/60-piimg.conf', content: heading('sysctl') + lines.join(''), section: 'sysctl', place },
  ];
}
