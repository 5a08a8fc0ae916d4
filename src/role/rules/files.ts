// Rules about what is written where in the image.
import type { PlacedEntry } from '../entries.ts';
import { within } from '../../lib/yaml/place.ts';
import { issueAt, type Issue } from '../../lib/yaml/report.ts';
import type { Rule, RuleContext } from './context.ts';

/** The path the FAT partition is mounted on. */
const FAT = 'boot/firmware/';

/** Paths that piimg or the node's own first boot write, with what to use instead. */
const OWNED: [RegExp, string][] = [
  [
    /^boot\/firmware\/(user-data|meta-data|network-config|piimg\.json)$/i,
    "the node's identity goes there when the card is flashed",
  ],
  [/^boot\/firmware\/cmdline\.txt$/i, 'use `cmdline:`'],
  [/^boot\/firmware\/config\.txt$/i, 'use `config:`'],
  [/^etc\/machine-id$/, 'every node makes its own'],
  [/^etc\/ssh\/ssh_host_.*_key(\.pub)?$/, 'every node makes its own, or gets them when the card is flashed'],
  [/^etc\/fstab$/, 'the image names its partitions there'],
  [/^etc\/(passwd|shadow|group|gshadow|subuid|subgid)-?$/, 'use `users:` and `groups:`'],
  [/^etc\/default\/raspi-(firmware(-custom)?|extra-cmdline)$/, 'use `config:` and `cmdline:`'],
  [/^usr\/lib\/piimg\/(?!node\/)/, 'it belongs to piimg'],
  [/^(dev|proc|sys|run|tmp)(\/|$)/, 'what is there in the image is hidden once it runs'],
];

/** Links of Debian's merged /usr, and where they lead. */
const LINKS: [RegExp, string][] = [
  [/^(bin|sbin|lib|lib64)(\/|$)/, 'usr/'],
  [/^var\/run(\/|$)/, ''],
  [/^var\/lock(\/|$)/, 'run/'],
];

/** All that is written to a path of the image, whatever it comes from. */
function writes({ entries, merged }: RuleContext): { path: string; place: PlacedEntry['place'] }[] {
  return [
    ...entries.map(({ entry, place }) => ({ path: entry.path, place })),
    ...[...merged.artifacts.values()].map(({ value, place }) => ({
      path: value.destination.slice(1),
      place: within(place, 'destination'),
    })),
    ...[...merged.npm.values()].map(({ value, place }) => ({
      path: value.destination.slice(1),
      place: within(place, 'destination'),
    })),
  ];
}

export const ownedPathsAreLeftAlone: Rule = (context) =>
  writes(context).flatMap(({ path, place }) => {
    const owned = OWNED.find(([pattern]) => pattern.test(path));
    return owned === undefined ? [] : [issueAt(place, `a role cannot write /${path}: ${owned[1]}`)];
  });

/** Writing below a link of the base would put a folder in its place: the system would not boot. */
export const baseLinksAreKept: Rule = (context) =>
  writes(context).flatMap(({ path, place }) => {
    const link = LINKS.find(([pattern]) => pattern.test(path));
    if (link === undefined) return [];
    const better = path.startsWith('var/') ? path.slice('var/'.length) : path;
    return [issueAt(place, `/${path} lies below a link of the base`, { suggestion: `/${link[1]}${better}` })];
  });

/** What is written must not need a folder where something else is. */
export const pathsDoNotCrossFiles: Rule = ({ entries }) => {
  const blocking = new Map(
    entries.filter(({ entry }) => entry.type !== 'directory').map(({ entry }) => [entry.path, entry]),
  );
  return entries.flatMap(({ entry, place }): Issue[] => {
    const parts = entry.path.split('/');
    const parents = parts.slice(1).map((_part, index) => parts.slice(0, index + 1).join('/'));
    const blocked = parents.map((parent) => blocking.get(parent)).find((found) => found !== undefined);
    if (blocked === undefined) return [];
    const what = blocked.type === 'symlink' ? 'a link' : 'a file';
    return [
      issueAt(place, `/${entry.path} (${entry.from}) cannot be written: /${blocked.path} is ${what} (${blocked.from})`),
    ];
  });
};

export const sectionsOwnTheirFiles: Rule = ({ entries }) => {
  const written = new Map(entries.flatMap(({ entry, section }) => (section ? [[entry.path, section] as const] : [])));
  return entries.flatMap(({ entry, place, section }) => {
    const owner = written.get(entry.path);
    if (owner === undefined || section !== undefined) return [];
    return [issueAt(place, `/${entry.path} (${entry.from}) is also written from \`${owner}:\` of the role`)];
  });
};

/** Two overlays of one role file: nothing says which is meant. Over an extended role's file a role may write. */
export const overlaysDoNotCollide: Rule = ({ entries }) => {
  const seen = new Map<string, PlacedEntry>();
  return entries.flatMap((placed): Issue[] => {
    const { entry, place, section } = placed;
    const before = seen.get(entry.path);
    seen.set(entry.path, placed);
    if (section !== undefined || before === undefined || before.place.text !== place.text) return [];
    if (entry.type === 'directory' && before.entry.type === 'directory') return [];
    const message = `/${entry.path} of ${entry.from} replaces that of ${before.entry.from}`;
    return [issueAt(place, message, { severity: 'warning' })];
  });
};

export const sudoersHaveTheirMode: Rule = ({ entries }) =>
  entries.flatMap(({ entry, place }) => {
    if (!/^etc\/sudoers\.d\/./.test(entry.path) || entry.type !== 'file') return [];
    const issues: Issue[] = [];
    if (entry.mode !== 0o440) {
      issues.push(issueAt(place, `/${entry.path} has mode ${octal(entry.mode)}, sudo wants 0440`, { allowed: '0440' }));
    }
    // sudoers(5): names with a dot or ending in ~ are skipped, so that editors' and packages' leftovers do no harm.
    if (/[.]|~$/.test(entry.path.slice('etc/sudoers.d/'.length))) {
      issues.push(issueAt(place, `sudo ignores /${entry.path}: its name has a dot or a tilde`));
    }
    return issues;
  });

/** FAT keeps neither owners nor modes nor links, and sees no difference between capitals and small letters. */
export const bootFilesFitFat: Rule = ({ entries }) => {
  const seen = new Map<string, string>();
  return entries.flatMap(({ entry, place }): Issue[] => {
    if (!entry.path.startsWith(FAT)) return [];
    const say = (why: string): Issue => issueAt(place, `/${entry.path} is on the FAT partition: ${why}`);
    const issues: Issue[] = [];
    if (entry.type === 'symlink') issues.push(say('there are no links'));
    if (entry.owner !== 'root' || entry.group !== 'root') issues.push(say('everything belongs to root'));
    if (entry.type === 'file' && ![0o644, 0o755].includes(entry.mode)) issues.push(say('modes are not kept'));
    if (/["*:<>?\\|]|[. ]$/.test(entry.path)) issues.push(say('its name cannot be written there'));
    const before = seen.get(entry.path.toLowerCase());
    if (before !== undefined && before !== entry.path) issues.push(say(`its name is the same as that of /${before}`));
    seen.set(entry.path.toLowerCase(), entry.path);
    return issues;
  });
};

function octal(mode: number): string {
  return mode.toString(8).padStart(4, '0');
}
