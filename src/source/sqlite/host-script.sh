# Copies SQLite databases that are in use, each as one state. Run by drops on the machine with the databases, as
#   sh -c THIS drops-sqlite MIN_FREE TOOL STAGING...
# MIN_FREE: bytes that stay free. TOOL: sqlite3 or python3; empty: the first that is there. STAGING: directories in which the
# staging directory may be made, the first that serves is taken.
# Standard input brings commands, one a line: copy PATH, look PATH (the path as printf %b reads it), done. Its end means
# that drops or the connection is gone: the staging directory lives exactly as long as this channel. Standard output is a
# row of fields, each ended by NUL.
# Whoever owns a database may have written anything into it, and may put another file in its place at any moment. So the
# programs that read it run as its owner, who could read it anyway, and root reads only copies that were made in a
# directory which is root's by then.
set -u
LC_ALL=C
export LC_ALL
umask 077
min_free=$1 wanted=$2
shift 2
me=$(id -u)
stage=''

say() { printf '%s\0' "$@"; }
first_line() { head -n 1 | head -c 300; }

cleanup() {
  trap '' HUP INT TERM
  [ -z "$stage" ] || rm -rf -- "$stage"
} 2>/dev/null
trap cleanup EXIT
trap 'exit 1' HUP INT TERM
trap '' PIPE

tool=''
for program in ${wanted:-sqlite3 python3}; do
  if command -v "$program" >/dev/null && { [ "$program" = sqlite3 ] || python3 -I -c 'import sqlite3' 2>/dev/null; }; then
    tool=$program
    break
  fi
done

# What a killed machine or a killed sh left behind: nobody holds its lock.
remove_old() { # PARENT
  for old in "$1"/.drops-staging-sqlite-*; do
    if [ -d "$old" ] && [ ! -L "$old" ] && [ "$(stat -c %u -- "$old")" = "$me" ]; then
      (exec 8<"$old/lock" && flock -n 8 && rm -rf -- "$old") 2>/dev/null
    fi
  done
}

# Nobody but root and ourselves can put another directory in its place, nor in the place of one above it. Prints its real path.
firm() { # DIRECTORY
  top=$(cd -P -- "$1" 2>/dev/null && printf '%sx' "$PWD") || return 1
  at=${top%x}
  while :; do
    [ -n "$(find "$at" -maxdepth 0 -type d '(' -uid 0 -o -uid "$me" ')' '(' ! -perm /022 -o -perm -1000 ')' -print)" ] || return 1
    [ "$at" != / ] || break
    at=${at%/*}
    at=${at:-/}
  done
  printf '%s' "$top"
}

# A directory that every user may pass through, so that owners reach what is theirs in it.
make_stage() { # PARENT...
  for parent in "$@" /var/tmp; do
    parent=$(firm "$parent") || continue
    parent=${parent%x}
    remove_old "$parent"
    stage=$(mktemp -d "$parent/.drops-staging-sqlite-XXXXXXXXXX" 2>/dev/null) || { stage=''; continue; }
    : >"$stage/lock"
    exec 9<"$stage/lock"
    flock 9
    chmod 711 "$stage"
    if [ "$me" != 0 ] || setpriv --reuid 65534 --regid 65534 --clear-groups test -x "$stage/." 2>/dev/null; then return 0; fi
    rm -rf -- "$stage"
    stage=''
  done
  return 1
}

as_owner() { # COMMAND...: in the directory $place, as the owner of the database
  if [ "$me" = "$uid" ]; then (cd "$place" && exec "$@"); return; fi
  (cd "$place" && exec setpriv --reuid "$uid" --regid "$gid" --clear-groups --inh-caps=-all -- env -i PATH="$PATH" LC_ALL=C "$@")
}

# The database's directory may be closed to its owner, as those of containers are: it is shown to them in another place.
on_live() { # COMMAND...: $live is where the owner finds the database
  live=$db
  if [ "$me" != 0 ] || as_owner test -r "$db"; then as_owner "$@" "$live"; return; fi
  mkdir -p "$stage/live"
  live=$stage/live/${db##*/}
  # shellcheck disable=SC2016
  (unshare -m --propagation private sh -c 'mount --bind -- "$1" "$2" && cd "$3" && shift 3 && exec "$@"' sh \
      "${db%/*}" "$stage/live" "$place" setpriv --reuid "$uid" --regid "$gid" --clear-groups --inh-caps=-all -- \
      env -i PATH="$PATH" LC_ALL=C "$@" "$live")
}

