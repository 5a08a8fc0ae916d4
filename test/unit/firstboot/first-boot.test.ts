// The agent's story on a root of its own: what it makes, what it leaves, what it says when it cannot.
import { readdir, rm, stat } from 'node:fs/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { statusOnBoot, withRoot } from '../../helpers/first-boot.ts';
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

test('a card that cannot be written to: the result cannot be kept, and is told all the same', async () => {
  await withRoot(async (root) => {
    await loadBalancer(root);
    await rm(root.machine.at('etc/lb'), { recursive: true, force: true });
    // A file where a folder should be, as nobody can write-protect a folder against root.
    await root.write('var/lib/piimg', 'no folder');
    const { log } = await root.boot();
    assert.match(log.join('\n'), /^<3>piimg: raspberrypi is NOT web: failed: .*var\/lib\/piimg/m);
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
    const early = (await root.ended('signal')).log.join('\n');
    assert.match(early, 'memory was short: see dmesg');
    assert.match(early, 'is NOT web: failed: The agent was killed');
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
