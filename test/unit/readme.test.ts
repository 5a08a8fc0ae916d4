// READMEs say what is so: examples are valid, the help is the real one, links lead somewhere.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Command } from 'commander';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createProgram } from '../../src/cli/program.ts';
import { loadBase } from '../../src/base/definition.ts';
import { run } from '../../src/host/exec.ts';
import { EXIT } from '../../src/lib/errors.ts';
import { resolveRole } from '../../src/role/resolve.ts';
import { codeBlocks } from '../helpers/readme.ts';
import { piimg, withFolder } from './cli/piimg.ts';
import { baseDirs, bases, root } from './role/golden.ts';

const readme = readFileSync(`${root}/README.md`, 'utf8');

test('roles in the README are valid, with what they extend', () =>
  withFolder(async (folder) => {
    const roles = codeBlocks(readme, 'yaml');
    assert.ok(roles.length > 0);
    const roleDirs = [path.join(folder, 'images/roles'), `${root}/images/roles`];
    mkdirSync(roleDirs[0] ?? '', { recursive: true });
    for (const [i, text] of roles.entries()) {
      writeFileSync(path.join(roleDirs[0] ?? '', `example-${i}.yaml`), text);
      const search = { roleDirs, overlayDirs: [`${root}/overlays`], baseDirs };
      const { role, warnings } = await resolveRole(`example-${i}`, search, bases);
      assert.equal(warnings, []);
      assert.ok(role.packages.length > 0);
      assert.ok(text.split('\n').length <= 11, 'the README promises ten lines');
    }
  }));

test('the list of commands is what --help prints', async () => {
  const { stdout } = await piimg(['--help']);
  const [block] = codeBlocks(readme, 'text').filter((text) => text.startsWith('Usage: piimg'));
  assert.is(block?.trimEnd(), stdout.trimEnd());
});

test('commands in the README exist, with the options they are given', () => {
  const program = createProgram(new AbortController().signal);
  const lines = codeBlocks(readme, 'sh').flatMap((block) => block.split('\n'));
  const inline = [...readme.matchAll(/`(piimg [^`]+)`/g)].map(([, command = '']) => command);
  const commands = [...lines.filter((line) => line.startsWith('piimg ')), ...inline];
  assert.ok(commands.length > 5);
  assert.equal(
    commands.flatMap((command) => unknownWords(program, command)),
    [],
  );
  assert.equal(unknownWords(program, 'piimg build --rol x'), ['--rol']);
});

/** What piimg does not know of a command line: the command, or options of it. */
function unknownWords(program: Command, line: string): string[] {
  const [, name = '', ...words] = (line.split(/ #| -- /)[0] ?? '').trim().split(/\s+/);
  const command = program.commands.find((candidate) => candidate.name() === name);
  if (name.startsWith('-')) return ['--help', '--version'].includes(name) ? [] : [name];
  if (command === undefined) return [name];
  return words.filter((word) => word.startsWith('--') && !command.options.some(({ long }) => long === word));
}

test('the exit codes named there are those of the program', () => {
  const [, codes = ''] = /^Exit codes: (.*)\.$/m.exec(readme) ?? [];
  assert.equal(
    codes
      .split(', ')
      .filter((part) => /^\d/.test(part))
      .map((part) => Number.parseInt(part, 10)),
    Object.values(EXIT).sort((a, b) => a - b),
  );
});

test('the table of boards has the boards of the base, in its order', async () => {
  const { boards } = await loadBase('debian-trixie', [`${root}/images/bases`]);
  const rows = [...readme.matchAll(/^\| (Raspberry Pi [^|]*?) \| ([^|]*?) \|/gm)].map(([, name, boots]) => ({
    name,
    boots: boots !== 'no',
  }));
  assert.equal(
    rows,
    boards.map(({ name, boots }) => ({ name, boots })),
  );
});

test('the README is short', () => assert.ok(readme.split('\n').length <= 200));

/** GitHub's anchors: lower case, blanks to hyphens, the rest left out. */
const anchor = (heading: string) =>
  heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');

/** Links of a text that lead nowhere; `file` is where it lies, from the repository's root. */
function deadLinks(file: string, text: string): string[] {
  const prose = text.replaceAll(/^```[^]*?^```/gm, '').replaceAll(/`[^`\n]*`/g, '');
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, link = '']) => {
    if (link.startsWith('https://')) return [];
    const [target = '', fragment] = link.split('#');
    const full = target === '' ? path.join(root, file) : path.join(root, path.dirname(file), target);
    if (!existsSync(full)) return [`${file}: ${link}`];
    if (fragment === undefined) return [];
    const headings = [...readFileSync(full, 'utf8').matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => anchor(heading));
    return headings.includes(fragment) ? [] : [`${file}: ${link}`];
  });
}

test('links in all READMEs lead somewhere', async () => {
  const { stdout } = await run(['git', 'ls-files', '*.md'], { cwd: root });
  const files = stdout.split('\n');
  assert.ok(files.length > 10);
  assert.equal(
    files.flatMap((file) => deadLinks(file, readFileSync(path.join(root, file), 'utf8'))),
    [],
  );
});

test('dead links are found', () => {
  const text =
    '[a](nowhere.md) [b](README.md) [c](README.md#nothing) [d](#try-it) [e](https://example.org/)\n`[x](y)`\n';
  assert.equal(deadLinks('README.md', text), ['README.md: nowhere.md', 'README.md: README.md#nothing']);
});

test('every folder has a README: of src each, and those beside it', async () => {
  const { stdout } = await run(['git', 'ls-files'], { cwd: root });
  const folders = stdout
    .split('\n')
    .flatMap((file) => /^(src\/[^/]+|firstboot|images|overlays|qemu|test)\//.exec(file)?.[1] ?? []);
  const missing = [...new Set(folders)].filter((folder) => !existsSync(`${root}/${folder}/README.md`));
  assert.equal(missing, []);
});

test.run();
