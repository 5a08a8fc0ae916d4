// Users and groups of the machine by name.
import { readFile } from 'node:fs/promises';
import type { Machine } from './machine.ts';
import { Problem } from './problem.ts';

/** A line of /etc/passwd or /etc/group, in its fields; undefined when there is none of that name. */
export async function findAccount(
  machine: Machine,
  table: 'passwd' | 'group',
  name: string,
): Promise<string[] | undefined> {
  const text = await readFile(machine.at(`etc/${table}`), 'utf8');
  return text
    .split('\n')
    .map((line) => line.split(':'))
    .find(([first]) => first === name);
}

/** The id of a user or group given by name or number; root's when none is given. Throws Problem when there is none of that name. */
export async function idOf(machine: Machine, table: 'passwd' | 'group', name = '0'): Promise<number> {
  if (/^\d+$/.test(name)) return Number(name);
  const id = (await findAccount(machine, table, name))?.[2];
  if (id !== undefined) return Number(id);
  const what = table === 'passwd' ? 'user' : 'group';
  throw new Problem(`there is no ${what} ${name}`, {
    hint: `Let a step make ${what} ${name} first, and this one be after it.`,
  });
}
