# Keeps the journal of a restore. Run by drops on the machine that is restored, as
#   sh -c THIS drops-journal append FILE             one line on standard input
#   sh -c THIS drops-journal create BASE RUN SIZE    run.json of SIZE bytes on standard input
#   sh -c THIS drops-journal list BASE               names of runs, one a line
#   sh -c THIS drops-journal read BASE RUN           run.json, a NUL, the journal
# Status 66: what is there is something else. 65: the input was broken off. 67: there is no such run.
# Needs a POSIX sh and GNU coreutils from PATH.
set -u
LC_ALL=C
export LC_ALL
umask 077

make_directory() { # with its parents, each one on disk before what comes into it
  [ -d "$1" ] && return 0
  make_directory "$(dirname -- "$1")" && mkdir -- "$1" && sync -- "$(dirname -- "$1")"
}

append() { # FILE
  IFS= read -r line || exit 65 # no end of line: the connection was lost, and this is not all of it
  if [ ! -f "$1" ]; then # the making of the run was broken off
    : >>"$1" && sync -- "$1" "$(dirname -- "$1")" || exit 1
  fi
  size=$(stat -c %s -- "$1")
  # An earlier one that was broken off gets an end, so that it cannot spoil this one.
  last=$(tail -c 1 -- "$1" | tr '\0\n' 'x.')
  if [ "$size" -gt 0 ] && [ "$last" != . ]; then line="
$line"; fi
  # cat, since it says why it cannot write
  if printf '%s\n' "$line" | cat >>"$1" && sync -- "$1"; then return 0; fi
  truncate -s "$size" -- "$1"
  exit 1
}

create() { # BASE RUN SIZE
  (umask 022 && make_directory "$(dirname -- "$1")") && make_directory "$1" && make_directory "$1/$2" || exit 1
  cd -- "$1/$2" || exit 1
  cat >run.json.part && sync -- run.json.part || exit 1
  [ "$(stat -c %s run.json.part)" = "$3" ] || exit 65
  if [ -e run.json ]; then
    cmp -s run.json run.json.part
    same=$?
    rm -f run.json.part
    [ "$same" = 0 ] || exit 66
  else
    mv -- run.json.part run.json || exit 1
  fi
  : >>journal.jsonl && sync -- run.json journal.jsonl .
}

list() { # BASE
  [ -d "$1" ] || return 0
  cd -- "$1" && for name in *; do [ -d "$name" ] && printf '%s\n' "$name"; done
  return 0
}

read_run() { # BASE RUN
  cd -- "$1/$2" 2>/dev/null && [ -f run.json ] || exit 67
  head -c 1048576 run.json && printf '\0' || exit 1
  if [ -f journal.jsonl ]; then head -c 16000000 journal.jsonl; fi
}

verb=$1
shift
case $verb in
  append) append "$@" ;;
  create) create "$@" ;;
  list) list "$@" ;;
  read) read_run "$@" ;;
esac
