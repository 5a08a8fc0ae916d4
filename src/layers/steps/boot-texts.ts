// Pure: an image's own boot files, made to fit another disk and a role.

/** What a role adds to config.txt under one filter. */
interface Section {
  filter: string;
  lines: string[];
}

/** Names of a root file system that are of one disk only: by id, label, or the device of a card or disk. */
const OF_ONE_DISK = /^root=((PART)?(UUID|LABEL)=|\/dev\/(mmcblk|sd|vd|nvme))/;

/** The kernel's command line with the root on this disk, and with the words it does not have yet. All else stays, `resize` too. */
export function cmdlineFor(text: string, { diskId, words }: { diskId: string; words: string[] }): string {
  const root = `root=PARTUUID=${diskId}-02`;
  const own = text.split(/\s+/).filter(Boolean);
  const placed = own.map((word) => (OF_ONE_DISK.test(word) ? root : word));
  const rooted = own.some((word) => word.startsWith('root=')) ? placed : [...placed, root, 'rootwait'];
  return `${[...rooted, ...words.filter((word) => !rooted.includes(word))].join(' ')}\n`;
}

/** config.txt with further sections; filters stay until reset, so it ends in [all]. */
export function configFor(text: string, sections: Section[]): string {
  if (sections.length === 0) return text;
  const added = sections.map(({ filter, lines }) => `[${filter}]\n${lines.join('\n')}\n`).join('');
  return `${text.trimEnd()}\n\n# What the role adds\n${added}[all]\n`;
}

/** Where the FAT is mounted, with identities in it that are nobody else's business (mount(8), fat). */
const PRIVATE = ['fmask=0077', 'dmask=0077'];

/** fstab with the two file systems of this disk; the image's own options stay, but for who may read the boot partition. */
export function fstabFor(text: string, diskId: string): string {
  const found = new Set<string>();
  const lines = text
    .trimEnd()
    .split('\n')
    .map((line) => {
      const [, device = '', place = '', gap = '', type = '', options = '', rest = ''] =
        /^(\S+\s+)(\S+)(\s+)(\S+\s+)(\S+)(.*)$/.exec(line) ?? [];
      if (device.startsWith('#') || (place !== '/' && place !== '/boot/firmware')) return line;
      found.add(place);
      const space = /\s+$/.exec(device)?.[0] ?? ' ';
      if (place === '/') return `PARTUUID=${diskId}-02${space}/${gap}${type}${options}${rest}`;
      const kept = options.split(',').filter((option) => !/^[fdu]mask=/.test(option));
      return `PARTUUID=${diskId}-01${space}${place}${gap}${type}${[...kept, ...PRIVATE].join(',')}${rest}`;
    });
  const missing = [
    ...(found.has('/boot/firmware')
      ? []
      : [`PARTUUID=${diskId}-01 /boot/firmware vfat defaults,${PRIVATE.join(',')} 0 2`]),
    ...(found.has('/') ? [] : [`PARTUUID=${diskId}-02 / ext4 defaults,noatime 0 1`]),
  ];
  return `${[...lines, ...missing].join('\n').replace(/^\n+/, '')}\n`;
}
