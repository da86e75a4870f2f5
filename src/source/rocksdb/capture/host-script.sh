# Freezes a RocksDB directory from outside. Run by drops on the machine with the database, as
#   sh -c THIS drops-rocksdb MODE DATABASE STAGING MIN_FREE UNIT
# Standard input brings commands, one a line: go (freeze, again if need be), free, done. Its end means that drops or
# the connection is gone: the staging directory lives exactly as long as this channel. Standard output is a row of
# fields, each ended by NUL; only names, numbers and sizes travel.
# Needs a POSIX sh and GNU coreutils, findutils and util-linux from PATH, wherever that points.
# Whoever owns the database, or the directory above it, may swap any name in it at any moment, for a symlink or a FIFO
# too. So the database is reached through a handle; what is read was linked into staging, where only we can make names,
# and found to be a regular file there; and staging is entered once, and never looked for by its name again.
set -u
LC_ALL=C
export LC_ALL
umask 077
mode=$1 database=$2 staging=$3 min_free=$4 unit=$5
stage='' inside='' stopped='' timer=''

say() { printf '%s\0' "$@"; }
fail() { # what this run cannot recover from
  say problem "$1" "$2"
  exit 1
}
again() { say again "$1" "$2"; } # what another attempt may not meet

cleanup() {
  trap '' HUP INT TERM
  start_unit
  if [ -n "$inside" ]; then
    # Relative: whoever owns the parent directory may have moved the name, but not where we are.
    find . -mindepth 1 -delete
    cd / && rmdir -- "$stage"
  fi
} 2>/dev/null
trap cleanup EXIT
trap 'exit 1' HUP INT TERM
trap '' PIPE # a lost connection must not end the script before the unit runs again

for tool in readlink stat mktemp find flock cp dd ln sort xargs tail dirname id; do
  command -v "$tool" >/dev/null || fail tools "$tool is missing on this machine"
done

# ---- where

db=$(readlink -f -- "$database") && [ -d "$db" ] || fail missing "$database is not a directory"
[ -r "$db" ] && [ -x "$db" ] || fail missing "$database may not be read by this user"
[ -r "$db/CURRENT" ] || fail missing "$database holds no RocksDB database that can be read (no CURRENT)"
parent=${staging:-$(dirname -- "$db")}
parent=$(readlink -f -- "$parent") && [ -d "$parent" ] || fail staging "$staging is not a directory"
case $parent/ in "$db"/*) fail staging "$parent lies inside the database" ;; esac
[ "$(stat -c %d -- "$db")" = "$(stat -c %d -- "$parent")" ] ||
  fail device "$parent is not on the file system of $db"

exec 7<"$db/."
held=/proc/$$/fd/7

enter() { # a directory of ours, which nobody else may enter, and which is where its name says
  cd -P -- "$1" && [ "$(pwd -P)" = "$1" ] && [ -n "$(find . -maxdepth 0 -user "$(id -u)" ! -perm /077)" ]
}

# What a killed machine or a killed sh left behind: nobody holds its lock.
for old in "$parent"/.drops-staging-*; do
  (
    enter "$old" || exit
    if [ -f lock ]; then
      exec 8<lock && flock -n 8 || exit
    elif [ -z "$(find . -maxdepth 0 -mmin +10)" ]; then
      exit
    fi
    find . -mindepth 1 -delete
    cd / && rmdir -- "$old"
  ) 2>/dev/null
done

until [ -n "$inside" ]; do
  stage=$(mktemp -d "$parent/.drops-staging-XXXXXXXXXX") || fail staging "$parent cannot be written to"
  enter "$stage" && [ -z "$(find . -mindepth 1 -print -quit)" ] ||
    fail staging "another user put something else in the place of $stage"
  exec 9>lock
  flock 9
  if [ -f lock ]; then inside=yes; else cd /; fi # another run took the new directory for a stale one
done
# Everything below names the staging directory as ".": see cleanup.

if ! ln -P -- "$held/CURRENT" probe 2>errors; then
  case $(cat errors) in
    *ross-device*) fail device "$parent and $db are different mounts: no hard link is possible" ;;
    *'not permitted'*) fail permission "this user may not make hard links to the files of $db" ;;
    *) fail link "no hard link to a file of $db could be made: $(head -c 300 errors)" ;;
  esac
fi

# ---- one attempt

free_bytes() {
  # shellcheck disable=SC2046
  set -- $(stat -f -c '%a %S' .)
  echo $(($1 * $2))
}

files() { # REGEX ACTION...: regular files of the database directory whose name matches
  regex=$1
  shift
  find "$held/" -maxdepth 1 -regextype posix-extended -regex ".*/$regex" -type f "$@"
}

