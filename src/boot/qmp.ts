// QEMU's control protocol (QMP) over a pair of streams: one command at a time, its answer, or the error it says.
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { PiimgError } from '../lib/errors.ts';

/** Sends a command and resolves with what it returns. Throws PiimgError when QEMU refuses it, or ends before it answers. */
export type Qmp = (command: string, args?: Record<string, unknown>) => Promise<unknown>;

interface Answer {
  id?: number;
  return?: unknown;
  error?: { desc: string };
}

/** What QEMU tells unasked. */
export interface QmpEvent {
  event: string;
  data?: unknown;
}

/** `input` is what QEMU reads, `output` what it writes. The first command waits until QEMU is there. */
export function openQmp(input: Writable, output: Readable, onEvent?: (event: QmpEvent) => void): Qmp {
  const waiting = new Map<number, (answer: Answer) => void>();
  const gone: Answer = { error: { desc: 'QEMU has ended' } };
  let over = false;
  const lines = createInterface({ input: output });
  lines.on('line', (line) => {
    const said = JSON.parse(line) as Answer | QmpEvent;
    if ('event' in said) onEvent?.(said);
    // A greeting has no id.
    else if (said.id !== undefined) waiting.get(said.id)?.(said);
  });
  lines.on('close', () => {
    over = true;
    for (const settle of waiting.values()) settle(gone);
  });

  let sent = 0;
  const send: Qmp = async (command, args) => {
    const id = ++sent;
    const answer = await new Promise<Answer>((settle) => {
      if (over) return settle(gone);
      waiting.set(id, settle);
      input.write(`${JSON.stringify({ execute: command, ...(args && { arguments: args }), id })}\n`);
    });
    waiting.delete(id);
    if (answer.error !== undefined) throw new PiimgError(`QEMU refused ${command}: ${answer.error.desc}`);
    return answer.return;
  };
  // QEMU takes commands in the order they come, so nothing has to wait for this one.
  send('qmp_capabilities').catch(() => {});
  return send;
}
