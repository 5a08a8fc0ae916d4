// The seed every image is built with.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import { minimalSeed, padSlot, SLOT_LENGTHS } from '../../../src/seed/minimal.ts';

const slot = (name: string) =>
  minimalSeed('abc123'.repeat(10))
    .find((seed) => seed.name === name)
    ?.content.toString() ?? '';

test('every slot has its length, a multiple of 4096, and is valid with its padding', () => {
  for (const { name, content } of minimalSeed('x')) {
    assert.is(content.length, SLOT_LENGTHS[name]);
    assert.is(content.length % 4096, 0);
    assert.type(parse(content.toString()), 'object');
  }
});

test('user-data is cloud-config that changes nothing', () => {
  assert.ok(slot('user-data').startsWith('#cloud-config\n'));
  assert.equal(parse(slot('user-data')), {});
});

test('the instance id is of the build, the network by DHCP, the node document empty', () => {
  assert.equal(parse(slot('meta-data')), { 'instance-id': 'piimg-abc123abc123abc1' });
  assert.is((parse(slot('network-config')) as { version: number }).version, 2);
  assert.equal(JSON.parse(slot('piimg.json')), { version: 1, buildId: 'abc123'.repeat(10) });
});

test('what is too long for its slot is refused, in bytes', () => {
  assert.is(padSlot('abc', 8).toString(), 'abc\n\n\n\n\n');
  assert.throws(() => padSlot('ü'.repeat(5), 8, 'user-data'), /user-data is 10 bytes long; .* holds 8/);
});

test.run();
