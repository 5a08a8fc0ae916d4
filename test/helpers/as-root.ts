// Loop devices and mounts of real file systems need root: an ordinary user's tests borrow it from sudo.

/** The command with root's rights; fails at once where sudo would ask for a password. */
export function asRoot(command: string[]): string[] {
  return process.getuid?.() === 0 ? command : ['sudo', '-n', ...command];
}
