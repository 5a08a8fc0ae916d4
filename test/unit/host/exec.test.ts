// Programs are started, read, ended and reported as exec.ts promises.
import { existsSync, readFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { dieWithParent, run } from '../../../src/host/exec.ts';
import { quote } from '../../../src/lib/quote.ts';
import { EXIT, PiimgError } from '../../../src/lib/errors.ts';

async function failure(work: Promise<unknown>): Promise<PiimgError> {
  try {
    await work;
  } catch (error) {
    if (error instanceof PiimgError) return error;
    throw error;
  }
  throw new Error('it should have failed');
}

test('collects output and hands over lines as they come', async () => {
  const lines: string[] = [];
  const result = await run(['sh', '-c', 'echo one; echo two; echo three >&2; printf four'], {
    onLine: (line, stream) => lines.push(`${stream} ${line}`),
  });
  assert.is(result.stdout, 'one\ntwo\nfour');
  assert.is(result.stderr, 'three');
  assert.equal(lines.sort(), ['stderr three', 'stdout four', 'stdout one', 'stdout two']);
});

test('reads input and environment, and can start from an empty one', async () => {
  assert.is((await run(['cat'], { input: 'ab' })).stdout, 'ab');
  const printed = await run(['env'], { env: { A: 'b' }, extendEnv: false });
  assert.equal(
    printed.stdout
      .split('\n')
      .map((line) => line.split('=')[0])
      .sort(),
    ['A', 'PATH'],
  );
});

test('without input stdin is empty, so nothing waits for a terminal', async () => {
  assert.is((await run(['cat'])).stdout, '');
});

test('a failure names the command, its status and its last 20 lines', async () => {
  const error = await failure(run(['sh', '-c', 'seq 30; exit 3', "it's"]));
  assert.is(error.message, `Command failed with status 3: sh -c 'seq 30; exit 3' 'it'\\''s'`);
  assert.is(error.exitCode, EXIT.failed);
  const detail = error.detail?.split('\n') ?? [];
  assert.equal([detail.length, detail[0], detail.at(-1)], [20, '11', '30']);
});

test('the guard of dieWithParent is left out of messages', async () => {
  const error = await failure(run(dieWithParent(['sh', '-c', 'exit 3'])));
  assert.is(error.message, `Command failed with status 3: sh -c 'exit 3'`);
});

test('statuses can be declared fine', async () => {
  assert.is((await run(['sh', '-c', 'exit 1'], { okCodes: [0, 1] })).exitCode, 1);
});

test('a missing program is exit code 4 and names its package', async () => {
  for (const command of [['bmaptool-absent'], dieWithParent(['bmaptool-absent'])]) {
    const error = await failure(run(command));
    assert.is(error.exitCode, EXIT.missingTool);
    assert.match(error.message, 'bmaptool-absent was not found');
  }
  const known = await failure(run(['/no/such/qemu-system-aarch64']));
  assert.match(known.hint ?? '', 'apt-get install qemu-system-arm');
});

test('a missing folder is not mistaken for a missing program', async () => {
  assert.match((await failure(run(['true'], { cwd: '/no/such' }))).message, 'folder /no/such does not exist');
});

test('an abort ends the program and counts as interrupted; a deadline counts as failed', async () => {
  const stop = new AbortController();
  const sleeping = run(['sleep', '60'], { signal: stop.signal });
  stop.abort();
  assert.is((await failure(sleeping)).exitCode, EXIT.interrupted);
  const late = await failure(run(['sleep', '60'], { signal: AbortSignal.timeout(50) }));
  assert.match(late.message, 'longer than it may: sleep 60');
});

test('a stream is handed over whole and never kept', async () => {
  const child = run(['head', '-c', '3000000', '/dev/zero'], { stdout: 'stream' });
  let size = 0;
  for await (const chunk of child.stdout) size += (chunk as Buffer).length;
  assert.is(size, 3_000_000);
  assert.is((await child).stdout, '');
});

test('an exception in onLine is the error one gets', async () => {
  const child = run(['echo', 'x'], {
    onLine: () => {
      throw new PiimgError('seen');
    },
  });
  assert.is((await failure(child)).message, 'seen');
});

test('dieWithParent: a SIGKILL of this process takes the program along; without it the program lives on', async () => {
  for (const dies of [true, false]) {
    const source = `
      import { run, dieWithParent } from ${JSON.stringify(new URL('../../../src/host/exec.ts', import.meta.url).href)};
      const command = ['sleep', '30'];
      console.log(String(run(${dies} ? dieWithParent(command) : command).pid));
      setInterval(() => {}, 1000);`;
    let pid = 0;
    const parent = run([process.execPath, '--import', 'tsx', '--input-type=module', '-e', source], {
      onLine: (line, stream) => {
        if (stream === 'stderr') return;
        pid = Number(line);
        parent.kill('SIGKILL');
      },
    });
    await failure(parent);
    assert.ok(pid > 0);
    await wait(200);
    assert.is(alive(pid), !dies);
    if (!dies) process.kill(pid);
  }
});

// A dead process nobody has waited for yet has an empty command line.
const alive = (pid: number) => existsSync(`/proc/${pid}`) && readFileSync(`/proc/${pid}/cmdline`).length > 0;

test('quote leaves plain words alone', () => {
  assert.is(quote(['a', 'b c', '/x=1', '']), `a 'b c' /x=1 ''`);
});

test.run();
