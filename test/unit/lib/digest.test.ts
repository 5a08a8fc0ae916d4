// Digests of data: the same data is the same text, whatever the order of its keys.
import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { canonicalJson, digestOf, sha256 } from '../../../src/lib/digest.ts';

test('sha256 of nothing and of bytes', () => {
  assert.is(sha256(''), 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
  assert.is(sha256(Buffer.from('ü')), sha256('ü'));
});

/** The same with the keys of all maps turned round. */
function turned(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(turned);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value)
      .toReversed()
      .map(([key, item]) => [key, turned(item)]),
  );
}

test('the order of keys does not count, that of lists does', () => {
  fc.assert(fc.property(fc.jsonValue(), (value) => assert.is(digestOf(turned(value)), digestOf(value))));
  assert.is(canonicalJson({ b: [2, 1], a: { d: 1, c: null } }), '{"a":{"c":null,"d":1},"b":[2,1]}');
  assert.is.not(digestOf([1, 2]), digestOf([2, 1]));
});

test('what JSON reads back is the data', () => {
  fc.assert(
    fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
      assert.equal(JSON.parse(canonicalJson(value)), JSON.parse(JSON.stringify(value)));
    }),
  );
});

test('a key without a value is as if it were not there', () => {
  assert.is(digestOf({ a: 1, b: undefined }), digestOf({ a: 1 }));
  assert.is.not(digestOf({ a: 1, b: null }), digestOf({ a: 1 }));
});

test.run();
