// Does a command on the machine end and print as it should?
import { excerpt, type HealthCheckOf, type Kind } from './kind.ts';

export const commandCheck: Kind<HealthCheckOf<'command'>> = {
  name: ({ command }) => excerpt(command).slice(1, -1),
  expected: ({ exit, output }) => `exit ${exit}${output === undefined ? '' : `, printing ${excerpt(output)}`}`,

  async look({ session }, { command, exit, output }, attempt) {
    const { status, stdout, stderr } = await session.ask(command, attempt);
    const printed = `${stdout}\n${stderr}`;
    const ok = status === exit && (output === undefined || printed.includes(output));
    return { ok, seen: `exit ${status}${printed.trim() === '' ? '' : `, ${excerpt(printed)}`}` };
  },
};
