// Writes an image that cannot be read twice to cards, with little patience for one that does not answer; says in JSON how it went.
//   node --import tsx test/helpers/flash-silent.ts SECONDS IMAGE CARD…
import type { FileHandle } from 'node:fs/promises';
import { identifyDisk, openDisk } from '../../src/host/open-disk.ts';
import { openSource } from '../../src/flash/source/source.ts';
import { writeCards } from '../../src/flash/write/write-cards.ts';

const [seconds, image = '', ...paths] = process.argv.slice(2);
const signal = AbortSignal.timeout(90_000);
const source = { ...(await openSource(image, { signal })), rereadable: false };
/** Node closes what nobody holds. */
const handles: FileHandle[] = [];
const cards = await Promise.all(
  paths.map(async (path) => {
    const disk = await identifyDisk(path);
    const handle = await openDisk(disk, true);
    handles.push(handle);
    return { name: path, fd: handle.fd, size: disk.size, patches: [], resumeFrom: 0 };
  }),
);
const job = { source, ranges: undefined, size: source.size, cards, mode: 'write+verify' as const, wipe: false };
const flashed = await writeCards(job, () => {}, { signal, silence: Number(seconds) });
console.log(JSON.stringify(flashed));
for (const handle of handles) await handle.close();
