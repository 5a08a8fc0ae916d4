// piimg-firstboot: what systemd starts on the first boot, and what a person asks about it.
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { describeResult, type Result } from '../src/lib/first-boot.ts';
import { agentEnded, firstBoot, type Log } from './firstboot.ts';
import { machineAt } from './machine.ts';
import { pathsBelow } from './paths.ts';
import { readResult } from './result.ts';

const UNIT = 'piimg-firstboot.service';
const USAGE = `Usage: piimg-firstboot status [--json] | log | retry | reapply

  status   how the first boot went, step by step
  log      what it said while it worked
  retry    after a failure: go on with what is not done yet
  reapply  look at every step again, and mend what is no longer so

Exit codes: 0 applied, 1 failed or not finished, 2 wrong usage.`;

/** sd-daemon(3): systemd reads a line's level from its beginning. */
const toJournal: Log = (level, line) => void process.stdout.write(`<${level}>${line}\n`);

async function main([verb = 'status', ...options]: string[]): Promise<number> {
  const json = options.length === 1 && options[0] === '--json' && verb === 'status';
  if (options.length > 0 && !json && verb !== 'run' && verb !== 'ended') return usage();
  const root = verb === 'run' ? (options[0] ?? '/') : '/';
  const paths = pathsBelow(root);
  switch (verb) {
    case 'run':
      return codeOf(await firstBoot(paths, machineAt(root), toJournal));
    case 'ended': {
      const at = options[1] ?? '/';
      await agentEnded(pathsBelow(at), machineAt(at), options[0] ?? 'signal', toJournal);
      return 0;
    }
    case 'status': {
      const result = await readResult(paths);
      process.stdout.write(json ? `${JSON.stringify(result ?? null, undefined, 2)}\n` : `${describe(result)}\n`);
      return codeOf(result);
    }
    case 'log':
      return spawnSync('journalctl', ['-u', UNIT, '--no-pager'], { stdio: 'inherit' }).status ?? 1;
    case 'retry':
    case 'reapply': {
      if (process.getuid?.() !== 0) return refuse(`Only root can do that: sudo piimg-firstboot ${verb}`);
      const last = await readResult(paths);
      if (verb === 'retry' && last?.status === 'applied') {
        return refuse(
          'There is nothing to retry: the last run went well. To look at every step again: piimg-firstboot reapply',
          0,
        );
      }
      if (unitState() === 'activating') return refuse('It is at work just now: piimg-firstboot log');
      // While it is there, the unit sees no reason to start.
      rmSync(paths.seen, { force: true });
      const { status, stderr } = spawnSync('systemctl', ['restart', UNIT], { encoding: 'utf8' });
      const result = await readResult(paths);
      if (result?.started === last?.started) return refuse(`It was not started (status ${status}): ${stderr.trim()}`);
      process.stdout.write(`${describe(result)}\n`);
      return codeOf(result);
    }
    case '--help':
    case 'help':
      process.stdout.write(`${USAGE}\n`);
      return 0;
    default:
      return usage();
  }
}

const NOT_BEGUN = 'The first boot has not begun yet. See: journalctl -u piimg-firstboot';
const describe = (result: Result | undefined): string => (result ? describeResult(result) : NOT_BEGUN);
const unitState = (): string => spawnSync('systemctl', ['is-active', UNIT], { encoding: 'utf8' }).stdout.trim();
const codeOf = (result: Result | undefined): number => (result?.status === 'applied' ? 0 : 1);

function usage(): number {
  return refuse(USAGE, 2);
}

function refuse(text: string, code = 1): number {
  process.stderr.write(`${text}\n`);
  return code;
}

main(process.argv.slice(2)).then(
  (code) => (process.exitCode = code),
  (error: Error) => {
    process.exitCode = refuse(`piimg-firstboot: ${error.message}`);
  },
);
