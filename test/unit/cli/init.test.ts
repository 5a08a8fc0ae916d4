// `piimg init` makes a project that works, or nothing.
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import { init } from '../../../src/cli/commands/init.ts';
import { run } from '../../../src/host/exec.ts';
import { EXIT } from '../../../src/lib/errors.ts';
import { root } from '../role/golden.ts';
import { piimg, withFolder } from './piimg.ts';

test("a new project's role is valid and has the overlay's file", () =>
  withFolder(async (folder) => {
    const made = await piimg(['init', 'My Shop'], { cwd: folder });
    assert.is(made.exitCode, EXIT.done, made.stderr);
    const project = path.join(folder, 'My Shop');
    const shown = await piimg(['show', 'my-shop', '--json'], { cwd: project });
    assert.is(shown.exitCode, EXIT.done, shown.stderr);
    const role = JSON.parse(shown.stdout) as { name: string; files: { path: string }[] };
    assert.is(role.name, 'my-shop');
    assert.ok(role.files.some((file) => file.path === 'etc/motd'));
    const yaml = await piimg(['show', 'my-shop'], { cwd: project });
    // Modes as they are written in a role, which JSON has as numbers.
    assert.match(yaml.stdout, /path: etc\/motd\n +type: file\n +mode: "0644"\n/);
    const octal = (key: unknown, value: unknown): unknown => (key === 'mode' ? parseInt(String(value), 8) : value);
    assert.equal(parse(yaml.stdout, octal), role);
    const listed = await piimg(['roles', '--json'], { cwd: project });
    assert.ok((JSON.parse(listed.stdout) as { name: string }[]).some(({ name }) => name === 'my-shop'));
  }));

test('the schema the editor is pointed at is there, and is what piimg schema prints', () =>
  withFolder(async (folder) => {
    await piimg(['init', 'shop'], { cwd: folder });
    const roleFile = path.join(folder, 'shop/images/roles/shop.yaml');
    const link = /\$schema=(\S+)/.exec(await readFile(roleFile, 'utf8'))?.[1] ?? '';
    const schema = await readFile(path.resolve(path.dirname(roleFile), link), 'utf8');
    assert.is(schema.trimEnd(), (await piimg(['schema'])).stdout);
    assert.ok('properties' in (JSON.parse(schema) as object));
  }));

interface Job {
  env?: Record<string, string>;
  container: unknown;
  steps: { run?: string; uses?: string; if?: string; with?: { path: string } }[];
}

/** The one job of a workflow. */
async function jobOf(file: string): Promise<Job> {
  const { jobs } = parse(await readFile(file, 'utf8')) as { jobs: { image: Job } };
  return jobs.image;
}

test('the CI example is the one of piimg itself, but for how piimg gets there', () =>
  withFolder(async (folder) => {
    await piimg(['init', 'shop'], { cwd: folder });
    const own = await jobOf(path.join(folder, 'shop/.github/workflows/image.yml'));
    const ours = await jobOf(`${root}/.github/workflows/images.yml`);
    assert.equal(own.container, ours.container);
    const actions = ({ steps }: Job) =>
      steps.filter(({ uses }) => uses !== undefined).map(({ uses, if: when }) => [uses, when]);
    assert.equal(actions(own), actions(ours));
    const paths = ({ steps }: Job, action: string) => steps.find(({ uses }) => uses === action)?.with?.path ?? '';
    assert.is(paths(own, 'actions/cache@v4'), paths(ours, 'actions/cache@v4'));
    const uploaded = (job: Job) => paths(job, 'actions/upload-artifact@v4');
    assert.is(uploaded(own), uploaded(ours).replaceAll('${{ matrix.role }}', 'shop'));
    const commands = own.steps.flatMap(({ run: command }) => command ?? []);
    assert.equal(commands.slice(1), [
      'piimg doctor --fix',
      'piimg test --role shop --reports reports',
      'piimg cache prune --days 7',
    ]);
    assert.equal(Object.keys(own.env ?? {}), ['PIIMG_PACKAGE']);
  }));

