// Which programs run natively while an arm64 image is made. A table of data; DESIGN: only programs whose output does not
// depend on the architecture, and none that an initramfs hook copies or that answers "which architecture is this?" otherwise than the image's own.

/** Debian's names of the architectures Node runs on here. */
export const HOST_ARCHITECTURE = process.arch === 'arm64' ? 'arm64' : 'amd64';

/** Debian's name for the folder of the host's libraries. */
export const TRIPLET = process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu';

/**
 * Programs of dpkg that tell the architecture they were built for: the name of the host's in them is replaced by the image's, of the
 * same length, and they say and do what the image's own would. The first packages of all are unpacked by them too.
 */
export const TELL_ARCHITECTURE = ['dpkg', 'dpkg-deb', 'dpkg-divert', 'dpkg-query', 'dpkg-split', 'dpkg-trigger'];

/**
 * Package of the tools root → programs put over the image's own. A program is shadowed only when the package's version in the
 * tools equals the one in the base: its answers are then those of the program it stands for.
 * Never: uname, arch (they tell the architecture); ldconfig, ldd; kmod, busybox, udevadm, and all of util-linux (hooks copy
 * them into the initramfs, where a native blkid dropped the boot to a shell).
 */
export const SHADOW: Record<string, string[]> = {
  dash: ['usr/bin/dash'],
  bash: ['usr/bin/bash'],
  coreutils: [
    ...'[ b2sum base32 base64 basename basenc cat chcon chgrp chmod chown cksum comm cp csplit cut date dd df dir dircolors'
      .split(' ')
      .map((name) => `usr/bin/${name}`),
    ...'dirname du echo env expand expr factor false fmt fold groups head hostid id install join link ln logname ls md5sum mkdir'
      .split(' ')
      .map((name) => `usr/bin/${name}`),
    ...'mkfifo mknod mktemp mv nice nl nohup nproc numfmt od paste pathchk pinky pr printenv printf ptx pwd readlink realpath rm'
      .split(' ')
      .map((name) => `usr/bin/${name}`),
    ...'rmdir runcon seq sha1sum sha224sum sha256sum sha384sum sha512sum shred shuf sleep sort split stat stdbuf stty sum sync tac'
      .split(' ')
      .map((name) => `usr/bin/${name}`),
    ...'tail tee test timeout touch tr true truncate tsort tty unexpand uniq unlink users vdir wc who whoami yes'
      .split(' ')
      .map((name) => `usr/bin/${name}`),
  ],
  findutils: ['usr/bin/find', 'usr/bin/xargs'],
  diffutils: ['usr/bin/cmp', 'usr/bin/diff'],
  grep: ['usr/bin/grep'],
  sed: ['usr/bin/sed'],
  mawk: ['usr/bin/mawk'],
  tar: ['usr/bin/tar'],
  gzip: ['usr/bin/gzip'],
  'xz-utils': ['usr/bin/xz'],
  zstd: ['usr/bin/zstd'],
  cpio: ['usr/bin/cpio'],
  'perl-base': ['usr/bin/perl'],
  'python3.13-minimal': ['usr/bin/python3.13'],
  dpkg: [...TELL_ARCHITECTURE, 'update-alternatives'].map((name) => `usr/bin/${name}`),
  debianutils: ['usr/bin/run-parts'],
  openssl: ['usr/bin/openssl'],
  'openssh-client': ['usr/bin/ssh-keygen'],
  systemd: ['usr/bin/systemd-sysusers', 'usr/bin/systemd-tmpfiles', 'usr/bin/systemctl', 'usr/bin/journalctl'],
  udev: ['usr/bin/systemd-hwdb'],
  'dracut-install': ['usr/lib/dracut/dracut-install'],
  // Compiled locales differ by byte order only: both programs made the same archive of thirteen, from ar_SA to zh_CN. The package's own
  // C.UTF-8 is what libarchive needs to take names beyond ASCII.
  'libc-bin': ['usr/bin/localedef'],
};

/**
 * Those of them that load compiled modules of the image, which native ones cannot: a script then takes another branch, or fails.
 * They are left out for packages that a base or role lists under `emulate`.
 */
export const INTERPRETERS = ['perl-base', 'python3.13-minimal'];

/** Native program → the name it gets alone: kmod answers as depmod; kmod itself stays the image's own. */
export const SHADOW_AS: Record<string, [package_: string, from: string, to: string][]> = {
  depmod: [['kmod', 'usr/bin/kmod', 'usr/sbin/depmod']],
};

/** Data that native programs look for at fixed places: perl's compiled-in @INC, python's extension modules. */
export const SHADOW_DATA: Record<string, string[]> = {
  'perl-base': [`usr/lib/${TRIPLET}/perl-base`],
  'python3.13-minimal': ['usr/lib/python3.13/lib-dynload'],
};

/** What the tools root is made of: the programs above, and those that make file systems and archives. */
export const TOOL_PACKAGES = [
  ...Object.keys(SHADOW),
  'kmod',
  'libpython3.13-stdlib',
  'e2fsprogs',
  // e2fsprogs only suggests it, and without it mke2fs cannot read a tar.
  'libarchive13t64',
  'dosfstools',
  'mtools',
  'fdisk',
  'patchelf',
  'qemu-user',
];
