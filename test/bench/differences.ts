// Which differences between piimg's base and the emulated one are known, and why: everything else is a bug.
import type { Tree, TreeEntry } from './tree.ts';

export type Kind = 'missing' | 'added' | 'type' | 'content' | 'mode' | 'owner' | 'target' | 'xattrs';

export interface Difference {
  path: string;
  /** `missing`: only the emulated tree has it; `added`: only piimg's. */
  kind: Kind;
  detail: string;
}

export interface Known {
  path: RegExp;
  kinds: Kind[];
  reason: string;
}

/** At most twenty; each must explain at least one difference. */
export const KNOWN: Known[] = [
  {
    path: /^(dev|run)\//,
    kinds: ['missing'],
    reason: 'the kernel and systemd make them at every boot',
  },
  {
    path: /^etc\/\.resolv\.conf\.systemd-resolved\.bak$/,
    kinds: ['missing'],
    reason: "mmdebstrap has the build machine's resolv.conf in the root, which systemd-resolved keeps a copy of",
  },
  {
    path: /^etc\/(machine-id|ssh\/ssh_host_\w+_key(\.pub)?)$/,
    kinds: ['missing'],
    reason: 'identities: every card makes its own',
  },
  {
    path: /^etc\/(passwd|group|shadow|gshadow)$/,
    kinds: ['content'],
    reason: 'dynamic users and groups get their numbers in the order packages were configured; owners agree by name',
  },
  {
    path: /^etc\/systemd\/system\/timers\.target\.wants\/(dpkg-db-backup|fstrim)\.timer$/,
    kinds: ['target'],
    reason: 'the same file, spelled through the link /lib or not: depends on whether systemctl was there yet',
  },
  {
    path: /^boot\/firmware\//,
    kinds: ['missing'],
    reason: 'the boot partition is a layer of its own, made by the same hook when the disk is known',
  },
  {
    path: /^usr\/share\/python3\/debpython\/__pycache__\//,
    kinds: ['content'],
    reason:
      'the same code behind another 16-byte header: python caches them by time of the source when py3compile runs before their package is configured, which then finds nothing left to compile by hash',
  },
  {
    path: /^etc\/apt\/(sources\.list|apt\.conf\.d\/99mmdebstrap)$/,
    kinds: ['missing'],
    reason: "mmdebstrap's own configuration of apt",
  },
  {
    path: /^etc\/((passwd|group|shadow|gshadow|subuid|subgid)-|\.pwd\.lock)$/,
    kinds: ['missing'],
    reason: 'copies that the programs of passwd keep: leftovers',
  },
  {
    path: /^var\/lib\/dpkg\/((diversions|status|statoverride)-old|lock|lock-frontend|triggers\/Lock|arch)$/,
    kinds: ['missing'],
    reason: 'locks and former states of dpkg: leftovers',
  },
  {
    path: /^var\/(cache|lib)\/apt\/(archives|lists)\/(partial|lock)$/,
    kinds: ['missing', 'mode', 'owner'],
    reason: 'apt makes them when it first downloads; piimg downloads outside the image',
  },
  {
    path: /^var\/lib\/apt\/extended_states$/,
    kinds: ['missing'],
    reason: 'apt was never asked inside the image, so that no package counts as installed automatically',
  },
  {
    path: /^var\/cache\/debconf\/(config|templates)\.dat(-old)?$/,
    kinds: ['missing', 'content'],
    reason: "debconf's cache lists owners of questions in the order packages were configured",
  },
  {
    path: /^var\/log\//,
    kinds: ['missing', 'content'],
    reason: 'logs tell of the build',
  },
];

/** Everything in which `ours` and `theirs` differ, sorted by path. */
export function compareTrees(ours: Tree, theirs: Tree): Difference[] {
  const differences: Difference[] = [];
  for (const path of [...new Set([...ours.keys(), ...theirs.keys()])].sort()) {
    const [our, their] = [ours.get(path), theirs.get(path)];
    if (!our) differences.push({ path, kind: 'missing', detail: describe(their) });
    else if (!their) differences.push({ path, kind: 'added', detail: describe(our) });
    else if (our.type !== their.type)
      differences.push({ path, kind: 'type', detail: `${our.type}, not ${their.type}` });
    else differences.push(...compareEntries(path, our, their));
  }
  return differences;
}

function compareEntries(path: string, our: TreeEntry, their: TreeEntry): Difference[] {
  const xattrs = ({ xattrs: named = {} }: TreeEntry): string => JSON.stringify(Object.entries(named).sort());
  const aspects: [Kind, string, string][] = [
    ['content', our.sha256 ?? '', their.sha256 ?? ''],
    // A link's own mode means nothing.
    ['mode', our.type === 'symlink' ? '' : our.mode.toString(8), our.type === 'symlink' ? '' : their.mode.toString(8)],
    ['owner', our.owner, their.owner],
    ['target', our.target ?? '', their.target ?? ''],
    ['xattrs', xattrs(our), xattrs(their)],
  ];
  return aspects.flatMap(([kind, a, b]) => (a === b ? [] : [{ path, kind, detail: `${a}, not ${b}` }]));
}

const describe = (entry: TreeEntry | undefined): string =>
  entry ? `${entry.type} ${entry.mode.toString(8)} ${entry.owner}` : '';

/** Divides differences: those that no row explains, and the rows with how many each explains. */
export function judge(
  differences: Difference[],
  known: Known[],
): { unexplained: Difference[]; used: { row: Known; count: number }[] } {
  const used = known.map((row) => ({ row, count: 0 }));
  const unexplained = differences.filter(({ path, kind }) => {
    const fitting = used.find(({ row }) => row.kinds.includes(kind) && row.path.test(path));
    if (fitting) fitting.count++;
    return !fitting;
  });
  return { unexplained, used };
}
