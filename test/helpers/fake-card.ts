// A card in memory, with the habits of counterfeits, for what is to be tried on thousands of them.
import { obey, type Device } from '../../src/flash/probe/obey.ts';
import { Fault } from '../../src/flash/probe/fault.ts';
import type { Ask, Order } from '../../src/flash/probe/orders.ts';
import { CHUNK } from '../../src/flash/write/chunks.ts';

const SECTOR = 512;

export interface FakeCard {
  /** Bytes it says it has. */
  size: number;
  /** Bytes it has. */
  real: number;
  beyond: 'wraps' | 'zeros' | 'noise' | 'fails' | 'fails to read' | 'fails to write';
  /** Addresses begin anew after so many bytes, of which some may be beyond what it has. */
  period?: number;
  /** It keeps so many of the last bytes that were written beyond. */
  cache?: number;
  /** Bytes whose lowest bit is stored the other way round. */
  flips?: number[];
  /** Sectors that fail. */
  bad?: number[];
  /** It is dead after so many bytes were written. */
  diesAfter?: number;
}

/** Obeys a probe as its thread does, and says what it was asked. */
export function askFakeCard(card: FakeCard): { ask: Ask; orders: Order[]; written: () => number } {
  const { device, written } = fakeDevice(card);
  const work = { device, room: new Uint8Array(CHUNK), run: [1, 2] as [number, number], progress: () => {} };
  const orders: Order[] = [];
  const ask: Ask = async (order) => {
    orders.push(order);
    try {
      return obey(order, work);
    } catch (error) {
      const { code = '', offset } = error as NodeJS.ErrnoException & { offset?: number };
      throw new Fault({ code, offset });
    }
  };
  return { ask, orders, written };
}

function fakeDevice(card: FakeCard): { device: Device; written: () => number } {
  const {
    real,
    beyond,
    period = beyond === 'wraps' ? real : Infinity,
    cache = 0,
    flips = [],
    bad = [],
    diesAfter,
  } = card;
  const memory = new Uint8Array(real);
  /** Sectors beyond by their offset, the one that was written last at the end. */
  const kept = new Map<number, Uint8Array>();
  let written = 0;
  const fail = (code: string, offset: number): never => {
    throw Object.assign(new Error(code), { code, offset });
  };
  const eachSector = (view: Uint8Array, offset: number, work: (part: Uint8Array, place: number) => void): void => {
    if (diesAfter !== undefined && written > diesAfter) fail('EIO', offset);
    if (offset + view.length > card.size) fail('ENOSPC', offset);
    for (let at = 0; at < view.length; at += SECTOR) {
      if (bad.includes(offset + at)) fail('EIO', offset);
      work(view.subarray(at, at + SECTOR), (offset + at) % period);
    }
  };
  const device: Device = {
    write(view, offset) {
      eachSector(view, offset, (part, place) => {
        if (place < real) memory.set(part, place);
        else if (beyond === 'fails' || beyond === 'fails to write') fail('ENOSPC', offset);
        else if (cache > 0) {
          kept.delete(place);
          kept.set(place, part.slice());
          for (const oldest of kept.keys())
            if (kept.size * SECTOR > cache) kept.delete(oldest);
            else break;
        }
      });
      for (const flip of flips)
        if (flip >= offset && flip < offset + view.length) memory[flip] = (memory[flip] ?? 0) ^ 1;
      written += view.length;
    },
    read(view, offset) {
      eachSector(view, offset, (part, place) => {
        if (place < real) return part.set(memory.subarray(place, place + SECTOR));
        if (beyond === 'fails' || beyond === 'fails to read') fail('EIO', offset);
        const last = kept.get(place);
        if (last !== undefined) return part.set(last);
        if (beyond !== 'noise') return void part.fill(0);
        for (let at = 0; at < SECTOR; at++) part[at] = Math.imul(place + at, 2_654_435_761) >>> 13;
      });
    },
    flush() {
      if (diesAfter !== undefined && written > diesAfter) fail('EIO', 0);
    },
  };
  return { device, written: () => written };
}
