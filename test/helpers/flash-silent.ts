// Writes an image that cannot be read twice to cards, with little patience for one that does not answer; says in JSON how it went.
//   node --import tsx test/helpers/flash-silent.ts SECONDS IMAGE CARD…
import { identifyDisk, openDisk } from '../../src/host/open-disk.ts';
import { openSource } from '../../src/flash/source/source.ts';
import { writeCards } from '../../src/flash/write/write-cards.ts';

const [seconds, image = '', ...paths] = process.argv.slice(2);
const signal = AbortSignal.timeout(90_000);
const source = { ...(await openSource(image, { signal })), rereadable: false };
const cards = await Promise.all(
  paths.map(async (path) => {
    const disk = await identifyDisk(path);
    const { fd } = await openDisk(disk, true);
    return { name: path, fd, size: disk.size, patches: [], resumeFrom: 0 };
  }),
);
const job = { source, ranges: undefined, size: source.size, cards, mode: 'write+verify' as const, wipe: false };
const flashed = await writeCards(job, () => {}, { signal, silence: Number(seconds) });
console.log(JSON.stringify(flashed));
