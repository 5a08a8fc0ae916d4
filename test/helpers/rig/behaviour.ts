// What a card of the rig can be: slow, damaged, smaller than it says, gone. Types alone, for both processes.

export interface Range {
  offset: number;
  length: number;
}

export interface Behaviour {
  /** One budget for reading and writing; without, as fast as it goes. */
  bytesPerSecond?: number;
  /** Requests that touch one of these bytes fail with EIO, and store nothing. */
  badReads?: Range[];
  badWrites?: Range[];
  /** Writes of more bytes than that fail with EIO, and store nothing. */
  largest?: number;
  /** How many bytes there really are, whatever the card says. */
  real?: number;
  /** Beyond them: writes land at the beginning again; are lost, and zeros are read; fail with that error, as reads do (EIO is the default). */
  beyond?: 'wrap' | 'lost' | 'EIO' | 'ENOSPC';
  /** The lowest bit of each of these bytes is stored the other way round. */
  flips?: number[];
  /** Everything fails with EIO, at once, also what is under way. The device stays: its name must not become another card's meanwhile. */
  pulled?: boolean;
  /** Nothing comes to an end until it is false again. */
  hangs?: boolean;
  /**
   * Discarded blocks read as zeros (default) or keep what they hold; or it takes as long as this is so; or the card says that it cannot
   * discard: as long as it is there.
   */
  discards?: 'zeros' | 'ignored' | 'slow' | 'refused';
  /** Once so many bytes have been written since the card was made, this too. */
  after?: { written: number; turns: Behaviour };
}

/** What the card was asked to do, in that order. */
export interface CardRequest extends Range {
  kind: 'read' | 'write' | 'discard' | 'flush';
}

/** What a card's process can be told. It answers each with its state, and says it once by itself when it is ready. */
export type CardCommand = { behave: Behaviour } | { resize: number } | { look: true };

export interface CardState {
  requests: CardRequest[];
  /** Why it could not do what it was told. */
  error?: string;
  /** When it is ready. */
  loop?: string;
  pid?: number;
}

/** How the process makes the block device. */
export interface CardStart {
  folder: string;
  size: number;
  /** No more than a loop over the file: fast, and without behaviour. */
  plain: boolean;
  behaviour: Behaviour;
  /** Options of losetup. */
  loop: string[];
  /** After so many seconds the card is pulled, whatever happens. */
  seconds: number;
}
