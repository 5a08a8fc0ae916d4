// Does an HTTP address answer with the right status, body and JSON values?
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { answerIn, excerpt, hostPort, type HealthCheckOf, type Kind } from './kind.ts';

/** Bytes of a body that are read. */
const ENOUGH = 4 * 2 ** 20;

export const httpCheck: Kind<HealthCheckOf<'http'>> = {
  name: ({ port, path }) => `http port ${port} ${path}`,
  expected: ({ status, body, json = {} }) =>
    [
      `HTTP ${status}`,
      ...(body === undefined ? [] : [`with ${excerpt(body)}`]),
      ...Object.entries(json).map(([path, value]) => `${path} = ${JSON.stringify(value)}`),
    ].join(', '),

  async look(target, check, attempt) {
    const answer = await get(hostPort(target, check.port), check.port, check.path, answerIn(attempt));
    const http = `HTTP ${answer.status}`;
    if (answer.status !== check.status) return { ok: false, seen: `${http}, ${excerpt(answer.body)}` };
    if (check.body !== undefined && !answer.body.includes(check.body)) {
      return { ok: false, seen: `${http}, ${excerpt(answer.body)}` };
    }
    const wrong = check.json === undefined ? [] : differences(answer.body, check.json);
    return { ok: wrong.length === 0, seen: [http, ...wrong].join(', ') };
  },
};

/** Redirections are not followed: where they lead is not this machine's name. */
async function get(
  hostPort: number,
  port: number,
  path: string,
  signal: AbortSignal,
): Promise<{ status: number; body: string }> {
  // The server is to read the address that it has on the machine itself.
  const headers = { host: `127.0.0.1:${port}` };
  const asked = request({ host: '127.0.0.1', port: hostPort, path, headers, agent: false, signal }).end();
  const [response] = (await once(asked, 'response')) as [IncomingMessage];
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    size += chunk.length;
    if (size > ENOUGH) break;
  }
  return { status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString() };
}

type Json = string | number | boolean | null;

/** What a JSON body has at these paths where it is not the value asked for. */
function differences(body: string, wanted: Record<string, Json>): string[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch {
    return [`no JSON: ${excerpt(body)}`];
  }
  return Object.entries(wanted).flatMap(([path, value]) => {
    const found = valueAt(parsed, path);
    return found === value ? [] : [`${path} is ${found === undefined ? 'missing' : excerpt(JSON.stringify(found))}`];
  });
}

/** The value at `disk.free` or `nodes.0.name`; a key that itself has dots is found too. */
function valueAt(value: unknown, path: string): unknown {
  if (value === null || typeof value !== 'object') return undefined;
  const has = (key: string): boolean => Object.hasOwn(value, key);
  if (has(path)) return (value as Record<string, unknown>)[path];
  for (let dot = path.indexOf('.'); dot >= 0; dot = path.indexOf('.', dot + 1)) {
    const key = path.slice(0, dot);
    const found = has(key) ? valueAt((value as Record<string, unknown>)[key], path.slice(dot + 1)) : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}
