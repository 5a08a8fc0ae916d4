// `npm run bench:firstboot`: what the first-boot agent costs on the machine, beside a shell that does the same and a bare start of Node.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { makeSeedKey } from '../../src/boot/seed-key.ts';
import { withSession, type Session } from '../../src/boot/session.ts';
import type { Result } from '../../src/lib/first-boot.ts';
import { loginSeed } from '../../src/seed/login.ts';
import { builtWeb } from '../helpers/built.ts';
import { withQemu } from '../helpers/qemu.ts';

const ROUNDS = 7;

/** What the two steps of role web come to: a file that survives a power cut, and a unit restarted; the notes that one would take. */
const SHELL = `
mkdir -p /etc/web /var/lib/plain
name=$(hostname)
printf '%s\\n' '# Written on the first boot. What the application is told by systemd.' "NODE_NAME=$name" >/etc/web/.node.env
sync /etc/web/.node.env
mv /etc/web/.node.env /etc/web/node.env
sync /etc/web
systemctl daemon-reload
systemctl restart web.service
systemctl is-active --quiet web.service
for file in /var/lib/plain/result /boot/firmware/plain-result; do
  echo applied >"$file.new"; sync "$file.new"; mv "$file.new" "$file"; sync "$(dirname "$file")"
done`;

/** Each undone before it is done again; all measured in turns, so that what else the machine does falls on all alike. */
const CONTENDERS = {
  'bare node': { undo: ':', run: "node -e ''" },
  shell: { undo: 'rm -rf /etc/web /var/lib/plain', run: 'sh -eu /run/plain' },
  agent: { undo: 'rm -rf /etc/web /var/lib/piimg', run: '/usr/lib/piimg/piimg-firstboot run' },
};
type Contender = keyof typeof CONTENDERS;

const median = (numbers: number[]): number => numbers.sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? NaN;

/** Seconds, by the machine's own clock. */
async function timed(session: Session, { undo, run }: (typeof CONTENDERS)[Contender]): Promise<number> {
  const script = `${undo}; sync; sleep 2; TIMEFORMAT=%R; { time ${run} >/dev/null 2>&1; } 2>&1`;
  const { stdout } = await session.ask(`bash -c '${script.replaceAll("'", `'\\''`)}' 2>&1`, { seconds: 600 });
  const seconds = Number.parseFloat(stdout.trim().split('\n').at(-1) ?? '');
  if (!(seconds > 0)) throw new Error(`no time in: ${stdout}`);
  return seconds;
}

const work = await mkdtemp(path.join(tmpdir(), 'piimg-bench-first-boot-'));
try {
  const { image, manifest } = await builtWeb();
  const key = await makeSeedKey(work);
  const seed = loginSeed(manifest.slots, {
    instanceId: 'bench-1',
    hostname: 'bench',
    user: 'bench',
    keys: [key.public],
  });
  const patches = seed.map(({ slot, content }) => ({ offset: slot.offset, content }));
  await withQemu({ machine: 'virt', image, folder: work, patches, forward: [22, 3000], minutes: 40 }, async (guest) => {
    const healthy = await guest.until('a healthy machine', async () => {
      const { status } = await fetch(`http://127.0.0.1:${guest.ports[3000]}/health`, {
        signal: AbortSignal.timeout(20_000),
      });
      const said = /piimg: \S+ is web: /.test(await guest.console());
      return status === 200 && said ? (Date.now() - guest.poweredOn) / 1000 : undefined;
    });
    const login = { port: guest.ports[22] ?? 0, user: 'bench', key: key.file };
    await withSession({ login, seconds: 300 }, async (session) => {
      await session.ask('systemctl is-system-running --wait', { seconds: 600 });
      const first = JSON.parse((await session.ask('cat /var/lib/piimg/result.json')).stdout) as Result;
      await session.ask(`cat >/run/plain <<'END'${SHELL}\nEND`);
      const times: Record<Contender, number[]> = { 'bare node': [], shell: [], agent: [] };
      for (let round = 0; round < ROUNDS; round++) {
        for (const name of Object.keys(CONTENDERS) as Contender[])
          times[name].push(await timed(session, CONTENDERS[name]));
      }
      for (const [name, all] of Object.entries(times)) console.log(`${name.padEnd(10)} ${all.join('  ')} s`);
      const [node, shell, agent] = [median(times['bare node']), median(times.shell), median(times.agent)];
      const more = (agent - shell) / node;
      console.log(`agent - shell = ${(agent - shell).toFixed(2)} s = ${more.toFixed(2)}x a bare node start (goal 1.5)`);
      const share = (first.seconds / healthy) * 100;
      console.log(
        `first boot: ${first.seconds} s of ${healthy.toFixed(0)} s from power-on to healthy: ${share.toFixed(1)} %`,
      );
      console.log(`peak memory of the agent: ${((first.peakMemory ?? 0) / 2 ** 20).toFixed(0)} MiB (goal 80 MB)`);
    });
    await guest.powerOff(180);
  });
} finally {
  await rm(work, { recursive: true, force: true });
}
