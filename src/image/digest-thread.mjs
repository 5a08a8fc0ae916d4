// One thread of digest.ts: sums up pieces of an image, and copies them where that is wanted. Plain JavaScript, as a thread is started from a file.
import { createHash } from 'node:crypto';
import { constants, openSync, readSync, writeSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { crc32 } from 'node:zlib';

/** Bytes hashed at once: within L2, so that hashing meets what reading left there. */
const HASHED = 1 << 18;
/** Bytes copied at once: for larger ones the kernel wants larger pieces of free memory, which a virtual machine may have to fetch. */
const COPIED = 1 << 14;
/** Bytes read at once where nothing is expected but holes. */
const HOLE_CHUNK = 1 << 22;
/** Bytes between two words of progress. */
const TOLD_EVERY = 1 << 26;

const { path, to, checksum, running } = workerData;
const chunk = to === undefined ? HASHED : COPIED;
const cached = openSync(path, 'r');
const copy = to === undefined ? undefined : openSync(to, 'r+');
// Holes read through the page cache cost a page of memory each; around it they are 50 times as fast (measured, ext4).
// What was just written is cached, and read from there. File systems without O_DIRECT do everything the one way.
const direct = openDirect() ?? cached;
// Direct reads need memory aligned to pages, which WebAssembly's is (64 KiB each).
const buffer = Buffer.from(new WebAssembly.Memory({ initial: HOLE_CHUNK >> 16 }).buffer);
let sum = newSum();
let told = 0;

parentPort.on('message', (pieces) => {
  const digests = pieces.map((piece) => {
    if (!running) sum = newSum();
    read(piece);
    return sum.text();
  });
  parentPort.postMessage(digests);
});

function newSum() {
  if (checksum === 'crc32') {
    let value = 0;
    return { add: (bytes) => (value = crc32(bytes, value)), text: () => value.toString(16).padStart(8, '0') };
  }
  const hash = createHash(checksum);
  return { add: (bytes) => hash.update(bytes), text: () => hash.copy().digest('hex') };
}

function read({ offset, length, hole }) {
  const end = offset + length;
  for (let at = offset; at < end;) {
    const wanted = Math.min(hole ? HOLE_CHUNK : chunk, end - at);
    const count = readSync(hole ? direct : cached, buffer, 0, wanted, at);
    if (count === 0) throw new RangeError(`${path} ends at byte ${at}, before ${end}`);
    const bytes = buffer.subarray(0, count);
    sum.add(bytes);
    if (copy !== undefined) writeWhole(bytes, at);
    at += count;
    if (at - told >= TOLD_EVERY) parentPort.postMessage((told = at));
  }
}

function writeWhole(bytes, at) {
  for (let done = 0; done < bytes.length;) done += writeSync(copy, bytes, done, bytes.length - done, at + done);
}

function openDirect() {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_DIRECT);
  } catch {
    return undefined;
  }
}
