// One request by curl: what the server answers, then the bytes. curl knows the system's proxies and certificates.
import { Readable } from 'node:stream';
import { PiimgError } from '../../lib/errors.ts';
import { type Pieces, piecesOf } from './pieces.ts';
import { programBytes } from './program.ts';

export interface Answer {
  /** Who answered: what was asked for may only say where to go on. */
  url: string;
  status: number;
  /** `404 Not Found`. */
  line: string;
  headers: Headers;
}

/** Seconds until a connection stands, and without a byte until it counts as cut. */
const PATIENCE = 30;

/** A server's headers have a few hundred bytes. */
const LONGEST_HEAD = 1 << 18;

/**
 * What the server sends from byte `from` on; `onAnswer` sees its answer first, and ends the request by throwing. Throws PiimgError with
 * curl's words as `detail` when it cannot be reached or the transfer is cut; what aborted `signal`.
 */
export async function* request(
  url: string,
  from: number,
  onAnswer: (answer: Answer) => void,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const bytes = programBytes(curl(url, from), { input: () => Readable.from([Buffer.from(configOf(url))]), signal });
  try {
    const pieces = piecesOf(bytes);
    onAnswer(await readAnswer(pieces, url));
    yield* pieces.upTo(Infinity);
  } finally {
    await bytes.return(undefined);
  }
}

/** For messages and records: without name and password of whoever may read it. */
export const shownUrl = (url: string): string => url.replace(/^(https?:\/\/)[^/?#]*@/i, '$1');

function curl(url: string, from: number): string[] {
  // Whoever says https wants no other: the bytes are written to a card as they are.
  const protocols = /^https:/i.test(url) ? '=https' : '=http,https';
  const shown = '--silent --show-error --include --suppress-connect-headers';
  const hops = `--globoff --location --max-redirs 10 --proto =http,https --proto-redir ${protocols}`;
  const patience = `--connect-timeout ${PATIENCE} --speed-limit 1 --speed-time ${PATIENCE}`;
  const range = from > 0 ? ['--range', `${from}-`] : [];
  return ['curl', ...[shown, hops, patience].flatMap((words) => words.split(' ')), ...range, '--config', '-'];
}

/** curl(1), --config. Not among its arguments, where everybody on this computer could read a password in it. */
const configOf = (url: string): string => `url = "${url.replaceAll(/["\\]/g, '\\$&')}"\n`;

/** The last of the answers that curl prints: those before say where to go on, or to wait. */
async function readAnswer(pieces: Pieces, url: string): Promise<Answer> {
  for (let from = url; ;) {
    const head = await readHead(pieces);
    const [first = '', ...fields] = head.split('\r\n');
    const [, line = '', status = ''] = /^HTTP\/[\d.]+ ((\d{3}).*)$/.exec(first) ?? [];
    if (line === '') throw new PiimgError(`${shownUrl(url)}: what answers there is no web server`);
    const answer = { url: from, status: Number(status), line: line.trim(), headers: parseHeaders(fields) };
    const passing =
      answer.status < 200 || (answer.status >= 300 && answer.status < 400 && answer.headers.has('location'));
    if (!passing) return answer;
    from = nextUrl(from, answer.headers.get('location') ?? '');
  }
}

/** As curl goes on (RFC 9110, 10.2.2): with name and password on the same host only. */
function nextUrl(from: string, location: string): string {
  if (!URL.canParse(location, from)) return from;
  const [before, next] = [new URL(from), new URL(location, from)];
  if (next.host === before.host && next.username === '') {
    next.username = before.username;
    next.password = before.password;
  }
  return next.href;
}

/** Up to the empty line. At the end, why there is none is thrown by curl. */
async function readHead(pieces: Pieces): Promise<string> {
  for (let length = 1024; ; length *= 2) {
    const bytes = await pieces.peek(length);
    const end = bytes.indexOf('\r\n\r\n');
    if (end >= 0) return (await pieces.take(end + 4)).toString('latin1', 0, end);
    if (bytes.length < length || length > LONGEST_HEAD) return '';
  }
}

function parseHeaders(fields: string[]): Headers {
  const headers = new Headers();
  for (const field of fields) {
    const [, name = '', value = ''] = /^([\w-]+):\s*(.*)$/.exec(field) ?? [];
    if (name !== '') headers.append(name, value);
  }
  return headers;
}