# One read transaction for the whole copy: nobody's commit falls into it, and in WAL mode nobody waits for it.
# shellcheck disable=SC2016
backup_sqlite3='sqlite3 -batch -bail -init /dev/null "$1" "$2" <<X
.timeout 20000
BEGIN;
SELECT count(*) FROM sqlite_master;
.backup main copy
COMMIT;
X'
backup_python3='import sqlite3, sys, urllib.parse
mode, path = sys.argv[1:]
live = sqlite3.connect("file:" + urllib.parse.quote(path) + "?mode=" + mode, uri=True, timeout=20)
live.execute("BEGIN")
live.execute("SELECT count(*) FROM sqlite_master").fetchone()
live.backup(sqlite3.connect("copy"))'

copy_live() {
  case $tool in
    sqlite3) on_live sh -c "$backup_sqlite3" sh -readonly ;;
    python3) on_live python3 -I -c "$backup_python3" ro ;;
  esac
}

# A writer that crashed left a journal or a log, which a reader may not roll back or finish: that is done in a copy of all.
copy_crashed() {
  state() { stat -c '%n %i %s %z' -- "$db" "$db-wal" "$db-journal" 2>/dev/null; }
  before=$(state)
  # shellcheck disable=SC2016
  on_live sh -c 'for each in "" -wal -journal; do [ ! -e "$0$each" ] || cp -- "$0$each" "raw$each" || exit 1; done' || return 1
  [ "$before" = "$(state)" ] || { echo 'it is being written to'; return 1; }
  case $tool in
    sqlite3) as_owner sh -c "$backup_sqlite3" sh -batch "$place/raw" ;;
    python3) as_owner python3 -I -c "$backup_python3" rw "$place/raw" ;;
  esac
}

# What is asked of a copy; each line is one statement. It runs as the database's owner, on a file that nobody writes to.
questions() { # integrity_check | quick_check
  cat <<X
SELECT 'integrity|' || hex(substr($1, 1, 300)) FROM pragma_$1(10);
SELECT 'broken_keys|' || count(*) FROM pragma_foreign_key_check;
SELECT 'page_size|' || page_size FROM pragma_page_size;
SELECT 'encoding|' || encoding FROM pragma_encoding;
SELECT 'user_version|' || user_version FROM pragma_user_version;
SELECT 'application_id|' || application_id FROM pragma_application_id;
X
}
tables="SELECT printf('SELECT ''rows|%s|'' || count(*) FROM \"%w\";', hex(name), name) FROM sqlite_master WHERE type = 'table' AND rootpage > 0 AND length(name) <= 100 AND instr(name, char(10)) = 0 ORDER BY name LIMIT 200;"
# shellcheck disable=SC2016
ask_sqlite3='sqlite3 -batch -bail -init /dev/null -readonly "file:copy?immutable=1" "$0"'
ask_python3='import sqlite3, sys
copy = sqlite3.connect("file:copy?immutable=1", uri=True)
for line in sys.argv[1].split("\n"):
    for row in copy.execute(line) if line else []: print(row[0])'

ask() { # STATEMENTS
  case $tool in
    sqlite3) as_owner timeout 3600 sh -c "$ask_sqlite3" "$1" ;;
    python3) as_owner timeout 3600 python3 -I -c "$ask_python3" "$1" ;;
  esac
}

