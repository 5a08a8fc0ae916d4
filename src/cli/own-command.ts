// The command that runs now, as it would have to be typed for somebody whose PATH has neither Node nor piimg.
import { findProgram } from '../host/requirements.mjs';
import { quote } from '../lib/quote.ts';
import { ownName } from './commands/output.ts';

const HAS_SUDO = (): boolean => findProgram('sudo') !== undefined;

/** Absolute: root's PATH knows nothing of the user's Node, from nvm for example. */
const program = (): string[] => [process.execPath, ...process.execArgv, process.argv[1] ?? ''];

/**
 * Its words for a shell. Where there is no sudo, su does, which does not tell whose the files are to be that it makes
 * (src/host/give-back.ts).
 */
export function withSudo(sudo = HAS_SUDO()): string {
  return asRoot([...program(), ...process.argv.slice(2)], [process.getuid?.(), process.getgid?.()], sudo);
}

/** A command of this program's that finds again what this run has noted: with root's rights by `withSudo`, that is root's. */
export function again(
  words: string[],
  { uid = process.getuid?.(), env = process.env, sudo = HAS_SUDO() } = {},
): string {
  const { SUDO_UID, SUDO_GID } = env;
  if (uid !== 0 || SUDO_UID === undefined) return quote([...ownName(), ...words]);
  return asRoot([...program(), ...words], [SUDO_UID, SUDO_GID], sudo);
}

function asRoot(words: string[], [uid, gid]: (string | number | undefined)[], sudo: boolean): string {
  if (sudo) return quote(['sudo', ...words]);
  return quote(['su', '-c', quote(['env', `SUDO_UID=${uid}`, `SUDO_GID=${gid}`, ...words])]);
}
