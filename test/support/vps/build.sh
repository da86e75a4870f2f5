#!/bin/sh
# Makes the root directory that boot.sh lays every machine's own disk over, once, and prints its path. Root only.
# usage: build.sh CACHE_DIR
# A small Debian server: systemd, OpenSSH, PostgreSQL 15. Several test files may ask at the same moment: one builds, the
# others wait for it. Another version of this file makes another root.
set -eu
for program in mmdebstrap=mmdebstrap systemd-nspawn=systemd-container ip=iproute2 flock=util-linux mkfs.ext4=e2fsprogs perl=perl-base ssh=openssh-client; do
  command -v "${program%%=*}" > /dev/null || { echo "${program%%=*} is missing: apt-get install ${program#*=}" >&2; exit 1; }
done
cache=$1
root=$cache/vps-$(cksum < "$0" | cut -d ' ' -f 1)
mkdir -p "$cache"
exec 9> "$cache/vps.lock"
flock 9
if [ -e "$root/complete" ]; then echo "$root/disk"; exit 0; fi

rm -rf "$root.part"
mkdir "$root.part"
# The mirror that this machine's apt uses serves every suite.
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2> /dev/null | grep -v security | head -n 1)
if ! mmdebstrap --quiet --variant=minbase \
  --include=systemd,systemd-sysv,dbus,openssh-server,openssh-sftp-server,postgresql-15,procps,iproute2,libstdc++6 \
  --aptopt='Apt::Install-Recommends "false"' --aptopt='Acquire::Check-Valid-Until "false"' \
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
  --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/i18n/*' \
  --dpkgopt='path-exclude=/usr/lib/postgresql/15/lib/llvmjit*' --dpkgopt='path-exclude=/usr/lib/postgresql/15/lib/bitcode/*' \
  --customize-hook='rm -rf "$1"/var/lib/apt/lists "$1"/var/cache/apt' \
  --customize-hook='rm -f "$1"/etc/ssh/ssh_host_* "$1"/etc/machine-id' \
  --customize-hook='rm -rf "$1"/var/lib/postgresql/15 "$1"/etc/postgresql/15' \
  --customize-hook='chroot "$1" env LC_ALL=C.UTF-8 pg_createcluster --encoding UTF8 --locale C.UTF-8 15 main > /dev/null' \
  --customize-hook='chroot "$1" systemctl --quiet mask apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer fstrim.timer dpkg-db-backup.timer getty.target console-getty.service' \
  --customize-hook='chroot "$1" systemctl --quiet enable ssh.service postgresql.service' \
  bookworm "$root.part/disk" ${mirror:+"$mirror"} < /dev/null > "$root.log" 2>&1; then
  echo "cannot build a server from Debian bookworm:" >&2
  tail -n 5 "$root.log" >&2
  exit 1
fi
touch "$root.part/complete"
mv "$root.part" "$root"
echo "$root/disk"
