// Configures unpacked packages and removes others: their scripts run in the sandbox, with native tools where that is safe.
import { PiimgError } from '../../lib/errors.ts';
import type { SandboxRoot } from '../../sandbox/root.ts';
import { clock, rootOf, type StepContext } from './context.ts';

/** What dpkg says when a script of a package failed, triggers included; the name may carry an architecture. */
const FAILED = /^dpkg: error processing package (\S+?)(?::\w+)? \(--(?:configure|purge)\)/;

/**
 * Configures everything that is unpacked, and purges `remove`. Packages to `emulate` get the image's own perl and python; one whose
 * script fails with native tools, be it on removal, is tried once more by emulation alone. The notes tell of both. Throws PiimgError
 * naming the package that fails then, with its last lines.
 */
export async function configurePackages(
  spec: {
    debconf: { package: string; question: string; type: string; value: string }[];
    remove: string[];
    emulate: string[];
    reconfigure?: string[];
  },
  context: StepContext,
): Promise<string[]> {
  if (spec.debconf.length > 0) {
    const answers = spec.debconf.map((answer) => `${answer.package} ${answer.question} ${answer.type} ${answer.value}`);
    await context.sandbox.inRoot(rootOf(context, 'all'), {
      argv: ['debconf-set-selections'],
      input: `${answers.join('\n')}\n`,
      signal: context.signal,
    });
  }
  const notes: string[] = [];
  const tell = (how: string, names: string[]): void => {
    notes.push(`${how}: ${names.join(', ')}`);
    context.step.note(notes.at(-1) ?? '');
  };
  // Those to be emulated come last, on top of all they depend on.
  let failed = await dpkg(context, 'all', CONFIGURE_OTHERS, spec.emulate);
  const left = await unconfigured(context);
  if (left.length > 0 && failed.length === 0) {
    tell("configured with the image's own perl and python", left);
    failed = await dpkg(context, 'interpreted', CONFIGURE_PENDING);
  }
  if (failed.length > 0) {
    tell('configured without native tools, with which they failed', failed);
    await dpkg(context, 'stubs', CONFIGURE_PENDING);
  }
  if (spec.reconfigure && spec.reconfigure.length > 0) {
    await context.sandbox.inRoot(rootOf(context, 'all'), {
      argv: ['dpkg-reconfigure', '--frontend=noninteractive', ...spec.reconfigure],
      env: clock(context),
      signal: context.signal,
    });
  }
  if (spec.remove.length > 0) {
    const stuck = await dpkg(context, 'all', PURGE, spec.remove);
    if (stuck.length > 0) {
      tell('removed without native tools, with which they failed', stuck);
      await dpkg(context, 'stubs', PURGE, stuck);
    }
  }
  return notes;
}

const OPTIONS = '--log=/dev/null --force-depends --force-confold --force-unsafe-io';

/** Packages that are unpacked and not configured. */
const PENDING = `dpkg-query -W -f '\${db:Status-Status} \${binary:Package}\\n' | sed -n 's/^\\(unpacked\\|half-configured\\|triggers-[a-z]*\\) //p'`;

const CONFIGURE_PENDING = `dpkg ${OPTIONS} --configure --pending`;

const PURGE = `dpkg ${OPTIONS} --purge "$@"`;

/**
 * Configures all that are pending but the arguments. Beside that the modules of a new kernel are indexed, past the
 * stub: depmod reads all of them, which takes seconds. Where it fails, whoever makes the initramfs does it again.
 */
const CONFIGURE_OTHERS = `
indexing=
depmod=/usr/lib/piimg-native/depmod
for dir in /usr/lib/modules/*/kernel; do
  [ -d "$dir" ] && [ -x "$depmod" ] && ! [ -e "\${dir%kernel}modules.dep" ] || continue
  "$depmod" "$(basename "\${dir%/kernel}")" & indexing="$indexing $!:$dir"
done
emulate=" $* "
set --
for name in $(${PENDING}); do
  case $emulate in *" \${name%%:*} "*) ;; *) set -- "$@" "$name" ;; esac
done
status=0
[ $# = 0 ] || dpkg ${OPTIONS} --configure "$@" || status=$?
for one in $indexing; do wait "\${one%%:*}" || rm -f "\${one#*:}/../modules.dep"; done
exit $status
`;

async function unconfigured(context: StepContext): Promise<string[]> {
  const { stdout } = await context.sandbox.inRoot(rootOf(context, 'all'), {
    argv: ['sh', '-euc', PENDING],
    signal: context.signal,
  });
  return stdout.split('\n').filter((name) => name !== '');
}

/** Runs dpkg and gives the packages whose scripts failed. With `stubs` as overlay a failure is final and thrown. */
async function dpkg(
  context: StepContext,
  overlay: 'all' | 'interpreted' | 'stubs',
  script: string,
  args: string[] = [],
): Promise<string[]> {
  const failed: string[] = [];
  const lines: string[] = [];
  let done = 0;
  try {
    await context.sandbox.inRoot(rootOf(context, overlay), {
      argv: ['sh', '-euc', script, 'sh', ...args],
      env: clock(context),
      signal: context.signal,
      onLine: (line) => {
        lines.push(line);
        if (lines.length > 40) lines.shift();
        const name = /^(?:Setting up|Removing) (\S+)/.exec(line)?.[1];
        if (name) context.step.update({ message: name.replace(/:\w+$/, ''), done: ++done, unit: 'packages' });
        const culprit = FAILED.exec(line)?.[1];
        if (culprit) failed.push(culprit);
      },
    });
    return [];
  } catch (error) {
    if (!(error instanceof PiimgError) || failed.length === 0) throw error;
    if (overlay !== 'stubs') return failed;
    await offerShell(context, 'all');
    const what = script === PURGE ? 'removed' : 'configured';
    throw new PiimgError(`The package ${failed[0]} cannot be ${what}: a script of it failed`, {
      detail: lines.join('\n'),
      hint: 'Look around with --shell-on-error.',
      cause: error,
    });
  }
}

/** With --shell-on-error: a shell with those tools where the failure happened, its changes included. */
export async function offerShell(context: StepContext, overlay: SandboxRoot['overlay']): Promise<void> {
  if (!context.shellOnError) return;
  process.stderr.write('\npiimg: a shell in the image as it was when the script failed; leave it with `exit`.\n');
  await context.sandbox
    .inRoot(rootOf(context, overlay), { argv: ['bash', '-i'], stdout: 'inherit', signal: context.signal })
    .catch(() => {});
}
