// The structure that design and README promise, read from the sources themselves.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { run } from '../../src/host/exec.ts';

interface Source {
  path: string;
  text: string;
}

interface Import {
  from: string;
  typeOnly: boolean;
}

/** Folders of src that are stages: one never calls another, only src/cli puts them together. */
const STAGES = [
  'role',
  'plan',
  'base',
  'sandbox',
  'layers',
  'image',
  'seed',
  'flash',
  'vendor',
  'handoff',
  'boot',
  'fleet',
];

/** Tables of data may be longer than 300 lines. */
const DATA = /(^|\/)(package-lock\.json|tools\.json|LICENSE)$|\.(schema\.json|lock\.json)$|^test\/(golden|fixtures)\//;

/** Every import of a TypeScript or JavaScript text: static, re-exported and dynamic. */
function importsOf(text: string): Import[] {
  const statics = text.matchAll(/^\s*(?:import|export)\s+(type\s)?([^'"();]*?)\s*(?:from\s+)?['"]([^'"]+)['"]/gm);
  const dynamics = text.matchAll(/\bimport\(\s*['"]([^'"]+)['"]/g);
  return [
    ...[...statics].map(([, type, names = '', from = '']) => ({
      from,
      typeOnly: type !== undefined || onlyTypes(names),
    })),
    ...[...dynamics].map(([, from = '']) => ({ from, typeOnly: false })),
  ];
}

const onlyTypes = (names: string) => {
  const list = /^\{(.*)\}$/s
    .exec(names.trim())?.[1]
    ?.split(',')
    .map((name) => name.trim())
    .filter(Boolean);
  return list !== undefined && list.length > 0 && list.every((name) => name.startsWith('type '));
};

/** The first folder below src that a relative import leads to; undefined outside of src. */
function folderOf(file: string, from: string): string | undefined {
  const parts = path.posix.join(path.posix.dirname(file), from).split('/');
  return parts[0] === 'src' && parts.length > 2 ? parts[1] : undefined;
}

const rules: Record<string, (source: Source) => string[]> = {
  'a stage uses types of other stages only': ({ path: file, text }) => {
    const own = file.split('/')[1] ?? '';
    if (!file.startsWith('src/') || !STAGES.includes(own)) return [];
    return importsOf(text)
      .filter(({ from, typeOnly }) => from.startsWith('.') && !typeOnly)
      .filter(({ from }) => [...STAGES, 'cli', 'ui'].some((stage) => stage !== own && folderOf(file, from) === stage))
      .map(({ from }) => `imports ${from}`);
  },
  'src/lib imports nothing of ours': ({ path: file, text }) =>
    file.startsWith('src/lib/')
      ? importsOf(text)
          .filter(({ from }) => from.startsWith('.') && folderOf(file, from) !== 'lib')
          .map(({ from }) => `imports ${from}`)
      : [],
  'src/host, src/ui and the stages know nothing of the command line': ({ path: file, text }) =>
    /^src\/(host|ui)\//.test(file)
      ? importsOf(text)
          .filter(
            ({ from, typeOnly }) =>
              from.startsWith('.') && !typeOnly && [...STAGES, 'cli'].includes(folderOf(file, from) ?? ''),
          )
          .map(({ from }) => `imports ${from}`)
      : [],
  'only src/ui knows listr2': ({ path: file, text }) =>
    importsOf(text).some(({ from }) => from === 'listr2') && !file.startsWith('src/ui/') ? ['imports listr2'] : [],
  'only src/host starts programs': ({ path: file, text }) =>
    file.startsWith('src/') && !file.startsWith('src/host/')
      ? importsOf(text)
          .filter(({ from }) => /^(execa|(node:)?child_process)$/.test(from))
          .map(({ from }) => `imports ${from}`)
      : [],
  'every test file runs its tests': ({ path: file, text }) =>
    file.endsWith('.test.ts') && !/^\s*[\w.]+\.run\(\);/m.test(text) ? ['never calls .run()'] : [],
  'no test is skipped and none excludes the others': ({ path: file, text }) =>
    file.endsWith('.test.ts') && /^\s*\w+\.(skip|only)\(/m.test(text) ? ['has .skip( or .only('] : [],
  'no default exports and no barrels': ({ path: file, text }) =>
    /^(src|firstboot)\/.*\.ts$/.test(file) && /^export (default|\*)/m.test(text)
      ? ['has export default or export *']
      : [],
  'every module says in its first line what it is for': ({ path: file, text }) =>
    /^(src|firstboot|test(?!\/(fixtures|golden)\/))\/.*\.m?[jt]s$/.test(file) &&
    !/^(#!.*\n)?(\/\/ \S|\/\*\* \S)/.test(text)
      ? ['begins without a comment']
      : [],
  'no file is longer than 300 lines': ({ path: file, text }) => {
    const lines = text.split('\n').length - 1;
    return lines > 300 && !DATA.test(file) ? [`has ${lines} lines`] : [];
  },
  'no file knows a machine it was written on': ({ text }) =>
    [
      ...text.matchAll(
        /(?<![\w.])\/(?:work|home\/(?!runner\b|user\b|pi\b|newcomer\b|web\b|node\b)[a-z]+|Users\/\w+)\/[\w.-]+/g,
      ),
    ].map(([found]) => `names ${found}`),
};

/** Each violation as `file: what`. */
function check(rule: string, sources: Source[]): string[] {
  return sources.flatMap((source) => (rules[rule]?.(source) ?? []).map((what) => `${source.path}: ${what}`));
}

/** Every file git knows and that is text, as it lies in the working folder. */
async function committedFiles(): Promise<Source[]> {
  const { stdout } = await run(['git', 'ls-files', '-z']);
  return stdout
    .split('\0')
    .filter(Boolean)
    .flatMap((file) => {
      const text = readIfText(file);
      return text === undefined ? [] : [{ path: file, text }];
    });
}

/** Undefined for binary files, links that lead nowhere, and files removed but not yet committed so. */
function readIfText(file: string): string | undefined {
  try {
    const text = readFileSync(file, 'utf8');
    return text.includes('\0') ? undefined : text;
  } catch {
    return undefined;
  }
}

for (const rule of Object.keys(rules)) {
  test(rule, async () => {
    const sources = await committedFiles();
    assert.ok(sources.length > 20);
    assert.equal(check(rule, sources), []);
  });
}

// Negative controls: what each rule must find, and the nearest thing it must let pass.
const machine = ['', 'work', 'main', 'src'].join('/');
const controls: Record<string, { bad: Source[]; good: Source[] }> = {
  'a stage uses types of other stages only': {
    bad: [
      { path: 'src/image/a.ts', text: "import { x } from '../role/b.ts';" },
      { path: 'src/image/a.ts', text: "import {\n  type X,\n  y,\n} from '../layers/b.ts';" },
      { path: 'src/image/a.ts', text: "const x = await import('../base/b.ts');" },
      { path: 'src/image/a.ts', text: "import { x } from '../cli/b.ts';" },
      { path: 'src/image/deep/a.ts', text: "export { x } from '../../role/b.ts';" },
    ],
    good: [
      { path: 'src/image/a.ts', text: "import type { X } from '../role/b.ts';\nimport { y } from './c.ts';" },
      {
        path: 'src/image/a.ts',
        text: "import {\n  type X,\n  type Y,\n} from '../role/b.ts';\nimport { z } from '../lib/z.ts';",
      },
      { path: 'src/cli/a.ts', text: "import { x } from '../role/b.ts';" },
    ],
  },
  'src/lib imports nothing of ours': {
    bad: [{ path: 'src/lib/a.ts', text: "import type { X } from '../role/b.ts';" }],
    good: [{ path: 'src/lib/a.ts', text: "import { x } from './b.ts';\nimport path from 'node:path';" }],
  },
  'src/host, src/ui and the stages know nothing of the command line': {
    bad: [{ path: 'src/ui/a.ts', text: "import { x } from '../cli/b.ts';" }],
    good: [{ path: 'src/ui/a.ts', text: "import type { X } from '../image/manifest.ts';" }],
  },
  'only src/ui knows listr2': {
    bad: [{ path: 'src/cli/a.ts', text: "import type { Listr } from 'listr2';" }],
    good: [{ path: 'src/ui/a.ts', text: "import { Listr } from 'listr2';" }],
  },
  'only src/host starts programs': {
    bad: [
      { path: 'src/role/a.ts', text: "import { execa } from 'execa';" },
      { path: 'src/role/a.ts', text: "import { spawn } from 'node:child_process';" },
    ],
    good: [{ path: 'src/host/a.ts', text: "import { execa } from 'execa';" }],
  },
  'every test file runs its tests': {
    bad: [{ path: 'test/unit/a.test.ts', text: "test('x', () => {});\n// test.run();" }],
    good: [{ path: 'test/unit/a.test.ts', text: "test('x', () => {});\ntest.run();" }],
  },
  'no test is skipped and none excludes the others': {
    bad: [{ path: 'test/unit/a.test.ts', text: "test.only('x', () => {});" }],
    good: [{ path: 'test/unit/a.test.ts', text: "test('x', () => {});" }],
  },
  'no default exports and no barrels': {
    bad: [{ path: 'src/a/b.ts', text: 'export default 1;' }],
    good: [{ path: 'src/a/b.ts', text: 'export const a = 1;' }],
  },
  'every module says in its first line what it is for': {
    bad: [{ path: 'src/a/b.ts', text: "import x from 'y';" }],
    good: [{ path: 'src/a/b.ts', text: '#!/usr/bin/env node\n// Says it.\n' }],
  },
  'no file is longer than 300 lines': {
    bad: [{ path: 'src/a/b.ts', text: '\n'.repeat(301) }],
    good: [
      { path: 'src/a/b.ts', text: '\n'.repeat(300) },
      { path: 'images/schemas/role.schema.json', text: '\n'.repeat(301) },
    ],
  },
  'no file knows a machine it was written on': {
    bad: [{ path: 'README.md', text: `see ${machine}` }],
    good: [{ path: 'README.md', text: 'see https://example.org/work/page and /home/pi/app' }],
  },
};

for (const rule of Object.keys(rules)) {
  test(`finds violations: ${rule}`, () => {
    const control = controls[rule];
    assert.ok(control);
    for (const source of control.bad) assert.ok(check(rule, [source]).length > 0, source.text);
    assert.equal(check(rule, control.good), []);
  });
}

test.run();
