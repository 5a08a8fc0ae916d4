// Reads a GitHub workflow as far as the steps of its one job can be run elsewhere. Whatever else it says is an error: nothing that
// would matter there is passed over here.
import { parse } from 'yaml';
import * as z from 'zod';

/** What a step does: a command, or an action with its input. */
export type Step = { run: string } | { uses: string; with: Record<string, string> };

const step = z.union([
  z.strictObject({ run: z.string() }),
  z.strictObject({
    uses: z.enum(['actions/checkout@v4', 'actions/setup-node@v4', 'actions/cache@v4', 'actions/upload-artifact@v4']),
    if: z.literal('always()').optional(),
    with: z.record(z.string(), z.coerce.string()).default({}),
  }),
]);

const workflow = z.strictObject({
  name: z.string(),
  on: z.tuple([z.literal('push')]),
  jobs: z.strictObject({
    image: z.strictObject({
      'runs-on': z.string(),
      container: z.strictObject({ image: z.literal('debian:12'), options: z.literal('--privileged') }),
      strategy: z.strictObject({
        'fail-fast': z.boolean(),
        matrix: z.strictObject({ role: z.array(z.string()) }),
      }),
      steps: z.array(step),
    }),
  }),
});

/** The steps for one value of the matrix, with the values of expressions filled in. Throws Error naming what is not known here. */
export function readWorkflow(text: string, expressions: Record<string, string>): { roles: string[]; steps: Step[] } {
  const { container: _, strategy, steps } = workflow.parse(parse(text)).jobs.image;
  const fill = (words: string): string =>
    words.replaceAll(/\$\{\{\s*(.*?)\s*\}\}/g, (_all, expression: string) => {
      const value = expressions[expression];
      if (value === undefined) throw new Error(`the expression “${expression}” is not known here`);
      return value;
    });
  return {
    roles: strategy.matrix.role,
    steps: steps.map((found) =>
      'run' in found
        ? { run: fill(found.run) }
        : {
            uses: found.uses,
            with: Object.fromEntries(Object.entries(found.with).map(([name, value]) => [name, fill(value)])),
          },
    ),
  };
}
