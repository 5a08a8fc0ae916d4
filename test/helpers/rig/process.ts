// The process that is a card: it serves a file by FUSE, over which lies a loop device. Started by talk.ts, with root's rights, in a mount
// namespace of its own; ends, and takes all of it along, when its stdin does.
import { spawn } from 'node:child_process';
import { openSync, readFileSync, truncateSync, writeSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { Behaviour, CardCommand, CardStart, CardState } from './behaviour.ts';
import { openMedium } from './medium.ts';
import { openPace } from './pace.ts';
import { heedBehaviour, serve, type Served } from './serve.ts';

const start = JSON.parse(process.argv[2] ?? '') as CardStart;
const backing = path.join(start.folder, 'backing');
const mountPoint = path.join(start.folder, 'card');
let { size } = start;
const served: Served = {
  medium: openMedium(backing),
  pace: openPace(),
  size: () => size,
  discards: start.behaviour.discards !== 'refused',
};
const { medium } = served;

const say = (more: Omit<CardState, 'requests'> = {}): void =>
  void writeSync(1, `${JSON.stringify({ requests: medium.requests, ...more })}\n`);

/** By SIGKILL: whatever the kernel still waits for fails with EIO then; a thread that waits for the kernel would hold up any other end. */
function end(): void {
  process.kill(process.pid, 'SIGKILL');
}

function fail(error: unknown): void {
  say({ error: error instanceof Error ? String(error.stack) : String(error) });
  end();
}

/** Runs a program that must do well, without this process standing still: what it does may need an answer of ours. */
function tool(command: string[], device?: number): Promise<void> {
  const [program = '', ...args] = command;
  const stdio = ['ignore', 'ignore', 2, ...(device === undefined ? [] : [device])] as const;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: [...stdio] });
    child.on('error', reject);
    child.on('close', (code) =>
      code === 0 ? resolve() : reject(new Error(`${command.join(' ')} ended with status ${code}`)),
    );
  });
}

/**
 * Makes the loop device, and holds it open: so it can be one that goes when its last user does. In a process of its own, as this one would
 * wait for itself at its end: closing the device writes what is left. It sees our end, however and whenever that comes, by its stdin, and
 * puts away what would be left then.
 */
const HOLD = `
trap '' INT TERM HUP
folder=$1; shift
loop=$(losetup --find --show --direct-io=on "$@")
exec 3<"$loop"
losetup --detach "$loop"
echo "$loop"
cat >/dev/null
while read -r swap _; do
  case $swap in "$loop" | "$loop"p*) swapoff "$swap" || : ;; esac
done </proc/swaps
umount --lazy "$folder/card" 2>/dev/null || :
rm -rf --one-file-system "$folder"
`;

function hold(file: string): Promise<string> {
  const holder = spawn('sh', ['-euc', HOLD, 'sh', start.folder, ...start.loop, file], { stdio: ['pipe', 'pipe', 2] });
  return new Promise((resolve, reject) => {
    holder.stdout?.once('data', (line: Buffer) => resolve(line.toString().trim()));
    holder.once('close', () => reject(new Error(`there is no loop device over ${file}`)));
  });
}

async function attach(): Promise<string> {
  if (!start.plain) {
    const device = openSync('/dev/fuse', 'r+');
    serve(device, served, end);
    const options = 'fd=3,rootmode=100000,user_id=0,group_id=0,allow_other';
    await tool(['mount', '-i', '-t', 'fuse', '-o', options, 'rig', mountPoint], device);
  }
  const loop = await hold(start.plain ? backing : mountPoint);
  const fact = (name: string): string => readFileSync(`/sys/block/${path.basename(loop)}/loop/${name}`, 'utf8').trim();
  if (fact('autoclear') !== '1') throw new Error(`${loop} would outlive its card`);
  if (fact('dio') !== '1') throw new Error(`${loop} has no direct I/O: what is read may not come from the card`);
  return loop;
}

/** The loop asks the file for its size anew; the kernel has to be told of that first. */
async function resize(loop: string, to: number): Promise<void> {
  size = to;
  if (start.plain) truncateSync(backing, to);
  else await tool(['stat', mountPoint]);
  await tool(['losetup', '--set-capacity', loop]);
}

function behave(change: Behaviour): void {
  medium.behaviour = { ...medium.behaviour, ...change };
  heedBehaviour(served);
}

async function obey(loop: string, command: CardCommand): Promise<void> {
  if ('resize' in command) await resize(loop, command.resize);
  if ('behave' in command) behave(command.behave);
}

process.on('uncaughtException', fail);
setTimeout(end, start.seconds * 1000);
// It is a good card until it is a block device: the kernel reads it to make it one.
const loop = await attach().catch(fail);
if (loop !== undefined) {
  behave(start.behaviour);
  medium.requests.length = 0;
  say({ loop, pid: process.pid });
  for await (const line of createInterface({ input: process.stdin })) {
    await obey(loop, JSON.parse(line) as CardCommand).then(
      () => say(),
      (error: unknown) => say({ error: String(error) }),
    );
  }
}
end();
