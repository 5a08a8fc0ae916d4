// Asks a booted machine a list of things.
import type { Session } from '../../src/boot/session.ts';

export interface Answer {
  status: number;
  /** stdout and stderr, without white space at the ends. */
  output: string;
}

/** Runs every command as root, one after the other. At most ten minutes each. */
export async function askAll<Name extends string>(
  session: Session,
  questions: Record<Name, string>,
): Promise<Record<Name, Answer>> {
  const answers = {} as Record<Name, Answer>;
  for (const [name, command] of Object.entries<string>(questions)) {
    const { status, stdout } = await session.ask(`(${command}) 2>&1`, { seconds: 1500 });
    answers[name as Name] = { status, output: stdout.trim() };
  }
  return answers;
}
