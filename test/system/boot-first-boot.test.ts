// Every kind of step on an emulated Pi, with real MariaDB, PostgreSQL, disks and units; then a changed node, a failure, a retry.
import { cp, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Result } from '../../src/lib/first-boot.ts';
import { withSession, type Session } from '../../src/boot/session.ts';
import { makeSeedKey } from '../../src/boot/seed-key.ts';
import { cacheFolder } from '../../src/cli/context.ts';
import { run } from '../../src/host/exec.ts';
import type { ImageManifest } from '../../src/image/manifest.ts';
import { loginSeed } from '../../src/seed/login.ts';
import { padSlot } from '../../src/seed/minimal.ts';
import { showDetail } from '../helpers/built.ts';
import { piimgCommand } from '../helpers/command.ts';
import { askAll } from '../helpers/login.ts';
import { withQemu } from '../helpers/qemu.ts';

const PASSWORD = `it's "a" \\ $ecret`;
const DOCUMENT = {
  node: 'pi-steps1',
  variables: { greeting: `it's "hello"` },
  peers: { db: [{ name: 'pi-db1', addresses: ['192.168.254.130', 'fd00::82'] }] },
  secrets: { password: PASSWORD },
};

/** The image of the role `steps`, in a project that lies in the cache. */
async function builtSteps(): Promise<{ image: string; manifest: ImageManifest }> {
  const project = path.join(cacheFolder(process.env), 'test', 'steps');
  await mkdir(project, { recursive: true });
  await cp('test/fixtures/steps', project, { recursive: true });
  const command = [...piimgCommand(), 'build', '--role', 'steps', '--progress', 'log'];
  await run(command, { cwd: project, signal: AbortSignal.timeout(30 * 60_000) }).catch(showDetail);
  const manifest = JSON.parse(await readFile(path.join(project, 'out/steps.manifest.json'), 'utf8')) as ImageManifest;
  return { image: path.join(project, 'out/steps.img'), manifest };
}

const RESULT = 'cat /var/lib/piimg/result.json';
/** Until the agent has ended, however it did. */
const WAIT = 'systemctl is-system-running --wait >/dev/null; systemctl start piimg-firstboot; :';

/** What the machine must say, of what the steps have made. */
const QUESTIONS = {
  status: 'piimg-firstboot status',
  settings: 'stat -c "%a %U %G" /etc/steps/settings.conf; cat /etc/steps/settings.conf',
  hosts: 'getent hosts pi-db1',
  keeper: 'id -nG keeper',
  data: 'findmnt -no FSTYPE,OPTIONS /srv/data; stat -c "%a %U %G" /srv/data/shares',
  swap: 'swapon --show=NAME,SIZE --noheadings --raw',
  mariadb: `mariadb --batch --skip-column-names -u shop --password="$(sed -n 's/^password=//p' /etc/steps/settings.conf)" shop -e 'SELECT text FROM greetings'`,
  postgresql: `PGPASSWORD="$(sed -n 's/^password=//p' /etc/steps/settings.conf)" psql -h 127.0.0.1 -U shop -d postgres -tAc "SELECT current_user"; runuser -u postgres -- psql -tAc 'SELECT text FROM greetings'`,
  enabled: 'systemctl is-enabled mariadb; nft list ruleset | grep -c "dport"',
  // No secret in the journal, in a file that others may read, or on the boot partition.
  leaks: `journalctl --no-pager | grep -F 'ecret' | grep -vi 'secrets'; find /etc /var /boot /home /root /run /tmp -xdev -type f -perm -o+r -exec grep -lF '\\ $ecret' {} +; grep -rlF 'ecret"' /boot/firmware; grep -lF '$ecret' /var/lib/cloud -r; :`,
  kept: `stat -c %a /var/lib/piimg/secrets.json; grep -cF ecret /var/lib/piimg/secrets.json`,
  memory: `sed -n 's/.*"peakMemory": \\([0-9]*\\).*/\\1/p' /var/lib/piimg/result.json`,
  console: 'cat /sys/class/tty/console/active',
  again: `systemctl restart piimg-firstboot; systemctl show -p ConditionResult,ExecMainStatus,Result piimg-firstboot; ${RESULT}`,
};

/** Kills it at its work, and waits for what is told of that. */
const KILL = `rm /var/lib/piimg/seen.sha256; systemctl restart --no-block piimg-firstboot
until grep -q '"status": "working"' /var/lib/piimg/result.json; do sleep 0.1; done
systemctl kill --signal=KILL --kill-whom=main piimg-firstboot
while grep -q '"status": "working"' /var/lib/piimg/result.json; do sleep 0.5; done; piimg-firstboot status`;

async function resultOf(session: Session): Promise<Result> {
  return JSON.parse((await session.ask(RESULT)).stdout) as Result;
}

