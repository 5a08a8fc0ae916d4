// Commands of piimg in the project that uses all of the role language, started as its user would.
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import * as assert from 'uvu/assert';
import { cacheFolder } from '../../src/cli/context.ts';
import { run, type RunResult } from '../../src/host/exec.ts';
import type { ImageManifest } from '../../src/image/manifest.ts';
import { showDetail } from './built.ts';
import { piimgCommand } from './command.ts';
import type { Kitchen } from './kitchen-sink.ts';

export const PIIMG_CACHE = cacheFolder(process.env);

export interface Ran extends RunResult {
  lines: string[];
}

/** A command as its user would start it: npm's settings are those of the home, not of the npm that runs this test. */
export async function start(argv: string[], cwd: string, home?: string): Promise<Ran> {
  const env = Object.entries({
    ...process.env,
    PIIMG_CACHE,
    FORCE_COLOR: '0',
    ...(home !== undefined && { HOME: home }),
  });
  const lines: string[] = [];
  const result = await run(argv, {
    cwd,
    extendEnv: false,
    env: Object.fromEntries(env.flatMap(([name, value]) => (/^npm_/i.test(name) ? [] : [[name, value ?? '']]))),
    okCodes: [0, 1, 2],
    signal: AbortSignal.timeout(10 * 60_000),
    onLine: (line) => lines.push(line),
  }).catch(showDetail);
  return { ...result, lines };
}

export const piimg = (args: string[], { project, home }: Kitchen): Promise<Ran> =>
  start([...piimgCommand(), ...args], project, home);

export async function mustBuild(role: string, kitchen: Kitchen): Promise<void> {
  const built = await piimg(['build', '--role', role, '--progress', 'log'], kitchen);
  assert.is(built.exitCode, 0, built.lines.join('\n'));
}

/** Title → `KEY reused` or `KEY to be built`, of the layers a build would make. */
export async function plannedLayers(role: string, kitchen: Kitchen): Promise<Map<string, string>> {
  const { stdout, lines, exitCode } = await piimg(['plan', '--role', role], kitchen);
  assert.is(exitCode, 0, lines.join('\n'));
  const rows = stdout.split('\n').flatMap((line) => {
    const [, title = '', state = ''] = /^(.*\S) +([0-9a-f]{12} +(?:reused|to be built))$/.exec(line) ?? [];
    return title === '' ? [] : [[title, state] as const];
  });
  assert.ok(rows.length > 10, stdout);
  return new Map(rows);
}

/** Titles of the layers that a changed project makes anew. */
export const toBuild = (layers: Map<string, string>): string[] =>
  [...layers].filter(([, state]) => state.endsWith('to be built')).map(([title]) => title);

/** What a build has left beside the image of a role. */
export async function readManifest(project: string, role: string): Promise<ImageManifest> {
  return JSON.parse(await readFile(path.join(project, `out/${role}.manifest.json`), 'utf8')) as ImageManifest;
}

/** How often the server was asked for a path. */
export const count = ({ requests }: Kitchen, name: string): number =>
  requests.filter((one) => one.path === name).length;
