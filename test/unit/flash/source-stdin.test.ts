// Images that come through stdin, looked at by one thread and read by another one; a worker that is ended takes its programs along.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { run } from '../../../src/host/exec.ts';
import { deadline, flipped, image, output, packAll, put } from './source-helpers.ts';
import type { Report } from './source-in-worker.ts';

const script = fileURLToPath(new URL('source-in-worker.ts', import.meta.url));
const reader = [process.execPath, '--import', import.meta.resolve('tsx'), script];
const digest = (bytes: Uint8Array): [number, string] => [
  bytes.length,
  createHash('sha256').update(bytes).digest('hex'),
];

/** `sh -c SHELL` with the reader as its arguments. */
async function inShell(shell: string, file: string, ...words: string[]): Promise<Report> {
  const { stdout } = await run(['sh', '-c', `file=$0; ${shell}`, file, ...reader, ...words], { signal: deadline() });
  return JSON.parse(stdout) as Report;
}

const [raw = '', gz = '', xz = '', zst = '', zip = ''] = await packAll();
const whole = digest(image);

for (const [packing, file] of Object.entries({ none: raw, xz, zip })) {
  test(`${packing}: the beginning in one thread, all of it in another one`, async () => {
    const report = await inShell('cat "$file" | "$@"', file, '-');
    assert.equal(report.beginning, digest(image.subarray(0, 1_000_000)), JSON.stringify(report));
    assert.equal(report.whole, whole);
    assert.is(report.packing, packing);
    // The only kind with a header that tells.
    assert.is(report.size, packing === 'zip' ? image.length : undefined);
  });
}

test('a file as stdin, a slow pipe, a socket, and reading from a later byte on', async () => {
  assert.equal((await inShell('"$@" <"$file"', gz, '-')).whole, whole);
  const slow = '{ head -c 700 "$file"; sleep 0.3; tail -c +701 "$file"; } | "$@"';
  assert.equal((await inShell(slow, zst, '-')).whole, whole);
  assert.equal((await inShell('"$@" <"$file"', raw, '-', '4000000')).whole, digest(image.subarray(4_000_000)));
  // What node gives its children for stdin.
  const { stdout } = await run([...reader, '-'], { input: image, signal: deadline() });
  assert.equal((JSON.parse(stdout) as Report).whole, whole);
});

test('small images are all in what was looked at', async () => {
  const small = image.subarray(0, 5000);
  const report = await inShell('cat "$file" | "$@"', put('small.gz', await output(['gzip'], small)), '-');
  assert.equal([report.beginning, report.whole], [digest(small), digest(small)]);
});

test('nothing, and a stream that is cut off or damaged, are told', async () => {
  assert.is((await inShell('true | "$@"', gz, '-')).error, 'stdin is empty');
  for (const length of [1000, 4_000_000]) {
    const { error } = await inShell(`head -c ${length} "$file" | "$@"`, xz, '-');
    assert.is(error, 'stdin is damaged or cut off: xz: Unexpected end of input');
  }
  const bad = put('flipped', flipped(readFileSync(gz), 4_000_000));
  const { error } = await inShell('cat "$file" | "$@"', bad, '-');
  assert.match(error ?? '', /^stdin is damaged or cut off: gzip: /);
});

test('a worker that is ended while it waits for stdin ends at once, and its programs with it', async () => {
  // The pipe stays open after what it sends.
  const shell = '{ head -c 4000000 "$file"; exec sleep 4 2>/dev/null; } | "$@"';
  const { ended } = await inShell(shell, xz, '-', '0', 'stop');
  assert.ok(ended !== undefined && ended < 2000, `${ended}`);
  assert.equal(unpackersLeft(), []);
});

/** Programs that unpack and whose parent is gone. */
function unpackersLeft(): string[] {
  return readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid))
    .filter((pid) => /^PPid:\t1$/m.test(textOf(`/proc/${pid}/status`)))
    .map((pid) => textOf(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim())
    .filter((command) => /^(gzip|xz|zstd) -dc/.test(command));
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

test.run();
