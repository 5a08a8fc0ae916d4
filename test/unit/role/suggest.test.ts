// "Did you mean" and code frames.
import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { codeFrame, excerptOf, positionAt } from '../../../src/lib/code-frame.ts';
import { distance, nearest } from '../../../src/lib/suggest.ts';

const DISTANCES: [a: string, b: string, edits: number][] = [
  ['', '', 0],
  ['', 'abc', 3],
  ['abc', 'abc', 0],
  ['abc', 'abd', 1],
  ['abc', 'acb', 1],
  ['kitten', 'sitting', 3],
  ['packges', 'packages', 1],
];
for (const [a, b, edits] of DISTANCES) {
  test(`${a || 'nothing'} is ${edits} from ${b || 'nothing'}`, () => assert.is(distance(a, b), edits));
}

test('distance is symmetric, and nothing only for equal words', () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (a, b) => {
      assert.is(distance(a, b), distance(b, a));
      assert.is(distance(a, b) === 0, a === b);
    }),
  );
});

const NEAREST: [word: string, candidates: string[], meant: string | undefined][] = [
  ['biuld', ['build', 'plan'], 'build'],
  ['nginx', ['apache2'], undefined],
  ['WEB', ['web'], 'web'],
  ['x', ['y'], 'y'],
  ['all', ['tall', 'ball'], 'tall'],
  ['', ['a'], 'a'],
  ['anything', [], undefined],
];
for (const [word, candidates, meant] of NEAREST) {
  test(`of ${candidates.join(', ') || 'nothing'} ${word || 'nothing'} means ${meant ?? 'none'}`, () => {
    assert.is(nearest(word, candidates), meant);
  });
}

function frame(text: string, line: number, column: number, length: number): string[] {
  const excerpt = excerptOf(text, line);
  return codeFrame({ severity: 'error', file: 'f', line, column, length, message: 'm', excerpt }).split('\n');
}

test('shows two lines before, and the caret below what is meant', () => {
  assert.equal(frame('one\ntwo\nthree\nfour\nfive\n', 4, 2, 2), [
    'f:4:2: error: m',
    '  2 | two',
    '  3 | three',
    '  4 | four',
    '    |  ^^',
  ]);
});

test('keeps the numbers below one another', () => {
  const text = Array.from({ length: 12 }, (_, index) => `line ${index + 1}`).join('\n');
  assert.equal(frame(text, 10, 1, 4).slice(1), ['   8 | line 8', '   9 | line 9', '  10 | line 10', '     | ^^^^']);
});

test('cuts carets at the end of the line, and lines around the caret', () => {
  assert.is(frame('short', 1, 3, 100).at(-1), '    |   ^^^');
  const [, line = '', caret = ''] = frame(`${'x'.repeat(500)}HERE${'y'.repeat(500)}`, 1, 501, 4);
  assert.is(line.slice(caret.indexOf('^'), caret.lastIndexOf('^') + 1), 'HERE');
  assert.ok(line.length < 120);
});

test('shows no control characters', () => {
  const [, line = ''] = frame('a\tb\u001b[31m\u202ec\r', 1, 1, 1);
  assert.is(line, '  1 | a b·[31m·c');
});

test('finds the position of an offset', () => {
  fc.assert(
    fc.property(fc.array(fc.string()), fc.nat(), (parts, at) => {
      const text = parts.join('\n');
      const offset = at % (text.length + 1);
      const { line, column } = positionAt(text, offset);
      const before = text.split('\n').slice(0, line - 1);
      assert.is(before.join('\n').length + (before.length > 0 ? 1 : 0) + column - 1, offset);
    }),
  );
});

test.run();
