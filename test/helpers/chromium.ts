// A headless Chromium driven over its debugging pipe: opens a page as a person would and tells what went wrong on it.
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { dieWithParent } from '../../src/host/exec.ts';

export interface Screen {
  width: number;
  height: number;
  scheme: 'light' | 'dark';
  media?: 'screen' | 'print';
}

export interface Page {
  /** What an expression of the page's document is, as JSON carries it. */
  evaluate<T>(expression: string): Promise<T>;
  /** A PNG of the whole page. */
  screenshot(): Promise<Buffer>;
  /** Errors of scripts and of the console, and whatever the page asked for beside itself. */
  complaints: string[];
}

/** No answer of the browser takes longer, in milliseconds. */
const PATIENCE = 60_000;

type Call = (method: string, params?: object, session?: string) => Promise<Record<string, unknown>>;
type Event = { method: string; sessionId?: string; params: Record<string, never> };

/** Starts the browser for the time of `work`; it has no network and ends with this process. */
export async function withChromium<T>(
  work: (open: (file: string, screen: Screen) => Promise<Page>) => Promise<T>,
): Promise<T> {
  const profile = await mkdtemp(path.join(tmpdir(), 'piimg-chromium-'));
  const options = `
    --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --hide-scrollbars --no-first-run --disable-background-networking
    --proxy-server=127.0.0.1:9 --remote-debugging-pipe`;
  const [program = '', ...args] = dieWithParent([
    'chromium',
    ...options.trim().split(/\s+/),
    `--user-data-dir=${profile}`,
    'about:blank',
  ]);
  const browser = spawn(program, args, { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] });
  const ended = new Promise((resolve) => browser.once('close', resolve));
  const { call, listen } = connect(browser.stdio[3] as Writable, browser.stdio[4] as Readable);
  try {
    return await work((file, screen) => openPage(call, listen, file, screen));
  } finally {
    browser.kill('SIGKILL');
    await ended;
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** Messages are JSON, each ended by a zero byte. */
function connect(to: Writable, from: Readable): { call: Call; listen: (listener: (event: Event) => void) => void } {
  const waiting = new Map<
    number,
    (message: { error?: { message: string }; result: Record<string, unknown> }) => void
  >();
  const listeners: ((event: Event) => void)[] = [];
  let rest = '';
  let last = 0;
  from.setEncoding('utf8').on('data', (chunk: string) => {
    const messages = (rest + chunk).split('\0');
    rest = messages.pop() ?? '';
    for (const message of messages.map((text) => JSON.parse(text))) {
      if (message.id === undefined) listeners.forEach((listener) => listener(message));
      else waiting.get(message.id)?.(message);
    }
  });
  const call: Call = (method, params = {}, session) => {
    const id = ++last;
    to.write(`${JSON.stringify({ id, method, params, ...(session !== undefined && { sessionId: session }) })}\0`);
    const answer = new Promise<Record<string, unknown>>((resolve, reject) => {
      waiting.set(id, ({ error, result }) => {
        waiting.delete(id);
        if (error) reject(new Error(`${method}: ${error.message}`));
        else resolve(result);
      });
    });
    return inTime(method, answer);
  };
  return { call, listen: (listener) => void listeners.push(listener) };
}

async function inTime<T>(what: string, answer: Promise<T>): Promise<T> {
  const late = sleep(PATIENCE, undefined, { ref: false }).then(() => Promise.reject(new Error(`${what}: no answer`)));
  return Promise.race([answer, late]);
}

async function openPage(
  call: Call,
  listen: (listener: (event: Event) => void) => void,
  file: string,
  { width, height, scheme, media = 'screen' }: Screen,
): Promise<Page> {
  const { targetId } = await call('Target.createTarget', { url: 'about:blank' });
  const { sessionId } = (await call('Target.attachToTarget', { targetId, flatten: true })) as { sessionId: string };
  const ask: Call = (method, params) => call(method, params, sessionId);
  const url = pathToFileURL(file).href;
  const complaints: string[] = [];
  const loaded = new Promise<void>((resolve) =>
    listen(({ method, sessionId: from, params }) => {
      if (from !== sessionId) return;
      if (method === 'Page.loadEventFired') resolve();
      const complaint = complaintOf(method, params, url);
      if (complaint !== undefined) complaints.push(complaint);
    }),
  );
  for (const domain of ['Page', 'Runtime', 'Log', 'Network']) await ask(`${domain}.enable`);
  await ask('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile: width < 600 });
  await ask('Emulation.setEmulatedMedia', { media, features: [{ name: 'prefers-color-scheme', value: scheme }] });
  await ask('Page.navigate', { url });
  await inTime('loading', loaded);
  return {
    complaints,
    async evaluate(expression) {
      const answer = await ask('Runtime.evaluate', { expression, returnByValue: true, awaitPromise: true });
      if (answer['exceptionDetails']) throw new Error(JSON.stringify(answer['exceptionDetails']));
      return (answer['result'] as { value: never }).value;
    },
    async screenshot() {
      const { data } = await ask('Page.captureScreenshot', { captureBeyondViewport: true });
      return Buffer.from(data as string, 'base64');
    },
  };
}

/** What a developer would read in red, or see in the list of requests. Embedded data is no request. */
function complaintOf(method: string, params: Record<string, unknown>, page: string): string | undefined {
  if (method === 'Runtime.exceptionThrown' || method === 'Runtime.consoleAPICalled') return JSON.stringify(params);
  if (method === 'Log.entryAdded') return (params['entry'] as { text: string }).text;
  if (method === 'Network.requestWillBeSent') {
    const { url } = params['request'] as { url: string };
    if (url !== page && !url.startsWith('data:')) return `asks for ${url}`;
  }
  return undefined;
}
