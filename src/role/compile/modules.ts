// Kernel modules as files for systemd-modules-load and modprobe.
import type { Draft } from '../draft.ts';
import { heading, placeOf, type WrittenFile } from './written.ts';

export function compileModules({ load, blacklist, options }: Draft): WrittenFile[] {
  const files: WrittenFile[] = [];
  const write = (path: string, lines: string[], place = placeOf(load)): void => {
    if (place === undefined || lines.length === 0) return;
    files.push({ path, content: heading('modules') + lines.sort().join(''), section: 'modules', place });
  };
  write(
    'etc/modules-load.d/piimg.conf',
    [...load.keys()].map((name) => `${name}\n`),
  );
  write(
    'etc/modprobe.d/piimg.conf',
    [
      ...[...blacklist.keys()].map((name) => `blacklist ${name}\n`),
      ...[...options].map(([name, { value }]) => `options ${name} ${value}\n`),
    ],
    placeOf(blacklist, options),
  );
  return files;
}
