// Statements in a database server on this machine.
import type { Machine, Ran } from '../machine.ts';
import { asProblem, Problem } from '../problem.ts';
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
    'runuser',
    '-u',
    'postgres',
    '--',
    'psql',
    '--no-psqlrc',
    '--quiet',
    '--tuples-only',
    '--no-align',
    '--set',
    'ON_ERROR_STOP=1',
    '--set',
    'VERBOSITY=terse',
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
    // What the guard looks at may have come first of statements that were cut.
    return context.interrupted ? 'it was interrupted' : guard(step, context);
  },
  async apply({ server, database, statements }, { machine }) {
    await ask(server, database, statements, machine);
  },
  verify: guard,
};

/** A server logs a statement that fails, and PostgreSQL's are told not to: there may be a secret in it. */
const QUIETLY: Record<Sql['server'], string> = { mariadb: '', postgresql: 'SET log_min_error_statement = panic;\n' };

async function ask(server: Sql['server'], database: string | undefined, text: string, machine: Machine): Promise<Ran> {
  try {
    return await machine.run(CLIENTS[server](database), { input: QUIETLY[server] + text });
  } catch (error) {
    // Clients show the statement, or as much of it as fits: only what the server says of it is told.
    const { message, output = '' } = asProblem(error);
    const said = output.split('\n').filter((line) => /\b(ERROR|FATAL|error)\b/.test(line));
    const words = said.map((line) => line.replace(/ near '.*/, ''));
    throw new Problem(message, { output: words.join('\n'), cause: error });
  }
}

async function guard({ server, database, unless }: Sql, { machine }: StepContext): Promise<Lack> {
  if (unless === undefined) return undefined;
  try {
    const { stdout } = await ask(server, database, unless, machine);
    return stdout.trim() === '' ? 'the query of `unless` gives no row' : undefined;
  } catch (error) {
    // A table that is not there yet; if it is the server that is not, the statements will tell.
    return `the query of \`unless\` fails: ${asProblem(error).output?.trim().split('\n').at(-1) ?? ''}`;
  }
}
