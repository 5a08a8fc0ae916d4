// The command that runs now, as it would have to be typed for somebody whose PATH has neither Node nor piimg.
import { quote } from '../lib/quote.ts';

/** Its words after sudo, absolute: root's PATH knows nothing of the user's Node, from nvm for example. */
export const withSudo = (): string => quote(['sudo', process.execPath, ...process.execArgv, ...process.argv.slice(1)]);
