// The command line as a process of its own.
import path from 'node:path';
import { packageRoot } from '../../src/host/package-root.ts';

/**
 * Its words: what `npm test` has built before, which starts three times as quickly and is what people get; from the sources where the tests
 * were started by themselves, or for the package in another folder, `root`.
 */
export function piimgCommand(root = packageRoot): string[] {
  if (root === packageRoot && process.env['PIIMG_TEST_BUILT'] !== undefined)
    return [process.execPath, path.join(root, 'dist/cli/main.js')];
  const tsx = path.join(root, 'node_modules/tsx/dist/esm/index.mjs');
  return [process.execPath, '--import', tsx, path.join(root, 'src/cli/main.ts')];
}
