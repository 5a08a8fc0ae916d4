// Each kind of step on a root of its own: it does what it says, once, and says why when it cannot.
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { rm, stat } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { becomes, fails, withRoot } from '../../helpers/first-boot.ts';

test('users and groups, by the real shadow tools', async () => {
  await withRoot(async (root) => {
    for (const table of ['shadow', 'gshadow']) await root.write(`etc/${table}`, 'root:*::\n');
    const steps = [
      { step: 'group', name: 'team', group: 'team', system: true },
      { step: 'user', name: 'app', user: 'app', system: true, groups: ['team'], after: ['team'] },
    ];
    await becomes(root, steps, 'applied');
    assert.match(await root.read('etc/passwd'), /^app:x:\d+:\d+::.*:\/usr\/sbin\/nologin$/m);
    assert.match(await root.read('etc/group'), /^team:x:\d+:app$/m);
    await becomes(root, steps, 'unchanged');
    await root.write('etc/group', (await root.read('etc/group')).replace(/(?<=^team:.*:)app$/m, ''));
    const { result } = await root.boot();
    assert.equal(
      result.steps.map(({ state }) => state),
      ['unchanged', 'applied'],
    );
    const file = { step: 'directory', name: 'data', path: '/srv/data', owner: 'app', group: 'team', mode: '2770' };
    await becomes(root, [...steps, file], 'unchanged').catch(() => {});
    assert.is((await stat(root.machine.at('srv/data'))).mode & 0o7777, 0o2770);
    const { message, hint } = await fails(root, [{ ...file, owner: 'nobody-here' }]);
    assert.is(message, 'there is no user nobody-here');
    assert.match(hint ?? '', /make user nobody-here first/);
  });
});

test('commands: guards, what their words are, a deadline', async () => {
  await withRoot(async (root) => {
    process.env.ROOT = root.dir;
    const value = `it's "$HOME" \`id\` \\`;
    await root.document({ variables: { value, empty: '' } });
    const steps = [
      { step: 'command', name: 'made', script: 'printf %s {{value}}{{empty}} >"$ROOT/made"', creates: '/made' },
      {
        step: 'command',
        name: 'raw',
        script: 'echo "{{{empty}}}raw" >>"$ROOT/raw"',
        unless: 'grep -q raw "$ROOT/raw"',
      },
    ];
    await becomes(root, steps, 'applied');
    assert.is(await root.read('made'), value);
    await becomes(root, steps, 'unchanged');
    assert.is(await root.read('raw'), 'raw\n');

    // It comes first in the script that was cut: that it is there says nothing.
    const half = { step: 'command', name: 'half', script: 'touch "$ROOT/half"; test -e "$ROOT/go"', creates: '/half' };
    await fails(root, [half]);
    await root.write('go', '');
    await becomes(root, [half], 'applied');
    await becomes(root, [half], 'unchanged');

    const guarded = { ...half, name: 'guarded', creates: undefined, unless: 'test -e "$ROOT/half"' };
    await rm(root.machine.at('half'));
    await rm(root.machine.at('go'));
    await fails(root, [guarded]);
    await root.write('go', '');
    // With another content too.
    await becomes(root, [{ ...guarded, script: `${guarded.script}; touch "$ROOT/end"` }], 'applied');
    assert.ok(existsSync(root.machine.at('end')));

    // A look that fails is no script that was cut.
    const look = 'test ! -e "$ROOT/hang" || sleep 60; test -e "$ROOT/runs"';
    const once = { step: 'command', name: 'once', script: 'echo x >>"$ROOT/runs"', unless: look, timeout: '1s' };
    await becomes(root, [once], 'applied');
    await root.write('hang', '');
    assert.match((await fails(root, [once])).message, 'took longer than 1 seconds');
    await rm(root.machine.at('hang'));
    await becomes(root, [once], 'unchanged');

    const vain = await fails(root, [{ step: 'command', name: 'vain', script: ':', creates: '/never' }]);
    assert.is(vain.message, 'it was applied, but /never is not there');
    const before = Date.now();
    const late = await fails(root, [
      { step: 'command', name: 'late', script: 'echo begun; sleep 60 & wait', timeout: '1s' },
    ]);
    assert.is(late.message, 'the script took longer than 1 seconds');
    assert.is(late.output, 'begun');
    assert.ok(Date.now() - before < 30_000);
    const typo = await fails(root, [{ step: 'command', name: 'typo', script: 'echo {{valeu}}' }]);
    assert.match(typo.message, /^the script of step typo: line 1: unknown name `valeu`/);
    assert.match(typo.hint ?? '', /value/);
  });
});

