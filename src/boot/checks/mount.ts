// Is something mounted, with options?
import { quote } from '../../lib/quote.ts';
import type { HealthCheckOf, Kind } from './kind.ts';

export const mountCheck: Kind<HealthCheckOf<'mount'>> = {
  name: ({ path }) => `mount ${path}`,
  expected: ({ options }) => (options.length === 0 ? 'mounted' : `mounted ${options.join(',')}`),

  async look({ session }, { path, options }, attempt) {
    const columns = ['--noheadings', '--raw', '--output', 'FSTYPE,OPTIONS'];
    const { status, stdout } = await session.ask(quote(['findmnt', ...columns, '--mountpoint', path]), attempt);
    // Several mounts on one folder hide each other: the last one counts.
    const [type, set = ''] = stdout.trim().split('\n').at(-1)?.split(' ') ?? [];
    if (status !== 0) return { ok: false, seen: 'not mounted' };
    const missing = options.filter((option) => !set.split(',').includes(option));
    return { ok: missing.length === 0, seen: `${type} ${set}` };
  },
};
