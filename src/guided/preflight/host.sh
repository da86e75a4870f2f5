# Looks at the machine that is restored and changes nothing that stays. Run by drops as
#   sh -c THIS drops-preflight KIND SUBJECT KIND SUBJECT...
# Standard output: for each question the fields kind, subject, answer, each ended by NUL, in their order, then `end`.
#   tool NAME      yes; gnu when --version says so; empty when it is missing
#   user NAME      uid, empty when there is none
#   group NAME     gid
#   space PATH     device, bytes free for root, inodes free (0 when the file system does not count), real path that was asked
#   options DIR    rocksdb_version in the newest OPTIONS file
#   clock x        milliseconds since 1970
#   fact NAME      of the machine, as backup notes them
#   program UNIT   path of what its ExecStart runs
# Needs a POSIX sh and GNU coreutils from PATH.
set -u
LC_ALL=C
export LC_ALL

tool() {
  command -v -- "$1" >/dev/null || return 0
  case $1 in
    tar | find | stat | sync | mv | cp) "$1" --version 2>/dev/null | grep -q GNU && echo gnu || echo yes ;;
    *) echo yes ;;
  esac
}

space() { # of the nearest directory that is there
  where=$(readlink -m -- "$1") || return 0
  until [ -d "$where" ] || [ "$where" = / ]; do where=$(dirname -- "$where"); done
  printf '%s %s %s' "$(stat -c %d -- "$where")" "$(stat -f -c '%f %S %d' -- "$where")" "$where"
}

options() {
  newest=$(find "$1/" -maxdepth 1 -name 'OPTIONS-[0-9]*' -type f 2>/dev/null | sort | tail -n 1)
  [ -n "$newest" ] && sed -n 's/^ *rocksdb_version *= *//p' "$newest" | head -n 1
}

fact() {
  case $1 in
    nixos_version) cat /run/current-system/nixos-version 2>/dev/null ;;
    nixos_system) readlink -e /run/current-system ;;
    os) (. /etc/os-release && printf %s "$PRETTY_NAME") 2>/dev/null ;;
  esac
}

program() {
  systemctl show -p ExecStart --value -- "$1" | sed -n 's/^{ path=\([^ ;]*\) .*/\1/p' | head -n 1
}

answer() {
  case $1 in
    tool) tool "$2" ;;
    user) getent passwd -- "$2" | cut -d : -f 3 ;;
    group) getent group -- "$2" | cut -d : -f 3 ;;
    space) space "$2" ;;
    options) options "$2" ;;
    clock) date +%s%3N ;;
    fact) fact "$2" ;;
    program) program "$2" ;;
  esac
}

while [ $# -ge 2 ]; do
  printf '%s\0%s\0%s\0' "$1" "$2" "$(answer "$1" "$2" 2>/dev/null)"
  shift 2
done
printf 'end\0'
