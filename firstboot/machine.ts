// The machine as steps see it: its root, and the programs they run on it.
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { quote } from '../src/lib/quote.ts';
import { Problem } from './problem.ts';

export interface RunOptions {
  input?: string;
  /** Milliseconds after which the program and its children are killed. */
  timeout?: number;
  /** Exit statuses that are no failure; [0] by default. */
  okCodes?: number[];
}

export interface Ran {
  stdout: string;
  code: number;
  /** The last lines of all that it printed. */
  output: string;
}

export interface Machine {
  /** `/`, or a test's own. */
  root: string;
  /** A path of the machine below its root. */
  at(file: string): string;
  /** Throws Problem: the command, its status, its last lines. */
  run(command: string[], options?: RunOptions): Promise<Ran>;
  /** Runs a shell script that nobody finds in the list of processes: it may hold secrets. */
  script(script: string, options?: RunOptions): Promise<Ran>;
}

/** Lines of output that are told. */
const TAIL = 20;
/** Bytes of output that are kept: what a program prints must not fill the memory of a small machine. */
const KEPT = 64 * 1024;
/** Longer than any program but a `command` step's takes: a server that does not answer must not hold up the boot for ever. */
const PATIENCE = 10 * 60_000;

export function machineAt(root: string): Machine {
  const machine: Machine = {
    root,
    at: (file) => path.join(root, file),
    run: (command, options) => start(command, options),
    async script(script, options) {
      const folder = machine.at('run/piimg');
      await mkdir(folder, { recursive: true, mode: 0o700 });
      // On a file system in memory: gone with the power.
      const own = await mkdtemp(path.join(folder, 'script-'));
      try {
        await writeFile(path.join(own, 'script'), script, { mode: 0o600 });
        return await start(['sh', '-eu', path.join(own, 'script')], options);
      } finally {
        await rm(own, { recursive: true, force: true });
      }
    },
  };
  return machine;
}

/**
 * The same machine; `tell` gets a line for each program that is run on it, and those that it prints, unless it was given its input:
 * a database's answer is nobody else's. `mask` takes secrets out of a text: one may go over several lines.
 */
export function telling(machine: Machine, tell: (line: string) => void, mask: (text: string) => string): Machine {
  const told = async (what: string, running: Promise<Ran>, shown = true): Promise<Ran> => {
    tell(`$ ${what}`);
    const ran = await running;
    if (shown && ran.output !== '') for (const line of mask(ran.output).split('\n')) tell(`| ${line}`);
    return ran;
  };
  return {
    ...machine,
    run: (command, options) => told(quote(command), machine.run(command, options), options?.input === undefined),
    script: (script, options) => told('the script', machine.script(script, options)),
  };
}

type Child = ChildProcessByStdio<Writable | null, Readable, Readable>;

function start(command: string[], { input = '', timeout = PATIENCE, okCodes = [0] }: RunOptions = {}): Promise<Ran> {
  const [program = '', ...args] = command;
  return new Promise((resolve, reject) => {
    // A group of its own, so that a script's children end with it.
    // A pipe that nobody writes to costs a Pi more than the program.
    const stdin = input === '' ? 'ignore' : 'pipe';
    const child = spawn(program, args, { stdio: [stdin, 'pipe', 'pipe'], detached: true }) as Child;
    let stdout = '';
    let all = '';
    const keep = (text: string, more: string): string => (text + more).slice(-KEPT);
    // A letter of several bytes may come in two pieces.
    for (const pipe of [child.stdout, child.stderr]) pipe.setEncoding('utf8');
    child.stdout.on('data', (text: string) => ((stdout = keep(stdout, text)), (all = keep(all, text))));
    child.stderr.on('data', (text: string) => (all = keep(all, text)));
    child.stdin?.on('error', () => {});
    child.stdin?.end(input);
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      try {
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
      } catch {
        // It has just ended by itself.
      }
    }, timeout);
    const output = (): string => all.trimEnd().split('\n').slice(-TAIL).join('\n');
    const fail = (message: string, hint?: string): void =>
      reject(new Problem(message, { output: output(), ...(hint !== undefined && { hint }) }));
    child.on('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      if (error.code === 'ENOENT')
        fail(`${program} is not installed`, `The role has to bring the package with ${program}.`);
      else fail(`${quote(command)} could not be started: ${error.message}`);
    });
    // A service that a script has started keeps the pipes open for as long as it runs.
    let leave: NodeJS.Timeout | undefined;
    child.on('exit', () => {
      leave = setTimeout(() => [child.stdout, child.stderr].forEach((pipe) => pipe.destroy()), DRAIN);
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      clearTimeout(leave);
      const told = path.basename(args.at(-1) ?? '') === 'script' ? 'the script' : quote(command);
      if (late) fail(`${told} took longer than ${timeout / 1000} seconds`);
      else if (code !== null && okCodes.includes(code)) resolve({ stdout, code, output: output() });
      else fail(`${told} ended with ${signal ?? `status ${code}`}`);
    });
  });
}

/** Milliseconds that what a program printed last takes to arrive. */
const DRAIN = 500;
