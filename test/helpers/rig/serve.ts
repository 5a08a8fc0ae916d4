// Answers the kernel's requests for the one file that is a card, at the card's pace.
import { read, writevSync } from 'node:fs';
import { constants } from 'node:os';
import * as fuse from './fuse.ts';
import type { Medium } from './medium.ts';
import type { Pace } from './pace.ts';

const { EIO, EOPNOTSUPP, ENOSYS } = constants.errno;

export interface Served {
  medium: Medium;
  pace: Pace;
  size: () => number;
  /** Whether a loop device over it can discard. */
  discards: boolean;
}

/** Until the kernel wants no more of it: `over` is called then. `device` is an open /dev/fuse. */
export function serve(device: number, served: Served, over: () => void): void {
  const room = Buffer.alloc(fuse.REQUEST_ROOM);
  const next = (): void =>
    read(device, room, 0, room.length, null, (error, length) => {
      // EPERM: it is not mounted yet. ENOENT: a request was given up before it was read.
      if (error && !['EPERM', 'ENOENT', 'EINTR', 'EAGAIN'].includes(error.code ?? '')) return over();
      if (!error) answer(device, fuse.parseRequest(room.subarray(0, length)), served);
      if (error?.code === 'EPERM') setTimeout(next, 1);
      else next();
    });
  next();
}

/** After whatever may have changed how the card behaves. */
export function heedBehaviour({ medium, pace }: Served): void {
  const { hangs = false, pulled = false } = medium.behaviour;
  pace.hang(hangs && !pulled);
  if (pulled) pace.giveUp();
}

function answer(device: number, request: fuse.FuseRequest, served: Served): void {
  const { medium, pace, size, discards } = served;
  const { OPERATION } = fuse;
  const came = performance.now();
  const reply = (errno: number, body?: Buffer): void => {
    try {
      writevSync(device, fuse.formatReply(request.unique, errno, body));
    } catch (error) {
      // The request was given up.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  };
  const replyInTime = (length: number, errno: number, body?: Buffer): void => {
    heedBehaviour(served);
    const { bytesPerSecond, pulled } = medium.behaviour;
    const done = (): void => (medium.behaviour.pulled ? reply(EIO) : reply(errno, body));
    pace.take(came, length, pulled ? undefined : bytesPerSecond, done);
  };

  switch (request.operation) {
    case OPERATION.read: {
      const range = fuse.transferOf(request);
      const found = medium.read(range);
      return typeof found === 'number' ? replyInTime(range.length, found) : replyInTime(range.length, 0, found);
    }
    case OPERATION.write: {
      const bytes = fuse.writtenBy(request);
      const errno = medium.write(fuse.transferOf(request).offset, bytes);
      return replyInTime(bytes.length, errno, errno === 0 ? fuse.writeReply(bytes.length) : undefined);
    }
    case OPERATION.sync:
      medium.requests.push({ kind: 'flush', offset: 0, length: 0 });
      return replyInTime(0, 0);
    case OPERATION.allocate: {
      // Cards know no command that writes zeros: the kernel writes them itself then.
      const { mode, ...range } = fuse.allocationOf(request);
      if (mode !== fuse.PUNCH_HOLE) return reply(EOPNOTSUPP);
      void medium.discard(range).then(() => replyInTime(0, 0));
      return;
    }
    case OPERATION.start:
      return reply(0, fuse.startReply(request));
    case OPERATION.attributes:
    case OPERATION.changeAttributes:
      return reply(0, fuse.attributesReply(size()));
    case OPERATION.open:
      return reply(0, fuse.openReply());
    case OPERATION.statfs:
      // Where it fails, the loop device says from the start that it cannot discard. An error of a discard itself would not do: when it
      // says that this is not supported, the kernel reports success.
      return discards ? reply(0, fuse.statfsReply()) : reply(EIO);
    case OPERATION.release:
      return reply(0);
    case OPERATION.forget:
    case OPERATION.forgetMany:
    case OPERATION.interrupt:
    case OPERATION.destroy:
      return;
    default:
      reply(ENOSYS);
  }
}
