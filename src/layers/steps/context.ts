// What every kind of layer needs to be made.
import type { Step } from '../../lib/progress.ts';
import type { Sandbox, SandboxRoot } from '../../sandbox/root.ts';
import type { Layer } from '../layer.ts';

export interface StepContext {
  sandbox: Sandbox;
  /** The layers below, lowest first. */
  below: Layer[];
  /** Where this layer's files go. */
  tree: string;
  work: string;
  /** A folder for this step's own files, removed afterwards. */
  scratch: string;
  /** The build's clock, seconds since 1970. */
  epoch: number;
  /** Path of a file of the user's or of a download, by digest. */
  file: (sha256: string) => string;
  step: Step;
  signal: AbortSignal | undefined;
  /** Opens a shell in the sandbox when a script of a package or of the role fails. */
  shellOnError: boolean;
}

/** The sandbox over the layers below, writing to this layer. */
export function rootOf(
  context: StepContext,
  overlay: SandboxRoot['overlay'],
): Omit<SandboxRoot, 'tools'> & { upper: { tree: string; work: string } } {
  return {
    lowers: context.below.map(({ dir }) => `${dir}/tree`),
    upper: { tree: context.tree, work: context.work },
    overlay,
  };
}

/** The environment of programs that may write a time into a file. */
export function clock(context: StepContext): Record<string, string> {
  return { SOURCE_DATE_EPOCH: String(context.epoch) };
}
