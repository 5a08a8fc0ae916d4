// Texts become the bytes of an image's seed slots.
import { padSlot } from './minimal.ts';

export interface Filled<Slot> {
  slot: Slot;
  content: Buffer;
}

/** The slots there are texts for, each padded to its length; others stay as they are. Throws PiimgError when one is too short. */
export function fillSlots<Slot extends { name: string; length: number }>(
  slots: Slot[],
  texts: Partial<Record<string, string>>,
): Filled<Slot>[] {
  return slots.flatMap((slot) => {
    const text = texts[slot.name];
    return text === undefined ? [] : [{ slot, content: padSlot(text, slot.length, slot.name) }];
  });
}
