// What every kind of layer needs to be made.
import type { Guard } from '../guard.ts';
import type { Step } from '../../lib/progress.ts';
import type { Sandbox, SandboxRoot } from '../../sandbox/root.ts';
import type { LayerEntry } from '../layer.ts';

/** A layer one builds upon. */
export interface LowerLayer {
  /** Its files, complete. */
  tree: string;
  /** Its index, which may still be in the making. */
  entries: Promise<LayerEntry[]>;
}

export interface StepContext {
  sandbox: Sandbox;
  /** The layers below, lowest first. */
  below: LowerLayer[];
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
  /** Nothing may be fetched. */
  offline: boolean;
  /** npm's cache: a folder of piimg's own, so that what one build has fetched is there for later ones. */
  npmCache: string;
  /** The file of the role that is built, for messages. */
  roleFile: string;
  /** Sees what the layer's tar cannot show it: files inside an initramfs. */
  guard: Guard;
}

/** The sandbox over the layers below, writing to this layer. */
export function rootOf(
  context: StepContext,
  overlay: SandboxRoot['overlay'],
): Omit<SandboxRoot, 'tools'> & { upper: { tree: string; work: string } } {
  return {
    lowers: context.below.map(({ tree }) => tree),
    upper: { tree: context.tree, work: context.work },
    overlay,
  };
}

/** The environment of programs that may write a time into a file. */
export function clock(context: StepContext): Record<string, string> {
  return { SOURCE_DATE_EPOCH: String(context.epoch) };
}
