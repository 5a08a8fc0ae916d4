// What of two machines that became the same may differ, path by path, each with its reason; everything else must be equal.
import { sha256 } from '../../src/lib/digest.ts';
import type { ImageFile } from '../helpers/image-files.ts';
import type { Outcome } from './machine.ts';

interface Excepted {
  path: RegExp;
  why: string;
  /**
   * `content`: the file must be there, with the same mode and owner; `all`: it may also be missing; `empty`: an empty file may be there on one
   * of them; else only what this finds in it.
   */
  what: 'content' | 'all' | 'empty' | RegExp;
}

export const EXCEPTIONS: Excepted[] = [
  { path: /^\/etc\/machine-id$/, what: 'content', why: 'random, made on the first boot' },
  {
    path: /^\/etc\/sudoers\.d\/90-cloud-init-users$/,
    what: /v\. \S+ on .*$/m,
    why: 'cloud-init notes when it made it',
  },
  {
    path: /^\/(etc|var)\/\.updated$/,
    what: 'content',
    why: 'systemd-update-done(8) goes by its time; what is in it is for people, and may be lost',
  },
  { path: /^\/var\/log\//, what: 'all', why: 'logs tell when and how often it was switched on' },
  { path: /^\/var\/lib\/cloud\//, what: 'all', why: 'cloud-init notes times, and keeps pickled objects' },
  { path: /^\/var\/lib\/piimg\/(journal|result)\.json$/, what: 'content', why: 'times and durations' },
  { path: /^\/var\/lib\/systemd\//, what: 'all', why: 'random seed, clock, timers: when it was last on' },
  { path: /^\/var\/lib\/(apt|dpkg)\/|^\/var\/cache\/apt\//, what: 'all', why: 'daily jobs, which may have begun' },
  {
    path: /^\/etc\/apt\/sources\.list$/,
    what: 'empty',
    why: 'one of the daily jobs, unattended-upgrade, makes it where it is missing (python-apt, apt/cache.py)',
  },
  {
    path: /^\/var\/lib\/piimg\/accounts$/,
    what: 'content',
    why: 'a machine that is done names all its accounts when it starts again',
  },
  {
    path: /^\/etc\/(group|gshadow|passwd|shadow)-$/,
    what: 'content',
    why: 'what was there before the last change, as useradd(8) keeps it: one that was cut is taken back and made again',
  },
  { path: /^\/var\/swap\//, what: 'content', why: 'mkswap gives each a random id' },
  { path: /^\/var\/lib\/private\//, what: 'all', why: 'state of services with dynamic users' },
  { path: /^\/(lost\+found|var\/tmp|tmp)(\/|$)/, what: 'all', why: 'what fsck found; temporary files' },
];

/** Units that may be missing, by how their line begins. */
export const UNIT_EXCEPTIONS = [
  {
    unit: /^(ldconfig|systemd-(firstboot|journal-catalog-update|machine-id-commit|sysusers|update-done))\.service exited$/,
    why: 'of the first start, or of the first after an update, only (ConditionFirstBoot, ConditionNeedsUpdate)',
  },
  { unit: /^sshd-keygen\.service exited$/, why: 'where a host key is missing only; the keys are compared' },
  { unit: /^piimg-firstboot\.service exited$/, why: 'where there is something to do only; its result is compared' },
];

/** In words, what differs and must not; [] when they are equal. */
export function differences(expected: Outcome, found: Outcome): string[] {
  const said: string[] = [];
  if (found.result.status !== 'applied')
    said.push(`result: ${found.result.status} ${found.result.failure?.message ?? ''}`);
  const units = (one: Outcome, other: Outcome): string[] => one.units.filter((unit) => !other.units.includes(unit));
  for (const unit of units(expected, found)) {
    if (!UNIT_EXCEPTIONS.some((each) => each.unit.test(unit))) said.push(`unit ${unit} is missing`);
  }
  for (const unit of units(found, expected)) said.push(`unit ${unit} is more`);
  for (const path of new Set([...expected.root.keys(), ...found.root.keys()])) {
    const difference = differenceAt(path, expected.root.get(path), found.root.get(path));
    if (difference !== undefined) said.push(`${path} ${difference}`);
  }
  for (const file of new Set([...expected.boot.keys(), ...found.boot.keys()])) {
    // The machine's own account of how it went, with times.
    const same = file === 'piimg-result.json' || found.boot.get(file) === expected.boot.get(file);
    if (!same)
      said.push(
        `boot: ${file} ${!expected.boot.has(file) ? 'is more' : !found.boot.has(file) ? 'is missing' : 'differs'}`,
      );
  }
  return said;
}

function differenceAt(path: string, expected: ImageFile | undefined, found: ImageFile | undefined): string | undefined {
  const exception = EXCEPTIONS.find((each) => each.path.test(path));
  if (exception?.what === 'all') return undefined;
  if (exception?.what === 'empty' && isEmpty(expected ?? found) && isEmpty(found ?? expected)) return undefined;
  if (expected === undefined) return 'is more';
  if (found === undefined) return 'is missing';
  const facts = ({ type, mode, owner, target }: ImageFile): string => [type, mode.toString(8), owner, target].join(' ');
  if (facts(expected) !== facts(found)) return `is ${facts(found)}, not ${facts(expected)}`;
  if (exception?.what === 'content' || expected.sha256 === found.sha256) return undefined;
  const text = ({ text: whole = '' }: ImageFile): string => whole.replace(exception?.what ?? '', '');
  if (exception !== undefined && expected.text !== undefined && text(expected) === text(found)) return undefined;
  return 'has other content';
}

const isEmpty = (file: ImageFile | undefined): boolean => file?.type === 'file' && file.sha256 === sha256('');

/** Files whose text is looked into. */
export const LOOKED_INTO = new RegExp(
  EXCEPTIONS.flatMap(({ what, path }) => (what instanceof RegExp ? path.source : [])).join('|'),
);