test('the CI example installs the piimg that it is told of, or none', () =>
  withFolder(async (folder) => {
    await piimg(['init', 'shop'], { cwd: folder });
    const { steps } = await jobOf(path.join(folder, 'shop/.github/workflows/image.yml'));
    const [install = ''] = steps.flatMap(({ run: command }) => command ?? []);
    await writeFile(path.join(folder, 'npm'), '#!/bin/sh\nprintf "%s\\n" "$@"\n', { mode: 0o755 });
    const sh = (PIIMG_PACKAGE: string) =>
      run(['sh', '-ec', install], {
        env: { PATH: `${folder}:${process.env.PATH}`, PIIMG_PACKAGE },
        okCodes: [0, 1, 2, 127],
      });
    const { exitCode, stdout, stderr } = await sh('');
    assert.match(stderr, 'PIIMG_PACKAGE: is not set');
    assert.equal([exitCode > 0, stdout], [true, '']);
    assert.is((await sh('tools/my piimg.tgz')).stdout, 'install\n--global\ntools/my piimg.tgz');
  }));

test('an empty folder will do, also the one we are in', () =>
  withFolder(async (folder) => {
    const shop = path.join(folder, 'shop');
    await mkdir(shop);
    assert.is((await piimg(['init', '.'], { cwd: shop })).exitCode, EXIT.done);
    assert.equal((await readdir(shop)).sort(), ['.github', '.gitignore', 'README.md', 'images', 'overlays']);
  }));

const refusals = [
  { what: 'a folder with something in it', dir: 'full', says: 'is not empty' },
  { what: 'a file', dir: 'full/file', says: 'is a file' },
  { what: 'a name without letters', dir: '%%%', says: 'no letter or digit' },
];

for (const { what, dir, says } of refusals) {
  test(`refused and left as it was: ${what}`, () =>
    withFolder(async (folder) => {
      await mkdir(path.join(folder, 'full'));
      await writeFile(path.join(folder, 'full/file'), 'x');
      const { exitCode, stderr } = await piimg(['init', dir], { cwd: folder });
      assert.match(stderr, says);
      assert.is(exitCode, EXIT.usage);
      assert.equal((await readdir(folder, { recursive: true })).sort(), ['full', 'full/file']);
    }));
}

test('an error half-way leaves nothing behind', () =>
  withFolder(async (folder) => {
    const target = path.join(folder, `x${'y'.repeat(240)}`);
    // The folder's name is allowed, but that of its role file with `.yaml` and more is too long.
    const error: unknown = await init(`${target}zzzzzzzzzzzz`).catch((thrown: unknown) => thrown);
    assert.instance(error, Error);
    assert.equal(await readdir(folder), []);
  }));

const places: { what: string; dir: string; says: string; exitCode: number }[] = [
  { what: 'below a file', dir: 'file/shop', says: 'A part of that path is a file', exitCode: EXIT.failed },
  { what: 'with too long a name', dir: `new/folders/${'x'.repeat(300)}`, says: 'shorter name', exitCode: EXIT.failed },
  {
    what: 'where a part of the path is too long',
    dir: `new/${'x'.repeat(300)}/shop`,
    says: 'shorter name',
    exitCode: EXIT.failed,
  },
  { what: 'where nothing can be made', dir: '/proc/shop', says: '/proc takes no new folders', exitCode: EXIT.usage },
];
for (const { what, dir, says, exitCode: expected } of places) {
  test(`a project ${what} is refused, and no folder above it stays`, () =>
    withFolder(async (folder) => {
      await writeFile(path.join(folder, 'file'), 'x');
      const { exitCode, stderr } = await piimg(['init', dir], { cwd: folder });
      assert.match(stderr, says);
      assert.is(exitCode, expected);
      assert.equal(await readdir(folder), ['file']);
    }));
}

test.run();
