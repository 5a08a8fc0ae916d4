// An image on a web server: read as one file, however often the transfer is cut.
import { setTimeout as pause } from 'node:timers/promises';
import { EXIT, PiimgError } from '../../lib/errors.ts';
import { lastWords } from './damaged.ts';
import { type Answer, request, shownUrl } from './http.ts';

/** What tells whether a file on a server is still the same one. */
export interface Version {
  /** Bytes. */
  length?: number;
  etag?: string;
  modified?: string;
}

/** Milliseconds before each new attempt; with any progress they begin anew. */
const PAUSES = [500, 1000, 2000, 5000, 10_000, 20_000];

/** Looks at the first `length` bytes; `from` is who had them. Throws PiimgError naming URL and reason when the server does not have it or cannot be reached. */
export async function openUrl(
  url: string,
  length: number,
  signal: AbortSignal,
): Promise<{ beginning: Buffer; version: Version; from: string }> {
  const pieces: Buffer[] = [];
  let version: Version = {};
  let from = url;
  let size = 0;
  const onAnswer = (answer: Answer): void => {
    if (answer.status !== 200) throw refusal(url, answer);
    version = versionOf(answer);
    from = answer.url;
  };
  try {
    for await (const piece of request(url, 0, onAnswer, signal)) {
      pieces.push(piece);
      size += piece.length;
      if (size >= length) break;
    }
  } catch (error) {
    throw signal.aborted ? error : unreachable(url, error);
  }
  return { beginning: Buffer.concat(pieces).subarray(0, length), version, from };
}

/**
 * All of the file that `openUrl` has seen, from where it was then, `from`: a server that sends its visitors to mirrors may send each to
 * another one, with other words about the same file. Where it is no more, `url` is asked. A transfer that is cut is taken up where it was
 * cut. Throws PiimgError when that cannot be done: the server does not send parts of a file, has another file there by now, or cannot be
 * reached any more.
 */
export async function* urlBytes(
  url: string,
  version: Version,
  { signal, from = url, pauses = PAUSES }: { signal: AbortSignal; from?: string; pauses?: number[] },
): AsyncGenerator<Buffer> {
  let at = 0;
  let source = from;
  for (let tries = 0; ; tries++) {
    let failure: { error: unknown; final: boolean } | undefined;
    let answered = false;
    const onAnswer = (answer: Answer): void => {
      answered = true;
      const error = objection(url, version, answer, at);
      // An address for a while only.
      const gone = source !== url && answer.status >= 400 && answer.status !== 416;
      if (error) failure = { error, final: !isPassing(answer) && !gone };
      if (gone) source = url;
      if (error) throw error;
    };
    try {
      for await (const piece of request(source, at, onAnswer, signal)) {
        at += piece.length;
        tries = 0;
        yield piece;
      }
    } catch (error) {
      failure ??= { error, final: signal.aborted };
      // A mirror that is down.
      if (!answered) source = url;
    }
    if (failure?.final) throw failure.error;
    if (at === version.length || (failure === undefined && version.length === undefined)) return;
    const next = pauses[tries];
    if (next === undefined) throw cutOff(url, at, failure?.error);
    await pause(next, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}

/** Servers that are overloaded or restarted say so. */
const isPassing = ({ status }: Answer): boolean => status >= 500 || status === 429 || status === 408;

/** Why what the server sends is not what comes next. */
function objection(url: string, version: Version, answer: Answer, at: number): PiimgError | undefined {
  const expected = at === 0 ? 200 : 206;
  if (answer.status !== expected && answer.status !== 200 && answer.status !== 416) return refusal(url, answer);
  const now = versionOf(answer);
  const differs = (['length', 'etag', 'modified'] as const).some(
    (field) => version[field] !== undefined && now[field] !== undefined && version[field] !== now[field],
  );
  if (differs || answer.status === 416) {
    return new PiimgError(`${shownUrl(url)} has changed while it was read`, { hint: 'Run the command again.' });
  }
  if (answer.status === expected && (at === 0 || rangeOf(answer)?.start === at)) return undefined;
  return new PiimgError(`${shownUrl(url)} was cut off at byte ${at}, and its server cannot go on from there`, {
    hint: 'Download it by other means, then flash the file.',
  });
}

function versionOf(answer: Answer): Version {
  const { headers } = answer;
  const length = answer.status === 206 ? rangeOf(answer)?.total : numberOf(headers.get('content-length'));
  const [etag, modified] = [headers.get('etag'), headers.get('last-modified')];
  return { ...(length !== undefined && { length }), ...(etag && { etag }), ...(modified && { modified }) };
}

/** RFC 9110, 14.4: `bytes 42-1233/1234`, or `*` for a total that is not known. */
function rangeOf({ headers }: Answer): { start: number; total: number | undefined } | undefined {
  const [, start, total] = /^bytes (\d+)-\d+\/(\d+|\*)$/i.exec(headers.get('content-range') ?? '') ?? [];
  return start === undefined ? undefined : { start: Number(start), total: numberOf(total) };
}

const numberOf = (text: string | null | undefined): number | undefined =>
  text && /^\d+$/.test(text) ? Number(text) : undefined;

const refusal = (url: string, { line }: Answer): PiimgError =>
  new PiimgError(`${shownUrl(url)}: the server answers ${line}`, {
    hint: 'Check the address, in a browser for instance.',
  });

/** curl(1), EXIT CODES. */
const HINTS: [string, string][] = [
  ['(1)', 'It sends one on to what is no https, where nobody can vouch for the bytes: ask whose address it is.'],
  [
    '(60)',
    'If the server is your own, put the certificate of its CA into /usr/local/share/ca-certificates and run `sudo update-ca-certificates`.',
  ],
  ['', 'Check the address and the network. Proxies are those of the environment: https_proxy, http_proxy, no_proxy.'],
];

/** curl's own words, where they are what there is. */
function unreachable(url: string, error: unknown): unknown {
  if (!(error instanceof PiimgError) || error.exitCode !== EXIT.failed || error.detail === undefined) return error;
  const words = lastWords(error.detail, 'curl');
  const hint = HINTS.find(([code]) => words.includes(code))?.[1];
  return new PiimgError(`${shownUrl(url)} cannot be read: ${words}`, { ...(hint && { hint }), cause: error });
}

function cutOff(url: string, at: number, error: unknown): PiimgError {
  const words = error instanceof PiimgError ? (error.detail ? lastWords(error.detail, 'curl') : error.message) : '';
  return new PiimgError(
    `${shownUrl(url)} was cut off at byte ${at}, and going on failed several times${words && `: ${words}`}`,
    {
      hint: 'Run the command again when the network is better, or download it by other means, then flash the file.',
      cause: error,
    },
  );
}
