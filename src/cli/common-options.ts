// Options that many commands have.
import { Option } from 'commander';

export const json = (what: string) => new Option('--json', `print ${what} as JSON on stdout`);
export const progress = () =>
  new Option('--progress <kind>', 'how progress is shown on stderr')
    .choices(['auto', 'log', 'json', 'silent'])
    .default('auto');
