// What building leaves in a root and no image carries: a table for the shell that clears each layer before it is captured.

/** Shell patterns, relative to the root. */
export const LEFTOVERS = [
  // Logs and locks of dpkg and its friends
  'var/log/*.log',
  'var/log/apt',
  'var/lib/dpkg/*-old',
  'var/lib/dpkg/arch',
  'var/lib/dpkg/lock*',
  'var/lib/dpkg/triggers/Lock',
  'var/cache/debconf/*-old',
  'var/cache/apt/*.bin',
  'var/cache/apt/archives/*.deb',
  'var/lib/apt/lists/*',
  // Times and inode numbers of this machine
  'var/cache/ldconfig/aux-cache',
  // Copies that shadow's and adduser's programs keep
  'etc/passwd-',
  'etc/group-',
  'etc/shadow-',
  'etc/gshadow-',
  'etc/subuid-',
  'etc/subgid-',
  'etc/.pwd.lock',
  // Identities: every card makes its own
  'etc/machine-id',
  'var/lib/dbus/machine-id',
  'etc/ssh/ssh_host_*',
  'var/lib/systemd/random-seed',
  'var/lib/systemd/credential.secret',
  'root/.bash_history',
  'root/.npm',
  'root/.cache',
];

/** Removes them from the working folder. A whiteout is none: what a layer below has is to go, as somebody else's host keys. */
export const CLEAR_LEFTOVERS = `for file in ${LEFTOVERS.join(' ')}; do [ -c "$file" ] || rm -rf "$file"; done`;
