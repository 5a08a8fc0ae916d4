// What is said of packages that the image does not have.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { refuseUnknownPackages } from '../../../src/cli/known-packages.ts';
import { EXIT, type PiimgError } from '../../../src/lib/errors.ts';
import { toDraft } from '../../../src/role/draft.ts';
import { parseRole } from '../../../src/role/load.ts';

test('`emulate` of a package that is not there is refused where it is written', () => {
  const { text, role } = parseRole('/r.yaml', 'version: 1\nsummary: x\nemulate: [nginx, ngnix-core]\n');
  if (role === undefined) return assert.unreachable();
  const draft = toDraft(text, role);
  const packages = [{ name: 'nginx' }, { name: 'nginx-core' }];
  assert.throws(
    () => refuseUnknownPackages('r', draft, packages),
    ({ exitCode, detail = '' }: PiimgError) =>
      exitCode === EXIT.usage &&
      detail.startsWith('/r.yaml:3:18: error: `ngnix-core` is not among') &&
      detail.includes('did you mean `nginx-core`?'),
  );
  refuseUnknownPackages('r', draft, [...packages, { name: 'ngnix-core' }]);
});

test.run();