test('a script and statements with a secret are in no list of processes', async () => {
  await withRoot(async (root) => {
    const look = 'cat /proc/[0-9]*/cmdline | tr "\\0" "\\n"';
    await root.program('mariadb', `cat >/dev/null; ${look} >'${root.dir}/seen-by-sql'`);
    await root.document({ secrets: { token: 'sEcReTtOkEn' } });
    process.env.ROOT = root.dir;
    const script = `: {{secrets.token}}; ${look} >"$ROOT/seen"`;
    await becomes(
      root,
      [
        { step: 'command', name: 'look', script },
        { step: 'sql', name: 'ask', server: 'mariadb', statements: 'SELECT {{secrets.token}}' },
      ],
      'applied',
    );
    for (const [seen, step] of [
      ['seen', 'run/piimg/script'],
      ['seen-by-sql', 'mariadb'],
    ] as const) {
      assert.match(await root.read(seen), step, 'the list holds the processes of the step');
      assert.not.match(await root.read(seen), 'sEcReTtOkEn');
    }
  });
});

test('waiting: for this machine, for peers by any of their addresses, and not for ever', async () => {
  await withRoot(async (root) => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const peers = { db: [{ name: 'pi-db1', addresses: ['127.1.2.3', '127.0.0.1'] }], lb: [] };
    await root.document({ peers });
    const step = { step: 'wait', name: 'up', port, timeout: '30s' };
    await becomes(
      root,
      [step, { ...step, name: 'db', peers: 'db' }, { ...step, name: 'lb', peers: 'lb' }],
      'unchanged',
    );
    server.close();
    const gone = await fails(root, [{ ...step, timeout: '1s', peers: 'db' }]);
    assert.is(gone.message, `port ${port} does not answer on pi-db1 (127.1.2.3, 127.0.0.1), for 1 seconds`);
    assert.match(gone.hint ?? '', /Is that machine on.*piimg-firstboot retry/);
    const unknown = await fails(root, [{ ...step, peers: 'cache' }]);
    assert.is(unknown.message, 'The node document names no peers of role cache.');

    // It comes up while it is waited for.
    const late = createServer();
    setTimeout(() => late.listen(port, '127.0.0.1'), 1500);
    await becomes(root, [{ ...step, name: 'late' }], 'applied');
    late.close();
  });
});

test('swap: in a file, and in compressed memory', async () => {
  await withRoot(async (root) => {
    await root.write('proc/swaps', 'Filename Type Size Used Priority\n');
    const used = (name: string): string => `printf 'Filename Type\\n${name} file\\n' >'${root.dir}/proc/swaps'`;
    // Stand-ins for what needs the kernel's swap.
    await root.program('swapon', used('/var/swap/piimg'));
    const file = { step: 'swap', name: 'swap', kind: 'file', size: '4M' };
    await becomes(root, [file], 'applied');
    const { size, blocks, mode } = await stat(root.machine.at('var/swap/piimg'));
    assert.equal([size, blocks * 512 >= size, mode & 0o777], [4 * 2 ** 20, true, 0o600]);
    assert.match(await root.read('etc/fstab'), /^\/var\/swap\/piimg none swap sw 0 0$/m);
    await becomes(root, [file], 'unchanged');

    await root.write('etc/systemd/system/.keep', '');
    await root.program('systemctl', `[ "$1" != restart ] || ${used('/dev/zram0')}`);
    const zram = { step: 'swap', name: 'swap', size: '256M' };
    await becomes(root, [zram], 'applied');
    assert.match(await root.read('etc/systemd/system/piimg-zram.service'), `echo ${256 * 2 ** 20} >`);
    await becomes(root, [zram], 'unchanged');
  });
});

