// What an entry of a FAT's directory says, of 32 bytes, with the pieces of a long name before it: pure.

/** Years since 1980, month and day; hours, minutes and pairs of seconds ("FAT: General Overview", version 1.03). No date at all is 1980. */
export function timeOf(slot: Buffer): number {
  const [time, date] = [slot.readUInt16LE(22), slot.readUInt16LE(24)];
  const day = [1980 + (date >> 9), Math.max(1, (date >> 5) & 15) - 1, Math.max(1, date & 31)] as const;
  return Date.UTC(...day, time >> 11, (time >> 5) & 63, (time & 31) * 2) / 1000;
}

/**
 * Pieces of a long name stand last to first before the entry they name, 5, 6 and 2 UTF-16 units each, and each has a checksum of its short
 * name ("FAT: General Overview", version 1.03). Empty where they are another one's: what knows no long names leaves them when it removes a file.
 */
export function longName(pieces: Buffer[], slot: Buffer): string {
  const sum = slot.subarray(0, 11).reduce((sum, byte) => (((sum & 1) << 7) + (sum >> 1) + byte) & 0xff, 0);
  if (pieces.some((piece) => piece[13] !== sum)) return '';
  const units = pieces.flatMap((piece) => [piece.subarray(1, 11), piece.subarray(14, 26), piece.subarray(28, 32)]);
  return Buffer.concat(units).toString('utf16le').split('\0')[0] ?? '';
}

/** `README  TXT`, with Windows NT's flags for a lower-case base and extension. */
export function shortName(slot: Buffer): string {
  const part = (from: number, to: number, lower: number) => {
    const text = slot.toString('latin1', from, to).trimEnd();
    return slot.readUInt8(12) & lower ? text.toLowerCase() : text;
  };
  const extension = part(8, 11, 0x10);
  return part(0, 8, 0x08) + (extension && `.${extension}`);
}
