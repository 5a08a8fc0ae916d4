// Statements in a database server on this machine.
import { asProblem } from '../problem.ts';
import { render, type Lack, type StepContext, type StepKind, type StepOf } from '../step.ts';

type Sql = Pick<StepOf<'sql'>, 'server' | 'database' | 'statements' | 'unless'>;

/** In statements `{{name}}` is a string literal, quotes included. */
const LITERALS: Record<Sql['server'], (value: string) => string> = {
  // Without NO_BACKSLASH_ESCAPES a backslash escapes: https://mariadb.com/kb/en/string-literals/
  mariadb: (value) => `'${value.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`,
  // standard_conforming_strings: https://www.postgresql.org/docs/current/sql-syntax-lexical.html
  postgresql: (value) => `'${value.replaceAll("'", "''")}'`,
};

/** Statements come on stdin, as a process's arguments are everybody's to read; root and postgres log in by the socket. */
const CLIENTS: Record<Sql['server'], (database: string | undefined) => string[]> = {
  mariadb: (database) => ['mariadb', '--batch', '--skip-column-names', ...(database === undefined ? [] : [database])],
  postgresql: (database) => [
    // prettier-ignore
    'runuser',
    '-u',
    'postgres',
    '--',
    // prettier-ignore
    'psql',
    '--no-psqlrc',
    '--quiet',
    '--tuples-only',
    '--no-align',
    '--set',
    'ON_ERROR_STOP=1',
    '--dbname',
    database ?? 'postgres',
  ],
};

export const sql: StepKind<StepOf<'sql'>, Sql> = {
  prepare({ name, server, database, statements, unless }, { data }) {
    const literal = LITERALS[server];
    return {
      server,
      database,
      statements: render(statements, `the statements of step ${name}`, data, literal),
      unless: unless === undefined ? undefined : render(unless, `\`unless\` of step ${name}`, data, literal),
    };
  },
  async check(step, context) {
    if (step.unless === undefined) return context.applied ? undefined : 'it was not run yet';
    return guard(step, context);
  },
  async apply({ server, database, statements }, { machine }) {
    await machine.run(CLIENTS[server](database), { input: statements });
  },
  verify: guard,
};

async function guard({ server, database, unless }: Sql, { machine }: StepContext): Promise<Lack> {
  if (unless === undefined) return undefined;
  try {
    const { stdout } = await machine.run(CLIENTS[server](database), { input: unless });
    return stdout.trim() === '' ? 'the query of `unless` gives no row' : undefined;
  } catch (error) {
    // A table that is not there yet; if it is the server that is not, the statements will tell.
    return `the query of \`unless\` fails: ${asProblem(error).output?.trim().split('\n').at(-1) ?? ''}`;
  }
}
