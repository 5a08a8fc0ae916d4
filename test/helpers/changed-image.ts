// Copies of an image with other files in its root file system, written without mounting it.
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { run } from '../../src/host/exec.ts';
import { partitionOf } from './image-files.ts';

/** What a boot test reads of the role. */
export const ROLE_FILE = 'usr/lib/piimg/role.json';

/** `NAME.img` in `folder`: a copy of `image` with these files in place of its own, and links made. */
export async function imageWith(
  image: string,
  folder: string,
  name: string,
  { files = {}, links = {} }: { files?: Record<string, string>; links?: Record<string, string> },
): Promise<string> {
  const copy = path.join(folder, `${name}.img`);
  await run(['cp', '--sparse=always', '--reflink=auto', image, copy]);
  const commands: string[] = [];
  for (const [number, [file, text]] of Object.entries(files).entries()) {
    const source = path.join(folder, `file-${number}`);
    await writeFile(source, text);
    const name = path.basename(file);
    commands.push(`cd /${path.dirname(file)}`, `rm ${name}`, `write ${source} ${name}`);
    if (text.startsWith('#!')) commands.push(`set_inode_field ${name} mode 0100755`);
  }
  for (const [link, target] of Object.entries(links)) {
    commands.push(`cd /${path.dirname(link)}`, `symlink ${path.basename(link)} ${target}`);
  }
  const script = path.join(folder, 'commands');
  await writeFile(script, `${commands.join('\n')}\n`);
  const { offset } = await partitionOf(image, 2);
  await run(['debugfs', '-w', '-f', script, `${copy}?offset=${offset}`]);
  return copy;
}

/** The role as the image has it, with one of its lists changed. */
export async function roleWith(
  image: string,
  list: 'health' | 'provision',
  change: (list: unknown[]) => unknown[],
): Promise<string> {
  const { offset } = await partitionOf(image, 2);
  const { stdout } = await run(['debugfs', '-R', `cat ${ROLE_FILE}`, `${image}?offset=${offset}`]);
  const role = JSON.parse(stdout) as Record<typeof list, unknown[]>;
  return JSON.stringify({ ...role, [list]: change(role[list]) });
}
