// A file from a template, and a folder.
import { lstat, readFile } from 'node:fs/promises';
import path from 'node:path';
import { idOf } from '../accounts.ts';
import { makeFolder, writeDurably, type Ownership } from '../durable.ts';
import type { Machine } from '../machine.ts';
import { render, type Lack, type StepKind, type StepOf } from '../step.ts';

interface Owned {
  path: string;
  mode: number;
  owner?: string | undefined;
  group?: string | undefined;
}

export const template: StepKind<StepOf<'template'>, Owned & { content: string }> = {
  flushes: true,
  async prepare({ overlay, template: name, destination, mode, owner, group }, { paths, data }) {
    const text = await readFile(path.join(paths.templates, overlay, name), 'utf8');
    // A secret in it is nobody's but the owner's and the group's, whatever the role says.
    const readers = /\{\{[{&#^]?\s*secrets\b/.test(text) ? mode & ~0o007 : mode;
    return {
      path: destination,
      mode: readers,
      owner,
      group,
      content: render(text, `node/${name} of overlay ${overlay}`, data),
    };
  },
  async check(file, { machine }) {
    const at = machine.at(file.path);
    const found = await readFile(at, 'utf8').catch(() => undefined);
    if (found === undefined) return `${file.path} is not there`;
    if (found !== file.content) return `${file.path} has other content`;
    return differs(file, machine);
  },
  async apply(file, { machine }) {
    const at = machine.at(file.path);
    if ((await lstat(path.dirname(at)).catch(() => undefined)) === undefined) await makeFolder(path.dirname(at));
    await writeDurably(at, file.content, await ownershipOf(file, machine));
  },
};

export const directory: StepKind<StepOf<'directory'>, Owned> = {
  flushes: true,
  prepare: ({ path: folder, mode, owner, group }) => ({ path: folder, mode, owner, group }),
  async check(folder, { machine }) {
    const found = await lstat(machine.at(folder.path)).catch(() => undefined);
    if (!found?.isDirectory()) return `${folder.path} is no folder`;
    return differs(folder, machine);
  },
  async apply(folder, { machine }) {
    await makeFolder(machine.at(folder.path), await ownershipOf(folder, machine));
  },
};

async function ownershipOf({ mode, owner, group }: Owned, machine: Machine): Promise<Ownership> {
  return { mode, uid: await idOf(machine, 'passwd', owner), gid: await idOf(machine, 'group', group) };
}

async function differs(wanted: Owned, machine: Machine): Promise<Lack> {
  const found = await lstat(machine.at(wanted.path));
  const { mode, uid, gid } = await ownershipOf(wanted, machine);
  if ((found.mode & 0o7777) !== mode) return `${wanted.path} has mode ${(found.mode & 0o7777).toString(8)}`;
  return found.uid === uid && found.gid === gid ? undefined : `${wanted.path} belongs to ${found.uid}:${found.gid}`;
}
