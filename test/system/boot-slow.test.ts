// A machine without a fault that is only slow: `piimg test` waits, though its console is silent for longer than that of one that hangs.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { stringify } from 'yaml';
import type { BootReport } from '../../src/boot/report.ts';
import { run } from '../../src/host/exec.ts';
import { builtWeb, showDetail } from '../helpers/built.ts';
import { piimgCommand } from '../helpers/command.ts';

/** Seconds of silence after which an idle machine is one that hangs (src/boot/console.ts). */
const SILENCE = 120;

/** Process 1: keeps a processor busy before it becomes systemd. */
const INIT = `#!/bin/sh
timeout ${SILENCE + 30} sh -c 'while :; do :; done'
exec /usr/lib/systemd/systemd "$@"
`;

/** Longer than systemd waits for a device by itself: the boot partition comes late. */
const LATE = `[Service]
ExecStartPre=/usr/bin/sleep 100
`;

const ROLE = {
  version: 1,
  summary: 'Slow to start',
  extends: 'web',
  files: [
    { path: '/usr/sbin/init', mode: '0755', content: INIT },
    { path: '/etc/systemd/system/systemd-udev-trigger.service.d/late.conf', content: LATE },
  ],
};

/** Seconds between the last line of the kernel's before systemd and the first of systemd's, by the kernel's clock. */
function silenceBeforeSystemd(console: string): number {
  const stamped = [...console.matchAll(/\[ *(\d+\.\d{6})\] (systemd\[1\])?/g)];
  const first = stamped.findIndex(([, , systemd]) => systemd !== undefined);
  return Number(stamped[first]?.[1]) - Number(stamped[first - 1]?.[1]);
}

test('a machine that is busy says nothing for minutes, and is not taken for one that hangs; its boot partition comes late, and is its seed', async () => {
  const { cacheDir } = await builtWeb();
  const project = await mkdtemp(path.join(tmpdir(), 'piimg-slow-'));
  try {
    await mkdir(path.join(project, 'images/roles'), { recursive: true });
    await writeFile(path.join(project, 'images/roles/slow.yaml'), stringify(ROLE));
    const { stdout } = await run([...piimgCommand(), 'test', '--role', 'slow', '--json'], {
      cwd: project,
      env: { PIIMG_CACHE: cacheDir },
      signal: AbortSignal.timeout(30 * 60_000),
    }).catch(showDetail);
    const { passed, tests } = JSON.parse(stdout) as { passed: boolean; tests: { report: BootReport }[] };
    assert.is(passed, true);
    const silence = silenceBeforeSystemd(tests[0]?.report.boots[0]?.console ?? '');
    assert.ok(silence > SILENCE, `silent for ${silence} s only`);
  } finally {
    await rm(project, { recursive: true });
  }
});

test.run();
