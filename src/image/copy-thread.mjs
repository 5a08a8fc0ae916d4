// One of the two threads of copy.ts: the one reads an image, piece by piece, into a ring of places, the other writes them from there. The
// kernel lets one write to a file at a time: threads that both write would spin until it is their turn. Plain JavaScript, as a thread is started
// from a file.
import { openSync, readSync, writeSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';

/** Bytes of a place. Of larger writes the kernel makes larger pieces of free memory, which a virtual machine may have to fetch. */
const PLACE = 1 << 18;
const READ = 0;
const WRITTEN = 1;

/** `ring`: shared memory of some places; `counts`: how many pieces were read, and how many written. */
const { file, writes, ring, counts } = workerData;
const places = ring.byteLength / PLACE;
const open = openSync(file, writes ? 'r+' : 'r');

parentPort.once('message', (ranges) => {
  let index = 0;
  for (const { offset, length } of ranges) {
    for (let at = offset; at < offset + length; at += PLACE) {
      const piece = new Uint8Array(ring, (index % places) * PLACE, Math.min(PLACE, offset + length - at));
      if (writes) {
        waitFor(READ, index + 1);
        writeWhole(piece, at);
        // The one who reads is ahead: it need not be woken for each place.
        tell(WRITTEN, ++index, places / 2);
      } else {
        waitFor(WRITTEN, index + 1 - places);
        readWhole(piece, at);
        tell(READ, ++index, 1);
      }
    }
  }
  parentPort.postMessage('done');
});

function waitFor(which, count) {
  for (let now = Atomics.load(counts, which); now < count; now = Atomics.load(counts, which)) {
    Atomics.wait(counts, which, now);
  }
}

function tell(which, count, every) {
  Atomics.store(counts, which, count);
  if (count % every === 0) Atomics.notify(counts, which);
}

function readWhole(piece, at) {
  for (let done = 0; done < piece.length;) {
    const count = readSync(open, piece, done, piece.length - done, at + done);
    if (count === 0) throw new RangeError(`${file} ends at byte ${at + done}`);
    done += count;
  }
}

function writeWhole(piece, at) {
  for (let done = 0; done < piece.length;) done += writeSync(open, piece, done, piece.length - done, at + done);
}
