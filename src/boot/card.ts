// The throw-away card of a boot test: a qcow2 over the image, which itself is never written.
import { mkdir, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { run } from '../host/exec.ts';
import { cardSize, type Machine } from './machine.ts';

/** Bytes to put on the card before it boots, such as a seed slot's. */
export interface Patch {
  /** In bytes of the card. */
  offset: number;
  content: Uint8Array;
}

/** Makes `card.qcow2` in `folder`, as large as the machine takes it, and writes the patches onto it. Returns its path. */
export async function makeCard(machine: Machine, image: string, folder: string, patches: Patch[]): Promise<string> {
  await mkdir(folder, { recursive: true });
  const size = cardSize(machine, (await stat(image)).size);
  const name = 'card.qcow2';
  // By their names in the folder, as qemu-io's commands cannot quote a path.
  const at = { cwd: folder };
  await run(
    ['qemu-img', 'create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', path.resolve(image), name, String(size)],
    at,
  );
  for (const { offset, content } of patches) {
    await writeFile(path.join(folder, 'patch'), content);
    await run(['qemu-io', '-f', 'qcow2', '-c', `write -q -s patch ${offset} ${content.length}`, name], at);
  }
  await rm(path.join(folder, 'patch'), { force: true });
  return path.join(folder, name);
}

/** Writes what a card holds now, or its first `size` bytes, to a sparse raw file. The machine must be off. */
export async function readCard(card: string, to: string, size?: number): Promise<void> {
  const part = size === undefined ? 'driver=qcow2,file' : `driver=raw,size=${size},file.driver=qcow2,file.file`;
  const source = `${part}.filename=${card.replaceAll(',', ',,')}`;
  await run(['qemu-img', 'convert', '-O', 'raw', '--image-opts', source, to]);
}
