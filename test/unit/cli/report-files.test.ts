// Reports of boot tests: names of their own, in a folder that was tried before.
import { readdir, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { prepareFolder, reportFiles, writeReports } from '../../../src/cli/report-files.ts';
import { EXIT, type PiimgError } from '../../../src/lib/errors.ts';
import { passedReport } from '../../helpers/boot-reports.ts';
import { withFolder } from './piimg.ts';

test('images of one name, from different folders, have reports of their own', () =>
  withFolder(async (folder) => {
    const taken = new Set<string>();
    for (const [image, machine] of [
      ['a/web.img', 'virt'],
      ['a/web.img', 'raspi3b'],
      ['b/web.img', 'virt'],
      ['b/web-2.img', 'virt'],
      ['c/web', 'virt'],
    ] as const) {
      await writeReports(passedReport, reportFiles(folder, image, machine, taken));
    }
    const names = ['web-2-2.virt', 'web-2.virt', 'web-3.virt', 'web.raspi3b', 'web.virt'];
    assert.equal(
      (await readdir(folder)).sort(),
      names.flatMap((name) => [`${name}.html`, `${name}.junit.xml`]),
    );
  }));

test('a folder for reports is made; what can be none is refused before anything boots', () =>
  withFolder(async (folder) => {
    await prepareFolder(path.join(folder, 'a/b'));
    assert.ok((await stat(path.join(folder, 'a/b'))).isDirectory());
    const file = path.join(folder, 'file');
    await writeFile(file, '');
    for (const wrong of [file, path.join(file, 'below')]) {
      const error = await prepareFolder(wrong).catch((caught: unknown) => caught as PiimgError);
      assert.is(error?.exitCode, EXIT.usage);
      assert.match(error?.message ?? '', `Reports cannot be written to ${wrong}: E`);
      assert.is(error?.hint, 'Name another folder with --reports.');
    }
  }));

test.run();
