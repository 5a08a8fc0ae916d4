// The ruleset that `firewall:` becomes.
import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { compileFirewall } from '../../../src/role/compile/firewall.ts';
import { toDraft } from '../../../src/role/draft.ts';
import { parseRole } from '../../../src/role/load.ts';
import { fixtures, golden } from './golden.ts';

function ruleset(firewall: unknown): string {
  const { text, role } = parseRole('/role.yaml', JSON.stringify({ version: 1, summary: 'x', firewall }));
  assert.ok(role);
  return role === undefined ? '' : (compileFirewall(toDraft(text, role))[0]?.content ?? '');
}

test('writes the ruleset as recorded', () => {
  const allow = [
    { port: 22, comment: 'ssh' },
    { port: [8000, 443, 80, '8005-8010', '8009-8020'], from: ['10.0.0.0/8', 'fd00::/8', '10.1.0.0/16'] },
    { port: 53, protocol: 'udp' },
  ];
  golden(`${fixtures}/valid/firewall.nft`, ruleset({ allow }));
});

test('is there without rules, and not there without the key', () => {
  assert.match(ruleset({}), 'policy drop');
  assert.not.match(ruleset({}), ' dport 22 ');
  assert.is(ruleset(undefined), '');
});

test('does not depend on the order of the rules', () => {
  const rules = [{ port: 22 }, { port: 80 }, { port: 53, protocol: 'udp' }];
  assert.is(ruleset({ allow: rules }), ruleset({ allow: rules.toReversed() }));
});

test('allows the ports that were named and no others, in ranges that do not touch', () => {
  const port = fc.integer({ min: 1, max: 60 });
  const range = fc.tuple(port, port).map(([a, b]) => `${Math.min(a, b)}-${Math.max(a, b) + 1}`);
  fc.assert(
    fc.property(fc.array(fc.oneof(port, range), { minLength: 1 }), (ports) => {
      const written = /\t\ttcp dport (?:\{ )?([\d, -]+?)(?: \})? accept/.exec(
        ruleset({ allow: [{ port: ports }] }),
      )?.[1];
      const opened = (written ?? '').split(', ').flatMap(expand);
      const named = new Set(ports.flatMap((entry) => expand(String(entry))));
      assert.equal(
        opened,
        [...named].sort((a, b) => a - b),
      );
    }),
  );
});

function expand(range: string): number[] {
  const [from = 0, to = from] = range.split('-').map(Number);
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}

test.run();
