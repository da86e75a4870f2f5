#!/bin/sh
# One S3 server on loopback until standard input ends: Ceph's monitor, one OSD and its gateway.
# usage: run.sh ROOT DATA HTTP_PORT HTTPS_PORT MON_PORT MON_V1_PORT OSD_PORTS OBJECTSTORE ACCESS_KEY SECRET_KEY
# Root only. In namespaces of its own, so that all of it ends together: nothing is mounted or left running afterwards,
# and DATA is removed, whatever became of whoever started this.
set -eu
root=$1 data=$2
shift 2
here=$(cd "$(dirname "$0")" && pwd)
cp "$here/serve.sh" "$data/serve.sh"
unshare --mount --pid --fork --kill-child=KILL sh -c '
  root=$0 data=$1
  shift
  mkdir -p "$root/srv"
  mount --bind "$data" "$root/srv"
  mount -t proc proc "$root/proc"
  mount --rbind /dev "$root/dev"
  mount -t tmpfs tmpfs "$root/tmp"
  exec chroot "$root" sh /srv/serve.sh "$@"' "$root" "$data" "$@" || ended=$?
[ -z "${ended:-}" ] || tail -n 4 "$data"/log/*.out >&2 || true
rm -rf "$data"
exit "${ended:-0}"
