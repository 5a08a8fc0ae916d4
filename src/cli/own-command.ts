// The command that runs now, as it would have to be typed for somebody whose PATH has neither Node nor piimg.

/** Its words, absolute: root's PATH knows nothing of the user's Node, from nvm for example. */
export const ownCommand = (): string[] => [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
