// A machine definition (qemu/machines/NAME.yaml): how QEMU is told to be that machine, and what it cannot show.
import { access, constants } from 'node:fs/promises';
import type { z } from 'zod';
import { run } from '../host/exec.ts';
import { compareVersions } from '../host/requirements.mjs';
import { requireBootTools } from '../host/tools.ts';
import { EXIT, PiimgError } from '../lib/errors.ts';
import type { Language } from '../lib/yaml/load.ts';
import { loadNamed } from '../lib/yaml/named.ts';
import { machineJsonSchema, machineSchema } from './machine-schema.ts';

type MachineFile = z.output<typeof machineSchema>;
export type Machine = MachineFile & { name: string };
export type Accelerator = Machine['accelerators'][number];

const machineLanguage: Language<MachineFile> = {
  kind: 'machine',
  schema: machineSchema,
  jsonSchema: machineJsonSchema,
  least: 'what virt.yaml says, to begin with',
};

/** Reads a machine from the first of `dirs` that has it. Throws PiimgError (usage): unknown, or all that is wrong in the file. */
export async function loadMachine(name: string, dirs: string[]): Promise<Machine> {
  return loadNamed(name, dirs, machineLanguage);
}

/** Bytes of the card for an image of that size. */
export function cardSize({ card }: Machine, imageSize: number): number {
  const least = Math.max(card.least * 2 ** 20, imageSize);
  return card.sizes === 'any' ? least : 2 ** Math.ceil(Math.log2(least));
}

/** What of a machine that runs QEMU decides how its guests' processors may run. */
export interface Host {
  platform: NodeJS.Platform;
  arch: string;
  /** /dev/kvm is there and may be used. */
  kvm: boolean;
}

export async function thisHost(): Promise<Host> {
  const kvm = await access('/dev/kvm', constants.R_OK | constants.W_OK).then(
    () => true,
    () => false,
  );
  return { platform: process.platform, arch: process.arch, kvm };
}

/** QEMU's version. Throws PiimgError (missing tool) when there is no QEMU, or one that does not know the machine. */
export async function qemuFor(machine: Machine): Promise<string> {
  requireBootTools();
  const { stdout } = await run(['qemu-system-aarch64', '--version']);
  const version = /\d+(\.\d+)+/.exec(stdout)?.[0] ?? '0';
  if (compareVersions(version, machine.qemu) >= 0) return version;
  throw new PiimgError(`${machine.name} needs QEMU ${machine.qemu} or later; this is ${version}`, {
    exitCode: EXIT.missingTool,
    hint: 'Take another machine, or a newer QEMU (on Debian: from the backports).',
  });
}

/** The first accelerator of the machine that works there: KVM and HVF run processors of the host's own kind only. */
export function chooseAccelerator({ accelerators, name }: Machine, host: Host): Accelerator {
  const works = {
    kvm: host.platform === 'linux' && host.arch === 'arm64' && host.kvm,
    hvf: host.platform === 'darwin' && host.arch === 'arm64',
    tcg: true,
  };
  const chosen = accelerators.find((accelerator) => works[accelerator.name]);
  if (chosen !== undefined) return chosen;
  throw new Error(`${name} names no accelerator that works everywhere`);
}

/** What this machine does not show, with how its processors ran where nobody has tried that. */
export function notExercised({ notExercised: sentences }: Machine, { name, tried }: Accelerator): string[] {
  return [
    ...sentences,
    ...(tried ? [] : [`piimg itself was never tested with ${name.toUpperCase()}, which ran here.`]),
  ];
}
