// A private corner of the machine: user, mount, process and network namespaces in which we are root, with or without being
// root outside. Everything mounted there vanishes with it.
import { EXIT, PiimgError } from '../lib/errors.ts';
import { dieWithParent } from '../host/exec.ts';

/**
 * The command that runs `script` with `/bin/sh -eu` in fresh namespaces. As root the ids are those outside (so that files
 * belong to whom they should); as a user they come from /etc/subuid. A user namespace in both cases: binfmt_misc handlers
 * registered inside are invisible to the host (Linux 6.7). When this process dies, by SIGKILL even, all of it dies.
 */
export function inNamespace(script: string, options: { network: boolean }): string[] {
  const others = [
    '--mount',
    '--pid',
    '--ipc',
    '--uts',
    '--fork',
    '--kill-child',
    ...(options.network ? [] : ['--net']),
  ];
  // A fixed host name: postinst scripts write it into files.
  const inside = ['/bin/sh', '-euc', `mount --make-rprivate /; umask 022; hostname localhost\n${script}`];
  const isRoot = process.getuid?.() === 0;
  return dieWithParent(
    isRoot
      ? ['/bin/sh', '-euc', AS_ROOT, 'sh', 'unshare', ...others, ...inside]
      : ['unshare', '--user', '--map-root-user', '--map-auto', ...others, ...inside],
  );
}

/**
 * Root's own map of ids, each to itself: unshare would ask newuidmap, which asks /etc/subuid, where root has no line. So a helper
 * writes it from outside while the shell, in its new user namespace, waits; the rest is one process replaced by the next. Root of a
 * container may have its ids in several ranges, and each must be mapped as it is; the kernel takes a map in one write (user_namespaces(7)).
 */
const AS_ROOT = `
main=$$ outside=$(readlink /proc/self/ns/user)
(
  while [ "$(readlink /proc/$main/ns/user)" = "$outside" ]; do sleep 0.01; done
  for map in gid_map uid_map; do
    same=$(while read -r first _ count; do echo "$first $first $count"; done </proc/self/$map)
    printf '%s\\n' "$same" >/proc/$main/$map
  done
) </dev/null >/dev/null &
exec unshare --user /bin/sh -euc 'tries=0
  until read -r ids </proc/self/uid_map; do
    tries=$((tries + 1)); [ $tries -lt 500 ] || { echo "unshare: no ids were mapped" >&2; exit 1; }
    sleep 0.01
  done
  exec "$@"' sh "$@"
`;

/**
 * Rewords a failure inside the namespace: names the program, not the script that mounted its world; and what `unshare` and
 * `newuidmap` say when the machine does not allow user namespaces.
 */
export function explainFailure(error: unknown, argv: string[]): unknown {
  if (!(error instanceof PiimgError) || error.exitCode !== EXIT.failed) return error;
  const detail = error.detail ?? '';
  if (!/^(unshare|newuidmap|newgidmap): /m.test(detail)) {
    const how = /^Command (.*?): /.exec(error.message)?.[1] ?? 'failed';
    const shown = argv.join(' ').replace(/\s+/g, ' ');
    return new PiimgError(
      `In the sandbox, a command ${how}: ${shown.length > 120 ? `${shown.slice(0, 120)}…` : shown}`,
      {
        ...(error.detail !== undefined && { detail }),
        cause: error.cause,
      },
    );
  }
  return new PiimgError('This machine does not let piimg make a user namespace', {
    exitCode: EXIT.missingTool,
    detail,
    hint: 'Run `piimg doctor`: it names the cause and the remedy. With sudo, piimg works all the same.',
    cause: error,
  });
}

/** A word for the shell. */
export function sh(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
