// `piimg boot`: an image in QEMU with its console in this terminal, on a throw-away card, and a login by ssh.
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { portsOf } from '../../boot/checks/health.ts';
import { chooseAccelerator, loadMachine, qemuFor, thisHost } from '../../boot/machine.ts';
import { freePorts } from '../../boot/ports.ts';
import { bootInTerminal } from '../../boot/qemu.ts';
import { TEST_USER } from '../../boot/seed-key.ts';
import { quote } from '../../lib/quote.ts';
import { makeWorkFolder } from '../../host/work-folder.ts';
import { EXIT, PiimgError } from '../../lib/errors.ts';
import { readBootImage } from '../boot-image.ts';
import { makeBench, requireRoomToRun } from '../boot-test.ts';
import type { BuildOptions } from '../build-options.ts';
import { createContext } from '../context.ts';
import { tell } from './output.ts';
import { built } from './test.ts';

export interface BootFlags extends Partial<Pick<BuildOptions, 'role' | 'base' | 'out' | 'offline' | 'mirror'>> {
  machine: string;
}

export async function boot(given: string | undefined, flags: BootFlags, signal: AbortSignal): Promise<void> {
  if (!process.stdin.isTTY) {
    throw new PiimgError('piimg boot needs a terminal: the console of the machine is shown there', {
      exitCode: EXIT.usage,
      hint: 'Without one, `piimg test` boots the image and reports.',
    });
  }
  const context = createContext(signal);
  const machine = await loadMachine(flags.machine, context.search.machineDirs);
  await qemuFor(machine);
  const accelerator = chooseAccelerator(machine, await thisHost());
  const image = await readBootImage(path.resolve(given ?? (await built(flags.role ?? '', flags, context))));
  await requireRoomToRun();
  const folder = await makeWorkFolder('boot');
  try {
    const {
      boot: files,
      card,
      key,
      warnings,
    } = await makeBench(image, machine, accelerator, {
      folder,
      signal,
      tell,
    });
    const ports = machine.network ? await freePorts([...new Set([22, ...portsOf(image.health)])]) : {};
    for (const warning of warnings) tell(`note: ${warning}`);
    tell(`${machine.title}, on a copy of the card that is thrown away. Ctrl-A X leaves, Ctrl-A C is QEMU's monitor.`);
    for (const [guest, host] of Object.entries(ports)) {
      tell(guest === '22' ? `ssh, once it is up: ${loginCommand(host, key.file)}` : `port ${guest}: 127.0.0.1:${host}`);
    }
    const consoleLog = path.join(folder, 'console.log');
    await bootInTerminal(machine, { accelerator, boot: files, card, consoleLog, ports }, signal);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** What a person types; the machine is thrown away, and so is its host key. */
function loginCommand(port: number, key: string): string {
  const unknown = ['-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null'];
  return quote(['ssh', '-i', key, '-p', String(port), ...unknown, `${TEST_USER}@127.0.0.1`]);
}
