// The agent's story on a root of its own: what it makes, what it leaves, what it says when it cannot.
import { existsSync } from 'node:fs';
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import { withRoot, type Root } from '../../helpers/first-boot.ts';
import { DOCUMENT, loadBalancer, SECRET } from '../../helpers/load-balancer.ts';

const states = ({ steps }: { steps: { name: string; state: string }[] }): string =>
  steps.map(({ name, state }) => `${name} ${state}`).join(', ');

test('a load balancer becomes one, and stays one without doing anything again', async () => {
  await withRoot(async (root) => {
    await loadBalancer(root);
    await root.write('said', `restarted, with ${SECRET}\n`);
    const up = `printf 'LoadState=loaded\\nActiveState=active\\n'`;
    await root.program('systemctl', `case "$1" in show) ${up} ;; restart) cat '${root.dir}/said' ;; esac`);
    const { result, log } = await root.boot();
    assert.is(result.status, 'applied', JSON.stringify(result.failure));
    assert.is(states(result), 'folder applied, upstreams applied, restart applied, peers applied');
    assert.is(
      await root.read('etc/lb/upstreams.conf'),
      `server pi-web1 192.168.254.122:3000;\nserver pi-web2 192.168.254.123:3000;\n# pi-lb1, ${SECRET}\n`,
    );
    assert.is((await stat(root.machine.at('etc/lb/upstreams.conf'))).mode & 0o777, 0o640);
    assert.match(
      await root.read('etc/hosts'),
      /^127\.0\.0\.1 localhost\n192\.168\.254\.122 pi-web1 .*\nfd00::7a pi-web1 /,
    );
    assert.ok((await root.calls()).includes('systemctl restart lb.service'));
    assert.ok(
      log.some((line) => /^<6>step upstreams: started \(template\): .* is not there$/.test(line)),
      log.join('\n'),
    );
    assert.ok(log.some((line) => /^<6>step upstreams: finished in [\d.]+ s$/.test(line)));
    assert.ok(log.includes('<6>step restart: $ systemctl restart lb.service'), log.join('\n'));
    assert.ok(log.includes('<6>step restart: | restarted, with (secret)'), log.join('\n'));
    assert.ok(log.some((line) => /^<6>piimg: pi-lb1 is web: 4 steps, \d+ s$/.test(line)));

    const { result: again } = await root.boot();
    assert.is(states(again), 'folder unchanged, upstreams unchanged, restart unchanged, peers unchanged');
    assert.is((await root.calls()).filter((call) => call === 'systemctl restart lb.service').length, 1);
  });
});

test('a changed document applies the difference, and what comes after it', async () => {
  await withRoot(async (root) => {
    await loadBalancer(root);
    await root.boot();
    const [first] = DOCUMENT.peers.web;
    await root.document({ ...DOCUMENT, peers: { web: [first] }, secrets: { token: null } });
    const { result } = await root.boot();
    assert.is(states(result), 'folder unchanged, upstreams applied, restart applied, peers applied');
    // The secret is the one the machine has kept.
    assert.is(await root.read('etc/lb/upstreams.conf'), `server pi-web1 192.168.254.122:3000;\n# pi-lb1, ${SECRET}\n`);
    assert.not.match(await root.read('etc/hosts'), 'pi-web2');
  });
});

