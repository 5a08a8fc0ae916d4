// A session whose machine is this computer: what checks ask runs here, with programs of the test's in front of its own.
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { run } from '../../src/host/exec.ts';
import type { Session } from '../../src/boot/session.ts';

/** Shell scripts as programs in `folder`, by name. */
export async function programs(folder: string, scripts: Record<string, string>): Promise<string> {
  await mkdir(folder, { recursive: true });
  for (const [name, script] of Object.entries(scripts)) {
    const file = path.join(folder, name);
    await writeFile(file, `#!/bin/sh\n${script}\n`);
    await chmod(file, 0o755);
  }
  return folder;
}

/** `folder`: programs that go before this computer's. */
export function localSession(folder = ''): Session {
  return {
    login: { port: 0, user: 'nobody', key: '' },
    async ask(command) {
      const { stdout, stderr, exitCode } = await run(['sh', '-c', command], {
        env: { PATH: `${folder}:${process.env.PATH}` },
        okCodes: Array.from({ length: 256 }, (_, code) => code),
      });
      return { status: exitCode, stdout, stderr };
    },
  };
}

/** A session whose machine says `stdout` to everything. */
export function sayingSession(stdout: string, status = 0): Session {
  return { login: { port: 0, user: 'nobody', key: '' }, ask: async () => ({ status, stdout, stderr: '' }) };
}

/** Time enough for any look. */
export const attempt = () => ({ seconds: 20, signal: AbortSignal.timeout(20_000) });