/** Puts another node document on the boot partition, as a laptop would, and lets the agent look. */
async function given(session: Session, document: object): Promise<Result> {
  const text = JSON.stringify(document).replaceAll("'", `'\\''`);
  await session.ask(`printf %s '${text}' >/boot/firmware/piimg.json; systemctl restart piimg-firstboot`, {
    seconds: 600,
  });
  return resultOf(session);
}

const states = ({ steps }: Result, state: string): string[] =>
  steps.filter((step) => step.state === state).map(({ name }) => name);

test('a machine with one of each step', async () => {
  const { image, manifest } = await builtSteps();
  const work = await mkdtemp(path.join(tmpdir(), 'piimg-steps-'));
  const { buildId } = manifest;
  const document = { version: 1, buildId, role: 'steps', ...DOCUMENT };
  try {
    const key = await makeSeedKey(work);
    const seed = loginSeed(manifest.slots, {
      instanceId: 'steps-1',
      hostname: 'pi-steps1',
      user: 'pilot',
      keys: [key.public],
    });
    const slot = manifest.slots.find(({ name }) => name === 'piimg.json');
    assert.ok(slot);
    const patches = [
      ...seed.map(({ slot: { offset }, content }) => ({ offset, content })),
      { offset: slot.offset, content: padSlot(JSON.stringify(document), slot.length) },
    ];
    await withQemu({ machine: 'virt', image, folder: work, patches, forward: [22], minutes: 40 }, async (guest) => {
      await guest.said(/piimg: pi-steps1 is (NOT )?steps.*/);
      const login = { port: guest.ports[22] ?? 0, user: 'pilot', key: key.file };
      await withSession({ login, seconds: 300 }, async (session) => {
        await session.ask(WAIT, { seconds: 900 });
        const first = await resultOf(session);
        assert.is(first.status, 'applied', JSON.stringify(first.failure));
        // Debian starts PostgreSQL by itself; MariaDB's unit is ready when its port is.
        const others = first.steps.filter(({ name }) => !['postgresql', 'mariadb-answers'].includes(name));
        assert.equal(states({ ...first, steps: others }, 'applied').length, others.length, JSON.stringify(others));
        const answers = await askAll(session, QUESTIONS);
        console.log(`peak memory of the agent: ${answers.memory.output} bytes; ${first.seconds} s`);
        const said = (name: keyof typeof QUESTIONS, pattern: RegExp | string) =>
          assert.match(answers[name].output, pattern, `${name}: ${answers[name].output}`);
        said('status', /^piimg: pi-steps1 is steps: \d+ steps/);
        assert.is(
          answers.settings.output,
          `640 root team\nit's "hello" from pi-steps1\npi-db1=192.168.254.130\npassword=${PASSWORD}`,
        );
        said('hosts', 'fd00::82');
        assert.is(answers.keeper.output, 'keeper team');
        said('data', /^ext4 .*noatime[^]*\n2770 keeper team$/);
        said('swap', /^\/dev\/zram0 128M$/m);
        said('swap', /^\/var\/swap\/piimg 32M$/m);
        assert.is(answers.mariadb.output, `it's "hello"`);
        assert.is(answers.postgresql.output, `shop\nit's "hello"`);
        said('enabled', /^enabled\n[1-9]/);
        assert.is(answers.leaks.output, '');
        assert.is(answers.kept.output, '600\n1');
        said('again', /"status": "applied"/);
        assert.is((await resultOf(session)).started, first.started, 'there was nothing to do: nothing ran');

        const changed = await given(session, {
          ...document,
          variables: { greeting: 'good evening' },
          secrets: { password: null },
        });
        assert.is(changed.status, 'applied', JSON.stringify(changed.failure));
        assert.equal(states(changed, 'applied').sort(), ['mariadb-table', 'postgresql-table', 'settings']);

        const peers = { ...document.peers, cache: [{ name: 'nobody', addresses: ['not an address'] }] };
        const wrong = await given(session, { ...document, peers });
        assert.is(wrong.status, 'failed');
        assert.match(wrong.failure?.message ?? '', 'peers/cache/0/addresses/0');
        const { stdout, status } = await session.ask('piimg-firstboot retry');
        assert.is(status, 1);
        assert.match(stdout, 'is NOT steps');
        await given(session, { ...document, secrets: { password: null } });
        const reapplied = await session.ask('piimg-firstboot reapply', { seconds: 600 });
        assert.is(reapplied.status, 0, reapplied.stdout);
        assert.match(reapplied.stdout, /unchanged {2}mariadb-user/);
        assert.match((await session.ask('piimg-firstboot retry 2>&1')).stdout, 'There is nothing to retry');
        const killed = await session.ask(KILL, { seconds: 300 });
        assert.match(killed.stdout, /is NOT steps: failed: The agent was killed before it was done \(signal\)/);
        assert.match((await session.ask('piimg-firstboot log')).stdout, /step mariadb-user: finished in/);
      });
      await guest.powerOff(180);
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
});

test.run();
