// The kernel's FUSE protocol (linux/fuse.h), as much of it as a mount needs that is one file: requests in, replies out. Pure.

/** What the kernel asks for; whatever is not here is answered with ENOSYS. */
export const OPERATION = {
  forget: 2,
  attributes: 3,
  changeAttributes: 4,
  open: 14,
  read: 15,
  write: 16,
  statfs: 17,
  release: 18,
  sync: 20,
  start: 26,
  interrupt: 36,
  destroy: 38,
  forgetMany: 42,
  allocate: 43,
} as const;

export interface FuseRequest {
  operation: number;
  unique: bigint;
  body: Buffer;
}

/** Bytes of one read or write at most: 256 pages, which kernels allow without a setting. */
export const MOST = 1 << 20;

/** A buffer of this size holds every request: the largest is a write with two headers. */
export const REQUEST_ROOM = MOST + 4096;

/** `bytes` is what one read(2) of /dev/fuse gave. */
export function parseRequest(bytes: Buffer): FuseRequest {
  return { operation: bytes.readUInt32LE(4), unique: bytes.readBigUInt64LE(8), body: bytes.subarray(40) };
}

/** For one writev(2): an errno (0 is none), and what was asked for. */
export function formatReply(unique: bigint, errno: number, body: Buffer = Buffer.alloc(0)): Buffer[] {
  const header = Buffer.alloc(16);
  header.writeUInt32LE(header.length + body.length);
  header.writeInt32LE(-errno, 4);
  header.writeBigUInt64LE(unique, 8);
  return [header, body];
}

/** Offset and length of a read or write. */
export function transferOf({ body }: FuseRequest): { offset: number; length: number } {
  return { offset: Number(body.readBigUInt64LE(8)), length: body.readUInt32LE(16) };
}

export function writtenBy(request: FuseRequest): Buffer {
  return request.body.subarray(40, 40 + transferOf(request).length);
}

/** `mode` of an allocation that makes a hole and leaves the size: how a loop device discards (linux/falloc.h). */
export const PUNCH_HOLE = 3;

export function allocationOf({ body }: FuseRequest): { offset: number; length: number; mode: number } {
  const [offset, length] = [Number(body.readBigUInt64LE(8)), Number(body.readBigUInt64LE(16))];
  return { offset, length, mode: body.readUInt32LE(24) };
}

/** Large requests, many at a time: else the kernel's habits would set the pace, not the card. */
export function startReply({ body }: FuseRequest): Buffer {
  const [ASYNC_READ, BIG_WRITES, ASYNC_DIRECT, MAX_PAGES] = [1 << 0, 1 << 5, 1 << 15, 1 << 22];
  const reply = Buffer.alloc(64);
  reply.writeUInt32LE(7);
  reply.writeUInt32LE(31, 4);
  reply.writeUInt32LE(body.readUInt32LE(8), 8);
  reply.writeUInt32LE((ASYNC_READ | BIG_WRITES | ASYNC_DIRECT | MAX_PAGES) & body.readUInt32LE(12), 12);
  reply.writeUInt16LE(64, 16);
  reply.writeUInt16LE(64, 18);
  reply.writeUInt32LE(MOST, 20);
  reply.writeUInt16LE(MOST / 4096, 28);
  return reply;
}

/** A regular file of that size, valid for no time: a card may shrink. */
export function attributesReply(size: number): Buffer {
  const reply = Buffer.alloc(104);
  reply.writeBigUInt64LE(1n, 16);
  reply.writeBigUInt64LE(BigInt(size), 24);
  reply.writeBigUInt64LE(BigInt(size) / 512n, 32);
  reply.writeUInt32LE(0o100600, 76);
  reply.writeUInt32LE(1, 80);
  reply.writeUInt32LE(4096, 96);
  return reply;
}

/** Past the page cache. */
export function openReply(): Buffer {
  const DIRECT_IO = 1;
  const reply = Buffer.alloc(16);
  reply.writeUInt32LE(DIRECT_IO, 8);
  return reply;
}

export function writeReply(length: number): Buffer {
  const reply = Buffer.alloc(8);
  reply.writeUInt32LE(length);
  return reply;
}

/** Loop devices take the size of a block from it, below which they do not discard. */
export function statfsReply(): Buffer {
  const reply = Buffer.alloc(80);
  reply.writeUInt32LE(4096, 40);
  reply.writeUInt32LE(255, 44);
  reply.writeUInt32LE(4096, 48);
  return reply;
}
