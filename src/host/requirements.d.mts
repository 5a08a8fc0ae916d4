// Types of requirements.mjs, which stays plain JavaScript because set-up runs before there is a compiler.

/** What a tool is needed for. */
export type Purpose = 'build' | 'boot' | 'seed' | 'flash' | 'test' | 'bench';

/** A row of tools.json. */
export interface ToolRow {
  /** Program looked up in PATH, or the absolute path of a file. */
  name: string;
  /** Completes "needed to …". */
  reason: string;
  /** Debian package; null when Debian's is not the one to install, then `hint` says what is. */
  package: string | null;
  hint?: string;
  /** Arguments that make it print its version; the first dotted number in its output is taken. */
  version?: string[];
  minimum?: string;
  for: Purpose[];
  /** For these root does not need it. Tests do: root's become another user. */
  unlessRoot?: Purpose[];
}

export interface ToolCheck {
  ok: boolean;
  path?: string;
  version?: string;
}

export const tools: ToolRow[];
export const minimumNode: string;
export function searchPath(env?: NodeJS.ProcessEnv): string;
export function findProgram(name: string, folders?: string): string | undefined;
export function neededFor(row: ToolRow, isRoot?: boolean): Purpose[];
export function toolsFor(purposes: readonly Purpose[], isRoot?: boolean, table?: ToolRow[]): ToolRow[];
export function packagesOf(rows: ToolRow[]): string[];
export function compareVersions(a: string, b: string): number;
export function checkTool(row: ToolRow, folders?: string): ToolCheck;
export function hasSubIds(text: string, user: string, uid: number): boolean;
export function highestId(): number;
export function freeSubIdRange(text: string): string;
/** Something a person has to see to. */
type ByHand = Pick<ToolRow, 'name' | 'reason' | 'hint'>;
export function namelessUser(ask?: () => { username: string }): ByHand | undefined;
export function missingSubIds(ask?: () => { username: string }): string[];
export function missingEmulation(): string[];
export function kernelVersion(): string;
export function missingFor(purposes: readonly Purpose[]): { packages: string[]; subIds: string[]; byHand: ByHand[] };
export function asRoot(): string[] | undefined;
export function repair(
  packages: string[],
  subIds: string[],
  log: (line: string) => void,
): { command: string; output?: string } | undefined;