is_database() {
  [ "$(dd if="$db" iflag=nofollow,nonblock bs=16 count=1 2>/dev/null | tr -d '\0')" = 'SQLite format 3' ]
}

size_of() { stat -L -c %s -- "$1" 2>/dev/null || echo 0; }

give_up() { # WHY, or else the first line of what a program said
  why=${1:-$(first_line <"$stage/errors")}
  case $why in
    *malformed* | *'not a database'*) say damaged "$why" ;;
    *) say failed "$why" ;;
  esac
  rm -rf -- "$place"
}

# Copy one database into a directory of its own: prints the answer.
copy_one() { # STAGING...
  is_database || { say other; return; }
  if [ ! -s "$db-wal" ] && [ ! -e "$db-journal" ] && [ -z "$(find "$db" -maxdepth 0 -cmin -10 2>/dev/null)" ]; then
    say quiet
    return
  fi
  [ -n "$tool" ] || { say failed 'neither sqlite3 nor python3 is on this machine: install the package sqlite3'; return; }
  [ -n "$stage" ] || make_stage "$@" || { say failed 'no staging directory could be made'; return; }
  if [ "$me" = 0 ]; then uid=$(stat -c %u -- "$db") gid=$(stat -c %g -- "$db"); else uid=$me gid=$(id -g); fi
  if [ "$me" = 0 ] && [ "$uid" = 0 ] && ! firm "${db%/*}/" >/dev/null; then
    say failed 'it is owned by root, in or below a directory that others may write to'
    return
  fi
  number=$((number + 1))
  place=$stage/$number
  # shellcheck disable=SC2046
  set -- $(stat -f -c '%a %S' "$stage")
  need=$((2 * ($(size_of "$db") + $(size_of "$db-wal"))))
  if [ $(($1 * $2)) -lt $((min_free + need)) ]; then
    say failed "$stage has $(($1 * $2)) bytes free; $need for a copy and $min_free to spare are needed"
    return
  fi
  if ! mkdir "$place" || { [ "$me" = 0 ] && ! chown "$uid:$gid" "$place"; }; then
    say failed 'its staging directory could not be made'
    return
  fi
  how=online
  if ! copy_live >/dev/null 2>"$stage/errors"; then
    how=recovered
    case $(cat "$stage/errors") in
      *'database is locked'*) give_up 'it was locked for 20 seconds'; return ;;
      *readonly*) copy_crashed >"$stage/errors" 2>&1 || { give_up; return; } ;;
      *) give_up; return ;;
    esac
  fi
  check=integrity_check
  [ "$(size_of "$place/copy")" -le 268435456 ] || check=quick_check
  answers=$(ask "$(questions $check)" 2>"$stage/errors") || { give_up "its copy cannot be read: $(first_line <"$stage/errors")"; return; }
  if [ $check = integrity_check ]; then
    counts=$(ask "$tables" 2>/dev/null) && [ -n "$counts" ] && answers="$answers
$(ask "$counts" 2>/dev/null)"
  fi
  # From here on the directory is ours: what is read now is a regular file in it, and no link to another.
  if [ "$me" = 0 ]; then chown 0:0 "$place"; fi
  found=$(find "$place/copy" -maxdepth 0 -type f -links 1 -uid "$uid" -printf '%s')
  [ -n "$found" ] || { give_up 'its copy is not the file that was made'; return; }
  rm -f -- "$place/raw" "$place/raw-wal" "$place/raw-journal" "$place/raw-shm"
  say copied "$how" "$check" "$place/copy" "$found" "$answers"
}

number=0
while IFS= read -r line; do
  db=$(printf '%bx' "${line#* }")
  db=${db%x}
  case $line in
    'copy '*) copy_one "$@" ;;
    'look '*)
      say "$(stat -c %.9Z -- "$db" 2>/dev/null)" "$(size_of "$db-wal")"
      if [ -e "$db-journal" ]; then say journal; else say -; fi
      ;;
    done) exit 0 ;;
    *) say "unknown command"; exit 1 ;;
  esac
done