test('peers of two roles by two steps; a template with a secret is not for others', async () => {
  await withRoot(async (root) => {
    const peers = {
      db: [{ name: 'pi-db1', addresses: ['10.0.0.1'] }],
      lb: [{ name: 'pi-lb1', addresses: ['10.0.0.2'] }],
    };
    await root.document({ peers, secrets: { token: 'sEcReT' } });
    await root.write('usr/lib/piimg/node/o/t', 'token={{secrets.token}}\n');
    await root.write('usr/lib/piimg/node/o/plain', 'nothing\n');
    const template = { step: 'template', overlay: 'o' };
    const steps = [
      { step: 'hosts', name: 'db', roles: ['db'] },
      { step: 'hosts', name: 'lb', roles: ['lb'] },
      { ...template, name: 'secret', template: 't', destination: '/etc/t', mode: '0644' },
      { ...template, name: 'plain', template: 'plain', destination: '/etc/plain' },
    ];
    await becomes(root, steps, 'applied');
    assert.match(await root.read('etc/hosts'), /10\.0\.0\.1 pi-db1 [^]*10\.0\.0\.2 pi-lb1 /);
    assert.is((await stat(root.machine.at('etc/t'))).mode & 0o777, 0o640);
    assert.is((await stat(root.machine.at('etc/plain'))).mode & 0o777, 0o644);
    await becomes(root, steps, 'unchanged');
  });
});

test('units: each state is asked for in its word, and a unit that does not come up is told with its journal', async () => {
  await withRoot(async (root) => {
    const unit = (state: string) => ({ step: 'unit', name: state, unit: 'web.service', state });
    await becomes(root, [unit('started'), unit('enabled')], 'unchanged');
    await becomes(root, [unit('restarted'), unit('reloaded')], 'applied');
    // systemd calls a oneshot that never ran a success, too.
    const idle = `printf 'LoadState=loaded\\nActiveState=inactive\\nUnitFileState=enabled\\nType=oneshot\\nResult=success\\n'`;
    await root.program('systemctl', `case "$1" in show) ${idle} ;; esac`);
    const once = { ...unit('started'), name: 'once' };
    await becomes(root, [once], 'applied');
    const [, started, shown, flushed] = (await root.calls()).slice(-4);
    assert.equal([started, shown?.slice(0, 14), flushed], ['systemctl start web.service', 'systemctl show', 'sync ']);
    await becomes(root, [once], 'unchanged');
    const down = `printf 'LoadState=loaded\\nActiveState=failed\\nUnitFileState=disabled\\nType=simple\\nResult=exit-code\\n'`;
    await root.program('systemctl', `case "$1" in show) ${down} ;; start) echo "Job failed" >&2; exit 1 ;; esac`);
    await root.program('journalctl', 'echo "no such option --prot"');
    const { message, hint, output } = await fails(root, [unit('started')]);
    assert.is(message, 'systemctl start web.service ended with status 1');
    assert.is(hint, 'See on the machine: journalctl -u web.service');
    assert.is(output, 'Job failed\nno such option --prot');
    await becomes(root, [unit('stopped'), unit('disabled')], 'unchanged');
  });
});

test('units: one that fell over too often before its machine was ready is started all the same', async () => {
  await withRoot(async (root) => {
    const show = `test -e up && s=active || s=failed; printf "LoadState=loaded\\nActiveState=$s\\nType=simple\\n"`;
    const start = `test -e clean && touch up && exit; echo "Job for web.service failed because start of the service was attempted too often." >&2; exit 1`;
    await root.program(
      'systemctl',
      `cd ${root.machine.root}; case "$1" in show) ${show} ;; start) ${start} ;; reset-failed) touch clean ;; esac`,
    );
    await becomes(root, [{ step: 'unit', name: 'web', unit: 'web.service', state: 'started' }], 'applied');
  });
});

test('the firewall is checked before it is loaded again, and loaded once', async () => {
  await withRoot(async (root) => {
    const step = { step: 'firewall', name: 'reload' };
    await root.program('nft', 'echo "syntax error" >&2; exit 1');
    const { output } = await fails(root, [step]);
    assert.is(output, 'syntax error');
    assert.not.ok((await root.calls()).some((call) => call.startsWith('systemctl reload')));
    await root.program('nft', '');
    await becomes(root, [step], 'applied');
    assert.ok((await root.calls()).includes('systemctl reload-or-restart nftables.service'));
    await becomes(root, [step], 'unchanged');
    assert.not.ok(existsSync(root.machine.at('run/piimg/lock')));
  });
});

test('steps side by side may need the same new folders', async () => {
  await withRoot(async (root) => {
    const steps = ['a', 'b', 'c'].map((name) => ({ step: 'directory', name, path: `/srv/app/conf/${name}` }));
    for (let round = 0; round < 5; round++) {
      await becomes(root, steps, 'applied');
      await rm(root.machine.at('srv'), { recursive: true });
    }
  });
});

test.run();
