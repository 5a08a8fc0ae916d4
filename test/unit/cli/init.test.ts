// `piimg init` makes a project that works, or nothing.
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import { init } from '../../../src/cli/commands/init.ts';
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
    assert.equal(parse(yaml.stdout), role);
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

interface Workflow {
  jobs: Record<string, { steps: { run?: string; uses?: string; with?: { path: string } }[] }>;
}

/** The steps of a workflow's first job. */
async function stepsOf(file: string): Promise<Workflow['jobs'][string]['steps']> {
  const { jobs } = parse(await readFile(file, 'utf8')) as Workflow;
  return Object.values(jobs)[0]?.steps ?? [];
}

test('the CI example is YAML, builds this role, and keeps what the example of piimg itself keeps', () =>
  withFolder(async (folder) => {
    await piimg(['init', 'shop'], { cwd: folder });
    const steps = await stepsOf(path.join(folder, 'shop/.github/workflows/image.yml'));
    assert.ok(steps.some((step) => step.run?.startsWith('piimg build --role shop')));
    const kept = (of: typeof steps) => of.find(({ uses }) => uses === 'actions/cache@v4')?.with?.path;
    assert.match(kept(steps) ?? '', 'layers');
    assert.is(kept(steps), kept(await stepsOf(`${root}/.github/workflows/images.yml`)));
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

test.run();
