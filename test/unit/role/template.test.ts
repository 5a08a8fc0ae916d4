// Templates: strict about names, and nothing is escaped.
import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { renderTemplate, type TemplateData } from '../../../src/lib/template.ts';

const data: TemplateData = {
  name: 'web',
  quoted: `<a href="x">&'\`=/`,
  yes: true,
  no: false,
  zero: 0,
  role: { name: 'r', deep: { er: 'deepest' } },
  peers: [{ address: '10.0.0.1' }, { address: '10.0.0.2', name: 'own' }],
  words: ['a', 'b'],
  none: [],
};

const RENDERED: [template: string, output: string][] = [
  ['{{name}} {{{name}}} {{&name}}', 'web web web'],
  ['{{quoted}}', `<a href="x">&'\`=/`],
  ['{{role.name}} {{role.deep.er}}', 'r deepest'],
  ['{{#yes}}on{{/yes}}{{#no}}off{{/no}}{{^no}}not{{/no}}', 'onnot'],
  ['{{#zero}}some{{/zero}}{{^zero}}none{{/zero}}', 'none'],
  ['{{#peers}}{{address}} {{name}};{{/peers}}', '10.0.0.1 web;10.0.0.2 own;'],
  ['{{#peers}}\n{{address}}\n{{/peers}}\n', '10.0.0.1\n10.0.0.2\n'],
  ['{{#none}}x{{/none}}{{^none}}empty{{/none}}', 'empty'],
  ['{{#role}}{{deep.er}}{{/role}}', 'deepest'],
  ['{{#name}}{{.}}{{/name}}', 'web'],
  ['{{! a comment }}{{=<% %>=}}<% name %> {{name}}', 'web {{name}}'],
];
for (const [template, output] of RENDERED) {
  test(`renders ${JSON.stringify(template)}`, () => {
    assert.equal(renderTemplate(template, data), { output, problems: [] });
  });
}

const REFUSED: [template: string, message: string][] = [
  ['{{nmae}}', 'unknown name `nmae` in the template'],
  ['{{constructor}}', 'unknown name `constructor` in the template'],
  ['{{name.length}}', 'unknown name `name.length` in the template'],
  ['{{#name}}{{length}}{{/name}}', 'unknown name `length` in the template'],
  ['{{role.nmae}}', 'unknown name `role.nmae` in the template'],
  ['{{#unknown}}{{/unknown}}', 'unknown name `unknown` in the template'],
  ['{{#no}}{{hidden}}{{/no}}', 'unknown name `hidden` in the template'],
  ['{{role}}', '`role` is a map, not a text'],
  ['{{words}}', '`words` is a list, not a text'],
  ['{{> part}}', 'partials like `{{> part}}` are not supported'],
  ['{{name', 'unclosed tag'],
  ['{{#name}}', 'unclosed section "name"'],
  ['{{/name}}', 'unopened section "name"'],
];
for (const [template, message] of REFUSED) {
  test(`refuses ${JSON.stringify(template)}`, () => {
    assert.is(renderTemplate(template, data).problems[0]?.message, message);
  });
}

test('reports all faults, each once, with what was meant', () => {
  const { problems } = renderTemplate('{{#peers}}{{adress}}{{/peers}} {{naem}}', data);
  assert.equal(
    problems.map(({ offset, length, suggestion }) => ({ offset, length, suggestion })),
    [
      { offset: 10, length: 10, suggestion: 'address' },
      { offset: 31, length: 8, suggestion: 'name' },
    ],
  );
});

test('renders any text as it is', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (value) => {
      assert.is(renderTemplate('<{{value}}>', { value }).output, `<${value}>`);
    }),
  );
});

test('leaves any text without braces as it is', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const template = text.replaceAll('{', '');
      assert.is(renderTemplate(template, {}).output, template);
    }),
  );
});

test.run();
