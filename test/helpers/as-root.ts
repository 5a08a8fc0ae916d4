// Loop devices and mounts of real file systems need root: an ordinary user's tests borrow it from sudo.

/** The command with root's rights; fails at once where sudo would ask for a password. */
export function asRoot(command: string[]): string[] {
  return process.getuid?.() === 0 ? command : ['sudo', '-n', ...command];
}

/** A command that runs a module's text with root's rights, and TypeScript in what it imports; `args` are its process.argv from 1 on. */
export const scriptAsRoot = (script: string, ...args: string[]): string[] =>
  asRoot([process.execPath, '--import', import.meta.resolve('tsx'), '--input-type=module', '-e', script, ...args]);
