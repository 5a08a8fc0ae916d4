// Does a TCP port answer, with bytes of its protocol?
import { firstBytes } from '../first-bytes.ts';
import { answerIn, excerpt, hostPort, type HealthCheckOf, type Kind } from './kind.ts';

export const tcpCheck: Kind<HealthCheckOf<'tcp'>> = {
  name: ({ port }) => `port ${port}`,
  expected: ({ expect }) => (expect === undefined ? 'an answer' : `an answer with ${excerpt(expect)}`),

  async look(target, { port, send, expect }, attempt) {
    const text = await firstBytes(hostPort(target, port), {
      ...(send !== undefined && { send }),
      ...(expect !== undefined && { expect }),
      signal: answerIn(attempt),
    });
    return { ok: expect === undefined || text.includes(expect), seen: `it said ${excerpt(text)}` };
  },
};
