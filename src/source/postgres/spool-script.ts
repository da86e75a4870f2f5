/**
 * The POSIX sh script that owns a spool on the host (arguments: floor of free KiB, then the command that dumps).
 *
 * It makes a private directory, holds a flock on it, and lives as long as its standard input is open: when that ends,
 * because the backup is done, was killed, or the connection broke, the dump is stopped and the directory removed. A
 * directory that is left behind all the same (power cut, kill -9 of the script) has no lock any more and is swept by the next.
 *
 * It says `ready <free KiB> <directory>` or `refused <why>`; told `dump`, it runs the command into `database.dump`
 * and its stderr into `messages`, and says `done <exit status> <bytes> <0 or 1: stopped, less than the floor is free>`.
 */
export const SPOOL_SCRIPT = `
umask 077
export LC_ALL=C
floor=$1
shift
base=\${TMPDIR:-/var/tmp}
cd / || exit 1

free() { df -Pk "$dir" | { read -r _; read -r _ _ _ kib _; echo "\${kib:-0}"; }; }
refuse() { echo "refused $1"; exit 0; }

command -v flock >/dev/null || refuse "flock (package util-linux) is not installed"
# a minute old at least: a younger one may be about to be locked
find "$base/" -maxdepth 1 -type d -name 'drops-postgres-*' -user "$(id -u)" -mmin +1 2>/dev/null |
  while IFS= read -r old; do
    ( flock -n 8 && rm -rf -- "$old" ) 8<"$old"
  done 2>/dev/null

dir=$(mktemp -d "$base/drops-postgres-XXXXXX" 2>/dev/null) || refuse "cannot make a directory in $base"
dumper=
cleanup() {
  trap '' HUP INT TERM PIPE
  if [ -n "$dumper" ]; then kill "$dumper" 2>/dev/null; wait "$dumper" 2>/dev/null; fi
  rm -rf -- "$dir"
}
trap cleanup EXIT
trap 'exit 143' HUP INT TERM PIPE
exec 9<"$dir"
flock -n 9 || refuse "cannot lock $dir"

watch() {
  while sleep 1; do
    [ "$(free)" -ge "$floor" ] && continue
    : >"$dir/low"
    kill "$1"
    return
  done
}
dump() {
  child=
  watcher=
  trap 'kill $child $watcher 2>/dev/null; exit 143' TERM
  "$@" >"$dir/database.dump" 2>"$dir/messages" &
  child=$!
  watch "$child" >/dev/null 2>&1 &
  watcher=$!
  wait "$child"
  status=$?
  kill "$watcher" 2>/dev/null
  low=0
  [ -e "$dir/low" ] && low=1
  echo "done $status $(($(wc -c <"$dir/database.dump"))) $low"
}

echo "ready $(free) $dir"
while read -r word; do
  [ "$word" = dump ] || continue
  dump "$@" &
  dumper=$!
done
`;
