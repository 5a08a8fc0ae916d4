// Statements in database servers, on a root of its own with stand-ins for their clients.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { becomes, fails, withRoot, type Root } from '../../helpers/first-boot.ts';

async function guarded(root: Root, step: object, says: string): ReturnType<Root['boot']> {
  await root.program('mariadb', `echo "ERROR: ${says.replaceAll('`', '\\`')}" >&2; exit 1`);
  await root.role([step]);
  return root.boot();
}

test('SQL: literals in the words of each server, guards, and what a server says', async () => {
  await withRoot(async (root) => {
    const value = `it's a \\ "secret"`;
    const literal = `it''s a \\\\ "secret"`;
    await root.document({ secrets: { value } });
    // Stand-ins for the servers' clients: the real ones are asked on an emulated Pi (test/system/boot-first-boot.test.ts).
    for (const client of ['mariadb', 'runuser']) {
      await root.program(
        client,
        `tee -a '${root.dir}/statements' | grep -q guard && cat '${root.dir}/row' 2>/dev/null; :`,
      );
    }
    const statements = 'CREATE USER x PASSWORD {{secrets.value}};\n';
    const sql = (server: string) => ({ step: 'sql', name: server, server, statements, unless: `SELECT 'guard'` });
    const { message } = await fails(root, [sql('mariadb')]);
    assert.is(message, 'it was applied, but the query of `unless` gives no row');
    assert.match(await root.read('statements'), `PASSWORD 'it''s a \\\\ "secret"';`);
    await root.write('statements', '');
    await fails(root, [sql('postgresql')]);
    assert.match(await root.read('statements'), `PASSWORD 'it''s a \\ "secret"';`);
    await root.write('row', '1\n');
    // They did not end well: that the guard is content now says nothing of those that come after what it looks at.
    await becomes(root, [sql('mariadb'), sql('postgresql')], 'applied');
    await becomes(root, [sql('mariadb'), sql('postgresql')], 'unchanged');
    assert.ok((await root.calls()).includes('mariadb --batch --skip-column-names'));

    await root.program('mariadb', `echo "ERROR 1045: no access for ${value.replaceAll(/["\\]/g, '\\$&')}" >&2; exit 1`);
    const refused = await fails(root, [{ ...sql('mariadb'), unless: undefined }]);
    assert.is(refused.message, 'mariadb --batch --skip-column-names ended with status 1');
    assert.is(refused.output, 'ERROR 1045: no access for (secret)');
    // A guard that cannot be asked yet is no failure; what a server shows of a statement is left out.
    const { result, log } = await guarded(
      root,
      { ...sql('mariadb'), name: 'early' },
      `no \`x\` near '${literal.replaceAll(/["\\]/g, '\\$&')}'`,
    );
    assert.is(result.failure?.output, 'ERROR: no `x`');
    assert.ok(
      log.some((line) => line.includes('the query of `unless` fails: ERROR: no `x`')),
      log.join('\n'),
    );
  });
});

test.run();
