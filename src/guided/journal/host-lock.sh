# One operator at a time. Run by drops on the machine that is restored, as
#   sh -c THIS drops-lock BASE WHO SECONDS TAKE_OVER
# Says `locked` and holds the lock until its standard input ends; or `held SINCE PID WHO` and ends with status 75.
# Needs a POSIX sh, GNU coreutils and util-linux from PATH.
set -u
LC_ALL=C
export LC_ALL
umask 077
base=$1 who=$2 seconds=$3 take_over=$4

(umask 022 && mkdir -p -- "$(dirname -- "$base")") && mkdir -p -- "$base" && cd -- "$base" || exit 1
exec 9>>lock || exit 1

holder() { # its process id, if that still has the lock file open
  read -r _ pid _ <lock.holder 2>/dev/null || return 1
  case $pid in '' | *[!0-9]*) return 1 ;; esac
  [ "$(readlink -- "/proc/$pid/fd/9")" = "$(readlink -- "/proc/$$/fd/9")" ] && echo "$pid"
} 2>/dev/null

if [ "$take_over" = yes ] && ! flock -n 9; then
  pid=$(holder) && kill -TERM "$pid"
fi
if ! flock -w "$seconds" 9; then
  printf 'held '
  head -n 1 lock.holder 2>/dev/null
  exit 75
fi
printf '%s %s %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$$" "$who" >lock.holder
echo locked
exec cat >/dev/null 9>&9 # some shells would close it otherwise
