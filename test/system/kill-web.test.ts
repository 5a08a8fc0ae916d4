// Role web on the default base, its real kernel, firmware and packages, killed at twenty instants of its build.
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'uvu';
import { parse, stringify } from 'yaml';
import { withProject, writeRole } from '../helpers/bad-luck-project.ts';
import { killAtInstants } from '../helpers/kills.ts';

/** All of them take half an hour. */
const INSTANTS = Number(process.env['PIIMG_TEST_INSTANTS'] ?? 20);

test('killed at random instants, a build of web leaves nothing behind, and the next one gives the same image', async () => {
  await withProject(async (project) => {
    const { keyring } = project.archive;
    const base = parse(await readFile('images/bases/debian-trixie.yaml', 'utf8')) as object;
    // The packages come from loopback: the builds that begin with nothing fetch all of them again.
    const archives = [{ name: 'tiny', suites: ['tiny'], components: ['main'] }];
    const here = { ...base, keyring, archives, mirror: project.server.url };
    await writeFile(path.join(project.dir, 'images/bases/here.yaml'), stringify(here));
    await writeRole(project, 'site', 'extends: web\n', 'here');
    await killAtInstants(project, 'site', INSTANTS);
  });
});

test.run();
