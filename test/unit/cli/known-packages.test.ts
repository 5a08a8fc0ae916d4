// What is said of packages that the image does not have.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { atTheirPlaces, refuseUnknownPackages } from '../../../src/cli/known-packages.ts';
import { EXIT, PiimgError } from '../../../src/lib/errors.ts';
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

test('`emulate` of a package that a role above removes is no mistake', () => {
  const { text, role } = parseRole('/r.yaml', 'version: 1\nsummary: x\nremove: [nginx]\nemulate: [nginx]\n');
  if (role === undefined) return assert.unreachable();
  refuseUnknownPackages('r', toDraft(text, role), [{ name: 'bash' }]);
});

test('a package that apt refuses is refused where it is written; one that the role does not name, in the words of the error', () => {
  const { text, role } = parseRole('/r.yaml', 'version: 1\nsummary: x\npackages: [ngnix]\n');
  if (role === undefined) return assert.unreachable();
  const written = toDraft(text, role);
  const wrong = { name: 'ngnix', message: 'no archive has a package `ngnix`', suggestion: 'nginx' };
  const refused = (name: string) => new PiimgError('No', { cause: { wrong: [{ ...wrong, name }] } });
  const report = atTheirPlaces(refused('ngnix'), 'r', written) as PiimgError;
  assert.is(report.exitCode, EXIT.usage);
  assert.match(report.detail ?? '', '/r.yaml:3:12: error: no archive has a package `ngnix`');
  assert.match(report.detail ?? '', 'did you mean `nginx`?');
  for (const other of [refused('of-the-base'), new PiimgError('No'), undefined])
    assert.is(atTheirPlaces(other, 'r', written), other);
});

test.run();
