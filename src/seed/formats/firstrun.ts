// The fixed part of firstrun.sh: what a machine does with the values that `systemd.ts` calls it with.

/**
 * POSIX sh, run as root by kernel-command-line.service (systemd-run-generator(8)) with / and the boot partition mounted, before any login
 * and before the network. Every step can be done twice, for power may go at any instant: files are written beside their place and renamed,
 * and the words go from cmdline.txt before the script does (without the script a machine that still has the words would switch itself off
 * at every boot). Where they cannot be taken away, it fails: the machine switches itself off instead of beginning again for ever. A step that fails is noted on the boot partition, and the rest is done all the same.
 *
 * PIIMG_ROOT and PATH are for tests. Interfaces that are used: raspberrypi-sys-mods' imager_custom, userconf-pi's userconf.
 */
export const FIRSTRUN = `#!/bin/sh
# Written by piimg: gives this machine its name, users and network once, and takes itself away.
root=\${PIIMG_ROOT-}
boot=$root$BOOT
custom=$root/usr/lib/raspberrypi-sys-mods/imager_custom
userconf=$root/usr/lib/userconf-pi/userconf
sshd=$root/etc/ssh

step() {
  "$@" || { echo "$1 failed" >> "$boot/firstrun-failed.txt"; }
}

# MODE FILE: its content from stdin, whole or not at all.
put() {
  mkdir -p "$(dirname "$2")" && (umask 077 && cat > "$2.new") && chmod "$1" "$2.new" && sync && mv -f "$2.new" "$2"
}

uuid() { sed "s/^uuid=UUID\\$/uuid=$(cat /proc/sys/kernel/random/uuid)/"; }
home() { getent passwd "$1" | cut -d: -f6; }

set_hostname() {
  if [ -x "$custom" ]; then "$custom" set_hostname "$1" && return; fi
  echo "$1" | put 644 "$root/etc/hostname"
  { grep -v '^127\\.0\\.1\\.1[[:space:]]' "$root/etc/hosts"; printf '127.0.1.1\\t%s\\n' "$1"; } | put 644 "$root/etc/hosts"
}

# NAME HASH: the user with id 1000, whatever it is called, becomes this one.
first_user() {
  if [ -x "$userconf" ]; then "$userconf" "$1" "$2" || return; else
    old=$(getent passwd 1000 | cut -d: -f1)
    if [ -z "$old" ]; then useradd -m -u 1000 "$1" || return; fi
    if [ -n "$old" ] && [ "$old" != "$1" ]; then
      usermod -l "$1" "$old" && usermod -m -d "/home/$1" "$1" && groupmod -n "$1" "$old" || return
    fi
    printf '%s:%s\\n' "$1" "$2" | chpasswd -e || return
  fi
  usermod -s /bin/bash "$1"
}

further_user() {
  getent passwd "$1" > /dev/null || useradd -m "$1" || return
  usermod -s /bin/bash "$1" && printf '%s:%s\\n' "$1" "$2" | chpasswd -e
}

# NAME GROUP…
join_groups() {
  name=$1; shift; bad=0
  for group; do usermod -aG "$group" "$name" || bad=1; done
  return $bad
}

# NAME yes|no: whether sudo asks for nothing.
set_sudo() {
  file=$root/etc/sudoers.d/010_$1-nopasswd
  if [ "$2" = yes ]; then echo "$1 ALL=(ALL) NOPASSWD:ALL" | put 440 "$file"; return; fi
  rm -f "$file"
  # Of Raspberry Pi OS, which names its first user in it.
  pi=$root/etc/sudoers.d/010_pi-nopasswd
  ! grep -qs "^$1 " "$pi" || rm -f "$pi"
}

# NAME KEY…
set_keys() {
  name=$1; shift
  folder=$root$(home "$name")/.ssh
  install -d -m 700 "$folder" && printf '%s\\n' "$@" | put 600 "$folder/authorized_keys" && chown -R "$name:" "$folder"
}

# yes|no: whether passwords are refused.
enable_ssh() {
  if [ "$1" = yes ]; then
    if [ -x "$custom" ]; then "$custom" enable_ssh -k || return
    else echo 'PasswordAuthentication no' | put 644 "$sshd/sshd_config.d/piimg.conf" || return; fi
  fi
  # Debian 13's sshd-keygen.service makes keys on a first boot only, which is over when this machine starts again.
  ssh-keygen -q -A \${root:+-f "$root"} && systemctl -q enable ssh
}

# TYPE PRIVATE PUBLIC
set_host_key() {
  printf '%s' "$2" | put 600 "$sshd/ssh_host_$1_key" && printf '%s\\n' "$3" | put 644 "$sshd/ssh_host_$1_key.pub"
}

# The image's own service would make others in place of them.
keep_host_keys() { systemctl -q disable regenerate_ssh_host_keys 2> /dev/null || true; }

# NAME TEXT: a profile of NetworkManager, which takes none that others may read.
set_connection() {
  printf '%s' "$2" | uuid | put 600 "$root/etc/NetworkManager/system-connections/$1.nmconnection"
}

set_wpa_supplicant() { printf '%s' "$1" | put 600 "$root/etc/wpa_supplicant/wpa_supplicant.conf"; }

# Radio is blocked until a country is known; cmdline.txt has it. At the end of this boot systemd-rfkill notes what is blocked then.
allow_wifi() {
  if command -v rfkill > /dev/null; then rfkill unblock wifi || true; fi
  state=$root/var/lib/NetworkManager/NetworkManager.state
  if [ -f "$state" ]; then sed 's/^WirelessEnabled=.*/WirelessEnabled=true/' "$state" | put 644 "$state"; fi
  for file in "$root"/var/lib/systemd/rfkill/*:wlan; do
    if [ -f "$file" ]; then echo 0 | put 644 "$file"; fi
  done
}

set_timezone() {
  [ -e "$root/usr/share/zoneinfo/$1" ] || return
  if [ -x "$custom" ]; then "$custom" set_timezone "$1" && return; fi
  ln -sfn "/usr/share/zoneinfo/$1" "$root/etc/localtime" && echo "$1" | put 644 "$root/etc/timezone"
}

set_locale() {
  if command -v raspi-config > /dev/null; then raspi-config nonint do_change_locale "$1"; return; fi
  echo "LANG=$1" | put 644 "$root/etc/default/locale"
}

finish() {
  sync
  sed 's/ systemd\\.run[^ ]*//g; s/ systemd\\.unit=kernel-command-line\\.target//g' "$boot/cmdline.txt" > "$boot/cmdline.new" &&
    sync && mv -f "$boot/cmdline.new" "$boot/cmdline.txt" && sync || return
  # Keys and hashes are in it: what is only removed stays on the card.
  dd if=/dev/zero of="$boot/firstrun.sh" bs="$(wc -c < "$boot/firstrun.sh")" count=1 conv=notrunc,fsync 2> /dev/null
  rm -f "$boot/firstrun.sh" && sync
}
`;
