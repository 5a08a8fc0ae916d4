// By what a file is known to be the same.
import type { Stats } from 'node:fs';

/** Tells a file from what it was, and from another one of its name. */
export const stampOf = ({ dev, ino, size, mtimeMs }: Pick<Stats, 'dev' | 'ino' | 'size' | 'mtimeMs'>): string =>
  [dev, ino, size, mtimeMs].join(' ');