# Files come and go while we link: gone is for the verifier to judge, "File exists" is a second pass.
link_into() { files "$2" -exec ln -P -t "$1" -- {} + 2>>errors; }
real_errors() { grep -v -e 'No such file or directory' -e 'File exists' errors | head -c 300; }

read_current() {
  manifest=$(dd if="$held/CURRENT" iflag=nofollow,nonblock bs=128 count=1 2>/dev/null) || return 1
  case $manifest in MANIFEST-*) ;; *) return 1 ;; esac
  case ${manifest#MANIFEST-} in '' | *[!0-9]*) return 1 ;; esac
}

tables='[0-9]{1,20}\.(sst|blob)'
logs='[0-9]{1,20}\.log'

link_all() {
  link_into w "$logs"
  find w -type f -printf 'first\0%f\0' >first
  link_into s "$tables"
  read_current || { again current 'CURRENT could not be read'; return 1; }
  ln -P -t o -- "$held/$manifest" 2>>errors || { again manifest "$manifest vanished"; return 1; }
  if [ -L "o/$manifest" ] || [ ! -f "o/$manifest" ]; then again manifest "$manifest is no regular file"; return 1; fi
  cp -p --reflink=auto -t s -- "o/$manifest" 2>>errors || { again manifest "$manifest could not be copied"; return 1; }
  size=$(stat -c %s "s/$manifest")
  link_into s "$tables"
  link_into w "$logs"
  # Newest first: a log that holds a record proves that all older ones were complete before it was read.
  find w -type f -printf '%f\n' | sort -rn | (cd w && xargs -r -d '\n' cp -p --reflink=auto -t ../s --) 2>>errors ||
    { again copy 'a log could not be copied'; return 1; }
  link_into o '(OPTIONS-[0-9]{1,20}|IDENTITY)'
  find o -type f ! -name "$manifest" -exec cp -p -t s -- {} + 2>>errors
  tail -c "+$((size + 1))" -- "o/$manifest" >tail 2>>errors || { again manifest "$manifest vanished"; return 1; }
  before=$manifest
  read_current && [ "$manifest" = "$before" ] || { again current "CURRENT changed from $before"; return 1; }
}

attempt() {
  find . -mindepth 1 ! -name lock -delete
  mkdir w o s
  : >errors
  need=$(($(files "($logs|MANIFEST-[0-9]+)" -printf '%s+' 2>/dev/null)0))
  free=$(free_bytes)
  [ "$free" -ge $((min_free + need)) ] ||
    fail space "$parent has $free bytes free; $need for copies of logs and $min_free to spare are needed"
  if [ "$mode" = stopped ]; then stop_unit; fi
  link_all
  linked=$?
  start_unit
  problems=$(real_errors)
  case $problems in
    '') ;;
    *'No space left'*) fail space "$parent is full: $problems" ;;
    *) fail link "files of $db could not be linked or copied: $problems" ;;
  esac
  [ "$linked" = 0 ] || return 0
  rm -rf w o
  say frozen "$before"
  find "$held/" -maxdepth 0 -printf 'directory\0%m\0%U\0%G\0%u\0%g\0'
  cat first
  say tail "$(stat -c %s tail)"
  find s -type f -printf 'file\0%f\0%s\0%D\0%i\0%T@\0%m\0%U\0%G\0%u\0%g\0'
  say end
}

# ---- the unit, in mode stopped

unit_state() { systemctl show --property "$1" --value -- "$unit"; }

stop_unit() {
  [ "$(unit_state LoadState)" = loaded ] || fail unit "there is no unit $unit on this machine"
  case $(unit_state ActiveState) in active | reloading | activating) ;; *) return 0 ;; esac
  # Should this machine lose us, and this script with us, the service still comes back.
  timer=drops-start-again-$$
  systemd-run --quiet --unit="$timer" --on-active=15min -- "$(command -v systemctl)" start -- "$unit" ||
    fail unit "systemd-run could not arm the start of $unit; it was not stopped"
  stopped=yes
  systemctl stop -- "$unit" || fail unit "$unit could not be stopped"
  case $(unit_state ActiveState) in inactive | failed) ;; *) fail unit "$unit did not stop" ;; esac
}

start_unit() {
  [ -n "$stopped" ] || return 0
  stopped=''
  if systemctl start -- "$unit"; then
    systemctl stop -- "$timer.timer"
  else
    say problem unit "$unit did not start again; $timer.timer will try once more"
  fi
}

# ---- commands

say drops-rocksdb-1 "$db" "$stage" "$$"
while IFS= read -r command; do
  case $command in
    go) attempt ;;
    free) say free "$(free_bytes)" ;;
    done) exit 0 ;;
    *) fail command "command $command is unknown" ;;
  esac
done
