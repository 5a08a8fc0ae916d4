// A machine's root in a temporary folder, on which the first-boot agent's bundle works as it does on a Pi; programs that need a running
// system (systemctl, nft, …) are stand-ins that write down how they were called.
import { rmSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import * as assert from 'uvu/assert';
import { bundleAgent } from '../../src/host/bundle-agent.mjs';
import { machineAt, type Machine } from '../../firstboot/machine.ts';
import { pathsBelow, type Paths } from '../../firstboot/paths.ts';
import type { Result } from '../../src/lib/first-boot.ts';
import { run } from '../../src/host/exec.ts';
import { provisionStep } from '../../src/role/schema/provision.ts';
import { minimalSeed } from '../../src/seed/minimal.ts';

export const BUILD_ID = 'c0ffee'.repeat(10) + 'cafe';

export interface Root {
  dir: string;
  paths: Paths;
  machine: Machine;
  write(file: string, content: string, mode?: number): Promise<void>;
  read(file: string): Promise<string>;
  /** Puts a stand-in for a program on the PATH: a shell script. */
  program(name: string, script: string): Promise<void>;
  /** How the stand-ins were called, a line each. */
  calls(): Promise<string[]>;
  /** The role's steps, as the build writes them. */
  role(provision: object[], variables?: Record<string, unknown>): Promise<void>;
  /** The node document's fields, but for version and build id. */
  document(fields: object): Promise<void>;
  /** The agent's whole run; `around` is a shell script that may mount something, for this run only. */
  boot(around?: string): Promise<{ result: Result; log: string[] }>;
  /** What the unit does when its agent was killed: `how` as systemd calls it. */
  ended(how: string): Promise<{ log: string[] }>;
}

/** The agent as images get it, made anew from the sources. */
const agent = (async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'piimg-agent-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  const file = path.join(folder, 'piimg-firstboot');
  await bundleAgent(file);
  return file;
})();

/** It changes owners: an ordinary user may do so in a namespace of its own. */
const AS_ROOT = process.getuid?.() === 0 ? [] : ['unshare', '--user', '--map-root-user'];
const LIMIT = 60_000;

const UNIT_STATE = 'LoadState=loaded\\nActiveState=active\\nUnitFileState=enabled\\nType=simple\\nResult=success\\n';

/** Makes a root for the time of `work`. Programs are looked for among its stand-ins first. */
export async function withRoot(work: (root: Root) => Promise<void>): Promise<void> {
  const dir = await mkdtemp(path.join(tmpdir(), 'piimg-first-boot-'));
  const { PATH = '' } = process.env;
  const bin = path.join(dir, 'stand-ins');
  // An ordinary user has no programs of root in PATH; a service of systemd has.
  process.env.PATH = `${bin}:${PATH}:/usr/sbin:/sbin`;
  const paths = pathsBelow(dir);
  const write = async (file: string, content: string, mode = 0o644): Promise<void> => {
    await mkdir(path.dirname(path.join(dir, file)), { recursive: true });
    await writeFile(path.join(dir, file), content);
    await chmod(path.join(dir, file), mode);
  };
  const read = (file: string): Promise<string> => readFile(path.join(dir, file), 'utf8');
  const root: Root = {
    dir,
    paths,
    machine: machineAt(dir),
    write,
    read,
    program: (name, script) =>
      write(`stand-ins/${name}`, `#!/bin/sh\necho "${name} $*" >>'${dir}/calls'\n${script}\n`, 0o755),
    calls: async () => (await read('calls').catch(() => '')).split('\n').filter(Boolean),
    role: (provision, variables = {}) =>
      write(
        'usr/lib/piimg/role.json',
        JSON.stringify({ role: 'web', variables, provision: provision.map((step) => provisionStep.parse(step)) }),
      ),
    document: (fields) =>
      write(
        'boot/firmware/piimg.json',
        JSON.stringify({ version: 1, buildId: BUILD_ID, ...fields }).padEnd(4096, '\n'),
      ),
    async boot(around) {
      const command = [process.execPath, await agent, 'run', dir];
      const alone = ['unshare', ...AS_ROOT.slice(1), '--mount', 'sh', '-euc', `${around}\nexec "$@"`, 'sh'];
      const { stdout, stderr } = await run([...(around === undefined ? AS_ROOT : alone), ...command], {
        okCodes: [0, 1],
        signal: AbortSignal.timeout(LIMIT),
      });
      const result = JSON.parse(await read('var/lib/piimg/result.json').catch(() => '{}')) as Result;
      return { result, log: `${stdout}${stderr}`.split('\n').filter(Boolean) };
    },
    async ended(how) {
      const { stdout } = await run([...AS_ROOT, process.execPath, await agent, 'ended', how, dir]);
      return { log: stdout.split('\n').filter(Boolean) };
    },
  };
  try {
    for (const { name, content } of minimalSeed(BUILD_ID)) await write(`boot/firmware/${name}`, content.toString());
    await write('boot/firmware/piimg-result.json', '\n'.repeat(16384));
    await write('usr/lib/piimg/image.json', JSON.stringify({ version: 1, role: 'web', buildId: BUILD_ID }));
    await write('etc/hostname', 'raspberrypi\n');
    await write('etc/passwd', 'root:x:0:0:root:/root:/bin/bash\n');
    await write('etc/group', 'root:x:0:\n');
    await write('etc/hosts', '127.0.0.1 localhost\n');
    await write('etc/fstab', 'PARTUUID=1-02 / ext4 defaults 0 1\n');
    // The real one waits for whatever this computer is writing; what it is for, the power tests show.
    await root.program('sync', '');
    await root.program('systemctl', `case "$1" in show) printf '${UNIT_STATE}' ;; esac`);
    await root.role([]);
    await work(root);
  } finally {
    process.env.PATH = PATH;
    await rm(dir, { recursive: true, force: true });
  }
}

/** Boots with these steps; each must end as `state`. */
export async function becomes(root: Root, steps: object[], state: 'applied' | 'unchanged'): Promise<void> {
  await root.role(steps);
  const { result } = await root.boot();
  assert.is(result.status, 'applied', JSON.stringify(result.failure));
  for (const step of result.steps) assert.is(step.state, state, step.name);
}

/** Boots with these steps; the first failure. */
export async function fails(root: Root, steps: object[]): Promise<{ message: string; hint?: string; output?: string }> {
  await root.role(steps);
  const { result } = await root.boot();
  assert.is(result.status, 'failed');
  return result.failure ?? { message: '' };
}

/** What the result on the boot partition says. */
export const statusOnBoot = async (root: Root): Promise<string> =>
  (JSON.parse(await root.read('boot/firmware/piimg-result.json')) as { status: string }).status;
