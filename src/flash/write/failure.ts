// What a card's device said when it did not do what it was asked.

/** Codes of errno(3) of a device that is not there any more. */
const GONE = ['ENODEV', 'ENXIO', 'ENOMEDIUM', 'EBADF'];

/** Of a file that is to be as a card. */
const FULL = { message: 'the disk that it is written to is full', hint: 'Make room there, or name another place.' };
const FILE_FAILURES: Record<string, { message: string; hint: string }> = {
  ENOSPC: FULL,
  EDQUOT: FULL,
  EFBIG: {
    message: 'its file system takes no file of that size',
    hint: 'FAT takes up to 4 GiB: name a place on another disk.',
  },
};

export class CardFailure extends Error {
  readonly code: string;
  readonly op: string;
  readonly hint: string;
  /** Byte of the device, where it is known. */
  readonly offset: number | undefined;

  /** `file`: it is a file that is to be as a card. */
  constructor({ code, op, offset, file = false }: { code: string; op: string; offset?: number; file?: boolean }) {
    super((file && FILE_FAILURES[code]?.message) || wordsOf(code, op, offset));
    this.name = 'CardFailure';
    this.code = code;
    this.op = op;
    const first = code === 'silent' ? 'Take the card out: until then this command cannot end. Then try' : 'Try';
    this.hint = file
      ? (FILE_FAILURES[code]?.hint ?? 'Name a place on another disk; see dmesg.')
      : `${first} another port or reader, then another card.`;
    this.offset = offset;
  }
}

function wordsOf(code: string, op: string, offset: number | undefined): string {
  const place = offset === undefined ? '' : ` at byte ${offset} (sector ${Math.floor(offset / 512)})`;
  if (GONE.includes(code)) return 'the card is gone: it was taken out, or its reader has failed';
  // Linux says so too of a reader that was pulled, whose disk has no size any more.
  if (code === 'ENOSPC') return `the card ends before${place.replace(' at', '')}, or it was taken out`;
  if (code === 'stopped') return 'it was given up';
  if (code === 'silent') return `the card has not answered for ${op}`;
  const verb = op === 'read' ? 'read' : 'written';
  return `cannot be ${verb}${place}: ${code}, again and again`;
}
