// What the agent reads from the boot partition, takes off it and leaves there, where any laptop can read and change it.
import { existsSync } from 'node:fs';
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import { statusOnBoot, withRoot, type Root } from '../../helpers/first-boot.ts';
import { loadBalancer, SECRET } from '../../helpers/load-balancer.ts';

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

test.run();
