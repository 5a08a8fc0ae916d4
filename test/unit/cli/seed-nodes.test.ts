// `piimg seed` with a file of several machines.
import { copyFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EXIT } from '../../../src/lib/errors.ts';
import { mtools, seedImage } from '../../helpers/seed-image.ts';
import { keyLine } from '../../helpers/ssh-keys.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';
import { piimg } from './piimg.ts';

test('one of several machines of --from is taken by its name', async () => {
  const folder = temporaryFolder();
  await copyFile(join(await seedImage(), 'web.img'), join(folder, 'web.img'));
  await writeFile(join(folder, 'me.pub'), `${keyLine()}\n`);
  const nodes = { 'pi-web1': { variables: { port: 80 } }, 'pi-web2': {} };
  await writeFile(join(folder, 'nodes.yaml'), JSON.stringify({ version: 1, variables: { port: 1, host: 'a' }, nodes }));
  const args = ['web.img', '--out', 'pi.img', '--from', 'nodes.yaml', '--ssh-key', 'me.pub'];
  assert.is((await piimg(['seed', ...args, '--node', 'pi-web1'], { cwd: folder })).exitCode, 0);
  const document = JSON.parse((await mtools(join(folder, 'pi.img'), 'mtype', '::piimg.json')).stdout) as Record<
    string,
    unknown
  >;
  assert.equal([document.node, document.variables], ['pi-web1', { port: 80, host: 'a' }]);
  const none = await piimg(['seed', ...args], { cwd: folder });
  assert.match(none.stderr, /nodes\.yaml is of 2 machines, and none was named[^]*--node/);
  assert.is(none.exitCode, EXIT.usage);
});

test.run();
