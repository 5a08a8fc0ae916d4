// The command that runs now, as it would have to be typed for somebody whose PATH has neither Node nor piimg.
import { findProgram } from '../host/requirements.mjs';
import { quote } from '../lib/quote.ts';

/** Its words for a shell, absolute: root's PATH knows nothing of the user's Node, from nvm for example. Where there is no sudo, su does. */
export function withSudo(sudo = findProgram('sudo') !== undefined): string {
  const words = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  return quote(sudo ? ['sudo', ...words] : ['su', '-c', quote(words)]);
}
