// The command that runs now, as it would have to be typed for somebody whose PATH has neither Node nor piimg.
import { findProgram } from '../host/requirements.mjs';
import { quote } from '../lib/quote.ts';
import { ownName } from './commands/output.ts';

/**
 * Its words for a shell, absolute: root's PATH knows nothing of the user's Node, from nvm for example. Where there is no sudo, su does, which
 * does not tell whose the files are to be that it makes (src/host/give-back.ts).
 */
export function withSudo(sudo = findProgram('sudo') !== undefined): string {
  const words = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  if (sudo) return quote(['sudo', ...words]);
  const owner = [`SUDO_UID=${process.getuid?.()}`, `SUDO_GID=${process.getgid?.()}`];
  return quote(['su', '-c', quote(['env', ...owner, ...words])]);
}

/** How this program was started, for a command that finds again what this run has noted: with sudo, that is root's. */
export function startedAs({ uid = process.getuid?.(), env = process.env } = {}): string[] {
  if (uid !== 0 || env['SUDO_UID'] === undefined) return ownName();
  return ['sudo', process.execPath, ...process.execArgv, process.argv[1] ?? ''];
}
