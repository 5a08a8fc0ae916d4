// What a machine leaves when it has switched itself off: sound file systems on its card.
import { mkdtemp, rm } from 'node:fs/promises';
import path from 'node:path';
import { run } from '../../host/exec.ts';
import type { Look } from '../retry.ts';
import { excerpt } from './kind.ts';

/** Bytes of the card; without length up to its end. */
export interface Range {
  offset: number;
  length?: number;
}

/** Milliseconds for the file systems of a large card. */
const LONGEST = 180_000;

/** Both file systems of a qcow2 card, copied out of it into a folder below `folder`. Nothing is repaired. */
export async function lookAtCard(
  card: string,
  { boot, root }: { boot: Range; root: Range },
  folder: string,
): Promise<Look> {
  const signal = AbortSignal.timeout(LONGEST);
  const copies = await mkdtemp(path.join(folder, 'off-'));
  try {
    const [fat, ext4] = [path.join(copies, 'boot'), path.join(copies, 'root')];
    await copyOut(card, boot, fat, signal);
    await copyOut(card, root, ext4, signal);
    const faults = [
      ...(await faultsOf('boot', ['fsck.vfat', '-n', fat], signal)),
      ...(await faultsOf('root', ['e2fsck', '-f', '-n', ext4], signal)),
    ];
    return { ok: faults.length === 0, seen: faults.length === 0 ? 'clean' : faults.join(', ') };
  } finally {
    await rm(copies, { recursive: true, force: true });
  }
}

async function copyOut(card: string, { offset, length }: Range, to: string, signal: AbortSignal): Promise<void> {
  const range = length === undefined ? `offset=${offset}` : `offset=${offset},size=${length}`;
  const source = `driver=raw,${range},file.driver=qcow2,file.file.driver=file,file.file.filename=${card.replaceAll(',', ',,')}`;
  await run(['qemu-img', 'convert', '--image-opts', '-O', 'raw', source, to], { signal });
}

/** Lines that begin a checker's report and are no fault. */
const HEADING = /^(e2fsck |fsck\.fat |Pass \d|There are differences|\s*$)/;

/** What a checker has to say: both end with 0 only when all is well, but e2fsck also when a journal was left to replay. */
async function faultsOf(name: string, command: string[], signal: AbortSignal): Promise<string[]> {
  // e2fsck: 4 errors left, 8 no file system to check, 12 both; fsck.vfat: 1 errors, 6 no FAT.
  const { exitCode, stdout, stderr } = await run(command, { signal, okCodes: [0, 1, 4, 6, 8, 12] });
  const said = `${stderr}\n${stdout}`;
  if (exitCode === 0 && !said.includes('skipping journal recovery')) return [];
  const first = said.split('\n').find((line) => !HEADING.test(line)) ?? `status ${exitCode}`;
  return [`${name}: ${excerpt(first)}`];
}