/** Text of every file below a folder that anybody but root may read. */
async function readableByAll(root: Root, folder: string): Promise<string> {
  const texts: string[] = [];
  for (const entry of await readdir(root.machine.at(folder), { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = path.join(path.relative(root.dir, entry.parentPath), entry.name);
    if ((await stat(root.machine.at(file))).mode & 0o044) texts.push(await root.read(file));
  }
  return texts.join('\n');
}

test('secrets leave the boot partition, and are in nothing that others may read', async () => {
  await withRoot(async (root) => {
    await loadBalancer(root);
    const user = { name: 'pi', ssh_authorized_keys: ['ssh-ed25519 AAAA'], passwd: '$y$hash' };
    const runcmd = ["printf '%s\\n' 'bob:$6$other' | chpasswd -e"];
    const userData = { hostname: 'pi-lb1', users: [user], ssh_keys: { ed25519_private: 'PRIVATE' }, runcmd };
    await root.write('boot/firmware/user-data', `#cloud-config\n${JSON.stringify(userData)}`.padEnd(4096, '\n'));
    const network = { version: 2, ethernets: {}, wifis: { wlan0: { 'access-points': { home: { password: 'PSK' } } } } };
    await root.write('boot/firmware/network-config', JSON.stringify(network).padEnd(4096, '\n'));
    await root.write('boot/firmware/meta-data', 'instance-id: i-1\n');
    const { result, log } = await root.boot();
    assert.is(result.status, 'applied');
    assert.equal(result.notes, []);

    const readable = `${await readableByAll(root, 'boot')}${await readableByAll(root, 'var')}${log.join('\n')}`;
    for (const secret of [SECRET, JSON.stringify(SECRET).slice(1, -1), 'PRIVATE', 'PSK', '$y$hash', '$6$other']) {
      assert.not.ok(readable.includes(secret), secret);
    }
    // What is looked for is found where it may be.
    assert.match(await root.read('var/lib/piimg/secrets.json'), 's3cret');
    assert.is((await stat(root.paths.secrets)).mode & 0o777, 0o600);
    const blank = JSON.parse((await root.read('boot/firmware/user-data')).slice('#cloud-config\n'.length)) as object;
    assert.equal(blank, { hostname: 'pi-lb1', users: [{ name: 'pi', ssh_authorized_keys: ['ssh-ed25519 AAAA'] }] });
    assert.equal(JSON.parse(await root.read('boot/firmware/network-config')), { version: 2, ethernets: {} });
    assert.is(await root.read('boot/firmware/meta-data'), 'instance-id: i-1\n');
    for (const slot of ['user-data', 'network-config', 'piimg.json']) {
      assert.is((await stat(root.machine.at(`boot/firmware/${slot}`))).size, 4096, slot);
    }
    assert.equal(JSON.parse(await root.read('boot/firmware/piimg-result.json')).status, 'applied');
    const [digest] = (await root.read('var/lib/piimg/seen.sha256')).split(' ');
    assert.match(digest ?? '', /^[0-9a-f]{64}$/);
  });
});

test('user-data that somebody wrote by hand stays, which is said', async () => {
  await withRoot(async (root) => {
    await loadBalancer(root);
    await root.write('boot/firmware/user-data', '#cloud-config\npassword: mine\n');
    const { result } = await root.boot();
    assert.match(result.notes.join(), /user-data was not written by piimg/);
    assert.is(await root.read('boot/firmware/user-data'), '#cloud-config\npassword: mine\n');
  });
});

test('a long user-data of somebody else, newlines to its end, is looked through in one go', async () => {
  await withRoot(async (root) => {
    // Slots are padded; a search that begins anew at each line would outlast the boot's deadline many times over.
    await root.write('boot/firmware/user-data', '#cloud-config\nhostname: mine # no password\n'.padEnd(1 << 20, '\n'));
    const { result } = await root.boot();
    assert.is(result.status, 'applied');
    assert.equal(result.notes, []);
  });
});

test('a failing step stops the rest; status, output and what to do are told; a retry goes on where it stopped', async () => {
  await withRoot(async (root) => {
    await root.role([
      { step: 'command', name: 'first', script: 'echo one >>"$ROOT/order"' },
      {
        step: 'command',
        name: 'second',
        script: 'echo half done; echo {{secrets.token}} >&2; test -e "$ROOT/ready"',
        after: ['first'],
      },
      { step: 'command', name: 'third', script: 'echo three >>"$ROOT/order"', after: ['second'] },
    ]);
    await root.document({ secrets: { token: SECRET } });
    process.env.ROOT = root.dir;
    const { result, log } = await root.boot();
    assert.is(states(result), 'first applied, second failed, third waiting');
    const { hint, ...failure } = result.failure ?? { message: '' };
    assert.equal(failure, {
      step: 'second',
      message: 'the script ended with status 1',
      output: 'half done\n(secret)',
    });
    assert.match(hint ?? '', 'sudo piimg-firstboot retry');
    assert.ok(log.some((line) => /^<3>step second: failed after [\d.]+ s: the script ended with status 1$/.test(line)));
    assert.not.ok(log.join('\n').includes('s3cret'));
    assert.match(await root.read('boot/firmware/piimg.json'), 's3cret', 'it is needed once more');

    await root.write('ready', '');
    const { result: again } = await root.boot();
    assert.is(states(again), 'first unchanged, second applied, third applied');
    assert.is(await root.read('order'), 'one\nthree\n');
  });
});

test('a document that is no JSON is not quoted: there may be a secret in it', async () => {
  await withRoot(async (root) => {
    await root.write('boot/firmware/piimg.json', `{"secrets": {"token": ${SECRET}`);
    const { result, log } = await root.boot();
    assert.is(result.status, 'failed');
    assert.not.match(JSON.stringify(result) + log.join(), 's3cret');
  });
});

test('what is mended is followed by what comes after it, also when the power went in between', async () => {
  await withRoot(async (root) => {
    await loadBalancer(root);
    await root.boot();
    await root.write('etc/lb/upstreams.conf', 'changed by hand');
    const { result } = await root.boot();
    assert.is(states(result), 'folder unchanged, upstreams applied, restart applied, peers unchanged');

    // Cut right after the file was there.
    const journal = JSON.parse(await root.read('var/lib/piimg/journal.json')) as {
      steps: Record<string, { state: string }>;
    };
    await root.write('etc/lb/upstreams.conf', 'changed once more');
    await root.program('systemctl', 'exit 1');
    await root.boot();
    assert.is(journal.steps.restart?.state, 'applied');
    await root.program('systemctl', `case "$1" in show) printf 'LoadState=loaded\\nActiveState=active\\n' ;; esac`);
    const { result: again } = await root.boot();
    assert.is(states(again), 'folder unchanged, upstreams unchanged, restart applied, peers unchanged');
  });
});

test('cloud-init that has not finished reads its files once more: they stay as they are until then', async () => {
  await withRoot(async (root) => {
    await loadBalancer(root);
    const userData = `#cloud-config\n${JSON.stringify({ ssh_keys: { rsa_private: 'PRIVATE' } })}`.padEnd(4096, '\n');
    await root.write('boot/firmware/user-data', userData);
    const wifis = { wlan0: { 'access-points': { home: { password: 'PSK' } } } };
    await root.write('boot/firmware/network-config', JSON.stringify({ version: 2, wifis }).padEnd(4096, '\n'));
    await root.write('var/lib/cloud/data/instance-id', 'i-2\n');
    await root.write('var/lib/piimg/cloud-init-done', 'i-1\n');
    const { result } = await root.boot();
    assert.is(result.status, 'applied');
    assert.match(result.notes.join(), 'cloud-init has not finished');
    assert.is(await root.read('boot/firmware/user-data'), userData);
    assert.not.ok(existsSync(root.paths.seen), 'the next start looks again');

    await root.write('var/lib/piimg/cloud-init-done', 'i-2\n');
    assert.equal((await root.boot()).result.notes, []);
    assert.not.match(await root.read('boot/firmware/user-data'), 'PRIVATE');
    // What netplan is given when cloud-init makes its own file anew.
    assert.equal(parse(await root.read('etc/netplan/40-piimg-wifi.yaml')), { network: { version: 2, wifis } });
    assert.is((await stat(root.paths.wifi)).mode & 0o777, 0o600);
  });
});

test('the Wi-Fi that was kept stays with the configuration it came from, and goes with another', async () => {
  await withRoot(async (root) => {
    await loadBalancer(root);
    const given = (config: object): Promise<void> =>
      root.write('boot/firmware/network-config', JSON.stringify({ version: 2, ...config }).padEnd(4096, '\n'));
    const wifis = (password: string) => ({ wlan0: { 'access-points': { home: { password } } } });
    await given({ ethernets: {}, wifis: wifis('first') });
    await root.boot();
    // Somebody gives the card another instance id by hand: it is the same machine, and has nothing else to be reached by.
    await root.write('boot/firmware/meta-data', 'instance-id: i-2\n');
    await root.boot();
    assert.match(await root.read('etc/netplan/40-piimg-wifi.yaml'), 'first');
    await given({ ethernets: {}, wifis: wifis('second') });
    await root.boot();
    assert.match(await root.read('etc/netplan/40-piimg-wifi.yaml'), 'second');
    assert.not.match(await root.read('boot/firmware/network-config'), 'second');
    await given({ ethernets: { wired: { dhcp4: true } } });
    const { result } = await root.boot();
    assert.not.ok(existsSync(root.paths.wifi), 'a seed without Wi-Fi');
    assert.equal(result.notes, ['the Wi-Fi of before is gone: the new network-config has none']);
    await given({ ethernets: {}, wifis: wifis('third') });
    await root.boot();
    await root.write('boot/firmware/network-config', 'version: 2 # by hand\n');
    await root.boot();
    assert.not.ok(existsSync(root.paths.wifi), 'one that piimg has not written');
  });
});

test('there is something to do when any file of the seed has changed; what was is not known to be so while it is at work', async () => {
  await withRoot(async (root) => {
    await loadBalancer(root);
    for (const [file, text] of Object.entries({ 'user-data': '#cloud-config\n{}', 'network-config': '{}' }))
      await root.write(`boot/firmware/${file}`, text.padEnd(4096, '\n'));
    await root.boot();
    // As the unit asks.
    const nothingToDo = async (): Promise<boolean> => {
      const asked = await root.machine.run(['sha256sum', '--status', '--check', root.paths.seen], { okCodes: [0, 1] });
      return asked.code === 0;
    };
    for (const name of ['piimg.json', 'user-data', 'network-config', 'meta-data']) {
      assert.ok(await nothingToDo());
      const file = `boot/firmware/${name}`;
      const before = await root.read(file);
      await root.write(file, before.replace(/\n$/, ' '));
      assert.not.ok(await nothingToDo(), name);
      await root.write(file, before);
    }
    await root.program('systemctl', 'exit 1');
    await root.write('etc/lb/upstreams.conf', 'changed by hand');
    assert.is((await root.boot()).result.status, 'failed');
    assert.not.ok(existsSync(root.paths.seen));
  });
});

test('a document that was changed while the agent worked is neither blanked nor taken for done', async () => {
  await withRoot(async (root) => {
    await root.role([
      {
        step: 'command',
        name: 'admin',
        script: `sed -i 's/first/other/' '${root.paths.document}'`,
        unless: 'false || grep -q other "$D"',
      },
    ]);
    await root.document({ secrets: { token: 'first' } });
    process.env.D = root.paths.document;
    const { result } = await root.boot();
    assert.match(result.notes.join(), 'was changed meanwhile');
    assert.match(await root.read('boot/firmware/piimg.json'), 'other');
    assert.not.ok(existsSync(root.paths.seen));
    await root.boot();
    assert.equal(JSON.parse(await root.read('var/lib/piimg/secrets.json')), { token: 'other' });
  });
});

test('a card that cannot be written to: the result cannot be kept, and is told all the same', async () => {
  await withRoot(async (root) => {
    await loadBalancer(root);
    await rm(root.machine.at('etc/lb'), { recursive: true, force: true });
    // A file where a folder should be, as nobody can write-protect a folder against root.
    await root.write('var/lib/piimg', 'no folder');
    const { log } = await root.boot();
    assert.match(log.join('\n'), /^<3>piimg: raspberrypi is NOT unknown: failed: .*var\/lib\/piimg/m);
  });
});

test('two agents at the same time: the second one waits for nobody and says so', async () => {
  await withRoot(async (root) => {
    await loadBalancer(root);
    await root.write('run/piimg/lock', String(process.pid));
    const { log, result } = await root.boot();
    assert.match(log.join('\n'), `Another agent is at work (process ${process.pid})`);
    assert.equal(result, {}, 'the result is the other one’s to write');
    // One that has died is no agent.
    await root.write('run/piimg/lock', '4194305');
    assert.is((await root.boot()).result.status, 'applied');
  });
});

test('an agent that was killed is told by the next program; one that has told by itself, not', async () => {
  await withRoot(async (root) => {
    await root.role([{ step: 'command', name: 'deadly', script: 'kill -9 $PPID; sleep 5' }]);
    await root.document({ node: 'pi-1', role: 'web' });
    await root.boot().catch(() => {});
    assert.is(await statusOnBoot(root), 'working');
    const { log } = await root.ended('oom-kill');
    assert.is(await statusOnBoot(root), 'failed');
    assert.match(log.join('\n'), 'pi-1 is NOT web: failed: The agent was killed before it was done (oom-kill).');
    assert.match(log.join('\n'), 'too little memory');
    assert.equal((await root.ended('signal')).log, []);
    // As early as it can be.
    await rm(root.paths.result);
    assert.match((await root.ended('signal')).log.join('\n'), 'memory was short: see dmesg');
  });
});

test('a secret of several lines is in no line of what a program prints', async () => {
  await withRoot(async (root) => {
    await root.role([{ step: 'command', name: 'print', script: `printf 'of it: %s\\n' {{secrets.pin}}` }]);
    await root.document({ secrets: { pin: 'p1\nq2' } });
    const { log } = await root.boot();
    assert.ok(log.includes('<6>step print: | of it: (secret)'), log.join('\n'));
    assert.not.match(log.join('\n'), /p1|q2/);
  });
});

const statusOnBoot = async (root: Root): Promise<string> =>
  (JSON.parse(await root.read('boot/firmware/piimg-result.json')) as { status: string }).status;

test('a result file that a laptop has cut or removed is made anew; below a mount that failed nothing is written', async () => {
  await withRoot(async (root) => {
    const file = root.paths.resultOnBoot;
    for (const damage of [() => rm(file), () => root.write('boot/firmware/piimg-result.json', '{"ver')]) {
      await damage();
      await root.boot();
      assert.is(await statusOnBoot(root), 'applied');
      assert.is((await stat(file)).size, 16384);
    }
    await rm(root.machine.at('boot/firmware'), { recursive: true });
    await mkdir(root.machine.at('boot/firmware'));
    const { result } = await root.boot();
    assert.match(result.failure?.message ?? '', /^The node document .* cannot be read/);
    assert.match(result.notes.join(), 'not mounted');
    assert.equal(await readdir(root.machine.at('boot/firmware')), []);
  });
});

test('the result is on every console, and the LED tells it', async () => {
  await withRoot(async (root) => {
    await root.write('sys/class/tty/console/active', 'tty1 ttyAMA0\n');
    for (const tty of ['tty1', 'ttyAMA0']) await root.write(`dev/${tty}`, '');
    for (const file of ['trigger', 'delay_on', 'delay_off']) await root.write(`sys/class/leds/ACT/${file}`, '');
    await root.boot();
    assert.match(await root.read('dev/tty1'), 'piimg: raspberrypi is web: 0 steps');
    assert.match(await root.read('dev/ttyAMA0'), 'piimg: raspberrypi is web: 0 steps');
    assert.is((await root.read('sys/class/leds/ACT/trigger')).slice(0, 4), 'mmc0');
    await root.document({ role: 'db' });
    await root.boot();
    assert.match(await root.read('sys/class/leds/ACT/trigger'), 'timer');
    assert.match(await root.read('sys/class/leds/ACT/delay_on'), '1000');
  });
});

test('what writes that were cut have left is removed', async () => {
  await withRoot(async (root) => {
    await root.write('var/lib/piimg/.journal.json.piimg', '{"ste');
    // A journal that nobody can read is no reason to give up.
    await root.write('var/lib/piimg/journal.json', '{"version":1,"steps":{"a":{"dig');
    assert.is((await root.boot()).result.status, 'applied');
    assert.equal((await readdir(root.paths.state)).sort(), ['journal.json', 'result.json', 'seen.sha256']);
  });
});

test.run();
