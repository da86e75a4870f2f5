# Brings new paths beside old ones and swaps them. Run by drops on the machine that is restored, as
#   sh -c THIS drops-paths probe PATH...        where each path really is, and what is there
#   sh -c THIS drops-paths ground PATH...       the nearest thing above each path that exists, and its free space
#   sh -c THIS drops-paths note NOTES NAME SIZE SUFFIX   standard input to NOTES/NAME and SUFFIX, on disk
#   sh -c THIS drops-paths list-old|list-place NOTES NAME FORMAT REAL WORK MODE ID
#                                             what is below old-ID (without it, and always: in place), as find prints it
#   sh -c THIS drops-paths look|begin|whole|swap|unswap|discard|finish NOTES NAME TRY [REAL WORK MODE ID]...
# MODE is `rename`, `inside` (REAL is a mount point: what is in it is moved) or `parent` (REAL was made on the way).
# In WORK: new-ID, whole-ID (new-ID is all there), old-ID, absent-ID (there was nothing), try-ID.TRY (being brought),
# stray-ID.N (what appeared in a place while it was empty), and for `inside` out-ID (all of the old is in old-ID), was-ID
# and will-ID (owner, mode and time of the place). NOTES/NAME.ID.time has its time while WORK is made or removed.
# What no source takes is not replaced: NOTES/NAME.ID.carry names it (`p PATH`, and `d PATH` for each directory above it, outer
# ones first; `\\` and `\n` stand for a backslash and a line break), and a swap moves it on from old-ID to new-ID, before that
# is put in place. carried-ID: all of it is there. NOTES/NAME.ID.carry.times has the times of the directories on both sides.
# Every line may be the last one before a power cut: what is where tells what is left to do, and the same verb does it.
# Whoever owns the directory that holds a place may swap any name in it at any moment, WORK too. So that directory and WORK
# are opened once, found to be where their names say (WORK: our own, and closed to others), and worked in by way of /proc.
# Fields on standard output end with NUL.
# Status 60: nothing is staged. 61: something is in the way. 62: the input was broken off. 63: another user swapped a
# directory. 75: another one is at work.
# Needs a POSIX sh and GNU coreutils and findutils from PATH, wherever that points.
set -u
LC_ALL=C
export LC_ALL
umask 077

fail() { # STATUS SENTENCE
  printf '%s\n' "$2" >&2
  exit "$1"
}
exists() { [ -e "$1" ] || [ -L "$1" ]; }

# ---- handles

none=/proc/self/fd/none # there is nothing there, and nobody can make it
swapped() { fail 63 "another user put something else in the place of $1"; }

hold() { # FD PATH REAL: opens the directory REAL, by PATH
  case $1 in
    7) exec 7<"$2/." ;;
    8) exec 8<"$2/." ;;
  esac
  [ "$(readlink -n -- "/proc/$$/fd/$1" && echo .)" = "$3." ] || swapped "$3"
}

hold_place() { # $at holds the place
  at=$none
  if [ -d "$above" ]; then
    hold 7 "$above" "$above"
    at=/proc/$$/fd/7/.
  fi
  case $mode in
    inside) real=$at ;;
    *) real=$at/${place##*/} ;;
  esac
  hold_work
}

hold_work() {
  work=$none
  if [ "$mode" != parent ] && exists "$at/$own"; then
    if [ ! -d "$at/$own" ] || [ -L "$at/$own" ]; then swapped "${above%/}/$own"; fi
    hold 8 "$at/$own" "${above%/}/$own"
    work=/proc/$$/fd/8/.
    [ -n "$(find "$work" -maxdepth 0 -user "$(id -u)" ! -perm /077)" ] || swapped "${above%/}/$own"
  fi
  new=$work/new-$id whole=$work/whole-$id old=$work/old-$id absent=$work/absent-$id
  out=$work/out-$id was=$work/was-$id will=$work/will-$id carried=$work/carried-$id
}

shown() { # PATH: by its name
  case $1 in
    "$work"/*) printf %s "${above%/}/$own/${1#"$work/"}" ;;
    "$at"/*) printf %s "${above%/}/${1#"$at/"}" ;;
    "$at") printf %s "$above" ;;
    *) printf %s "$1" ;;
  esac
}

# ---- looking

kind_of() {
  if [ -L "$1" ]; then echo l
  elif [ -d "$1" ]; then echo d
  elif [ -f "$1" ]; then echo f
  elif [ -e "$1" ]; then echo o
  else echo -
  fi
}

resolve() { # without losing a newline at the end of a name
  resolved=$(readlink -m -- "$1" && echo .) && resolved=${resolved%??}
}

probe() {
  for path; do
    name=${path##*/}
    resolve "${path%/*}/" || exit 1
    place=${resolved%/}/$name
    resolve "$path" || exit 1
    printf '%s\0' "$place" "$(kind_of "$place")" "$resolved" "$(kind_of "$resolved")"
  done
  cat /proc/self/mountinfo
}

ground() {
  for path; do
    while ! exists "$path"; do path=$(dirname -- "$path" && echo .) && path=${path%??}; done
    printf '%s\0' "$path"
    # shellcheck disable=SC2046
    printf '%s\0' $(stat -c '%d %u %g' -- "$path") $(stat -f -c '%a %S %d %c' -- "$path")
  done
}

look() {
  if [ -f "$notes/$name" ]; then cat -- "$notes/$name"; fi
  printf '\0'
  cat /proc/self/mountinfo
  printf '\0'
  each look_one "$@"
}

look_one() {
  [ "$mode" != parent ] || return 0
  found=
  for path in "$whole" "$new" "$old" "$absent" "$out" "$real"; do
    if exists "$path"; then found=${found}1; else found=${found}0; fi
  done
  printf '%s\0' "$found"
}

list_old() {
  from=$real
  if exists "$old"; then from=$old; fi
  exists "$absent" || list_below
}

list_place() {
  from=$real
  list_below
}

list_below() {
  [ -d "$from" ] || return 0
  find -P "$from" -mindepth 1 -type d \( -name '.drops-restore-*' -o -name '.drops-staging-*' \) -prune -o -printf "$attempt" ||
    [ "$(id -u)" != 0 ] || exit 1
}

# ---- moving

nocopy=
case $(mv --help 2>/dev/null) in *--no-copy*) nocopy=--no-copy ;; esac # a rename, or nothing

rename() { # FROM TO
  if exists "$2"; then fail 61 "$(shown "$2") is in the way"; fi
  [ "$(stat -c %d -- "$(dirname -- "$1")")" = "$(stat -c %d -- "$(dirname -- "$2")")" ] ||
    fail 61 "$(shown "$1") and $(shown "$2") are not on the same file system"
  # shellcheck disable=SC2086
  mv $nocopy -T -- "$1" "$2" || exit 1
}

fresh_stray() {
  count=0
  while exists "$work/stray-$id.$count"; do count=$((count + 1)); done
  stray=$work/stray-$id.$count
}

aside() { # what has no business in the place is kept until the restore ends
  fresh_stray
  rename "$1" "$stray"
}

entries() { # DIRECTORY ACTION...
  directory=$1
  shift
  find "$directory" -mindepth 1 -maxdepth 1 ! -name '.drops-restore-*' ! -name '.drops-staging-*' "$@"
}

move_entries() { # FROM TO from|to: in which of them a thing of the same name as in the other has no business
  # shellcheck disable=SC2086
  entries "$1" -exec mv $nocopy -n -t "$2" -- {} + 2>/dev/null # newer ones call it a failure to pass one over
  if [ -n "$(entries "$1" -print -quit)" ]; then
    fresh_stray
    mkdir -- "$stray" || exit 1
    if [ "$3" = from ]; then
      entries "$1" -exec mv -t "$stray" -- {} + || exit 1
    else
      # shellcheck disable=SC2016
      entries "$1" -exec sh -c '
        to=$1 stray=$2
        shift 2
        for from; do
          name=${from##*/}
          mv -T -- "$to/$name" "$stray/$name" && mv -T -- "$from" "$to/$name" || exit 1
        done' drops-paths "$2" "$stray" {} + || exit 1
    fi
  fi
  [ -z "$(entries "$1" -print -quit)" ] || fail 61 "$(shown "$1") could not be emptied"
  sync -- "$1" "$2" || exit 1
}

like() { # REFERENCE TARGET
  chown --reference="$1" -- "$2" || [ "$(id -u)" != 0 ] || exit 1
  chmod --reference="$1" -- "$2" && touch --reference="$1" -- "$2" || exit 1
}

remember() { # OF AS
  rm -rf -- "$2" "$2.part" && mkdir -- "$2.part" || exit 1
  like "$1" "$2.part"
  mv -T -- "$2.part" "$2" || exit 1
}

mark() {
  : >"$1" && sync -- "$1" "$work" || exit 1
}

keeping_time() { # COMMAND...: the making or removal of WORK is not to be seen on a mount point
  if [ "$mode" != inside ]; then "$@"; return; fi
  if ! exists "$kept"; then
    touch --reference="$real" -- "$kept.part" && mv -f -- "$kept.part" "$kept" || exit 1
  fi
  "$@"
  recover_time
}

recover_time() { # it may have been killed in between
  if [ "$mode" != inside ] || ! exists "$kept"; then return 0; fi
  touch --reference="$kept" -- "$real" && rm -f -- "$kept" || exit 1
}

# ---- what no source takes
# Whoever used the old may still be in there, and swap what lies in it: each directory is opened, found to be
# where its name says, and worked in by its handle.

enter() { # FD old|new DIRECTORY: fails when there is no such directory, or not by this name
  inner=$work/$2-$id${3:+/$3}
  [ -d "$inner" ] || return 1
  case $1 in
    5) exec 5<"$inner/." ;;
    6) exec 6<"$inner/." ;;
  esac
  [ "$(readlink -n -- "/proc/$$/fd/$1" && echo .)" = "${above%/}/$own/$2-$id${3:+/$3}." ]
}

listed() { # FILE FUNCTION: of each of its lines, $fields (what is before the path) and $path
  while IFS= read -r line <&3; do
    fields=${line%%/*} path=${line#*/}
    case $path in *\\*) path=$(printf '%b.' "$path") && path=${path%.} ;; esac
    base=${path##*/} parent=
    case $path in */*) parent=${path%/*} ;; esac
    "$2"
  done 3<"$1"
}

time_of() { # as touch takes it; - when there is no such directory
  if [ -d "$1" ]; then stat -c %.9Y -- "$1"; else echo -; fi
}

note_times() {
  case $fields in d*) printf '%s %s /%s\n' "$(time_of "$old/$path")" "$(time_of "$new/$path")" "${line#*/}" ;; esac
}

set_times() {
  of_old=${fields%% *} of_new=${fields#* }
  of_new=${of_new% }
  [ "$of_new" != - ] || of_new=$of_old
  if enter 5 old "$path"; then touch -d "@$of_old" -- /proc/$$/fd/5/. || exit 1; fi
  if enter 6 new "$path"; then touch -d "@$of_new" -- /proc/$$/fd/6/. || exit 1; fi
}

make_one() { # like the old one, where the snapshot has none
  case $fields in *' - ') ;; *) return 0 ;; esac
  if ! enter 5 old "$path" || ! enter 6 new "$parent"; then return 0; fi
  if ! exists "/proc/$$/fd/6/$base"; then mkdir -- "/proc/$$/fd/6/$base" || exit 1; fi
  if enter 6 new "$path"; then like /proc/$$/fd/5/. /proc/$$/fd/6/.; fi
}

enter_both() { # neighbours follow one another
  [ "$entered" != "/$parent" ] || return 0
  entered=
  enter 5 old "$parent" && enter 6 new "$parent" && entered=/$parent
}

carry_one() { # what is on both sides is the snapshot's: the old one stays, as does what another user than root may not move
  case $fields in p*) ;; *) return 0 ;; esac
  if ! enter_both || ! exists "/proc/$$/fd/5/$base" || exists "/proc/$$/fd/6/$base"; then return 0; fi
  # shellcheck disable=SC2086
  mv $nocopy -T -- "/proc/$$/fd/5/$base" "/proc/$$/fd/6/$base" || [ "$(id -u)" != 0 ] || exit 1
}

take_back_one() {
  case $fields in p*) ;; *) return 0 ;; esac
  if exists "$old/$path" || ! exists "$new/$path"; then return 0; fi
  enter_both || swapped "$place${parent:+/$parent}"
  # shellcheck disable=SC2086
  if exists "/proc/$$/fd/6/$base"; then mv $nocopy -T -- "/proc/$$/fd/6/$base" "/proc/$$/fd/5/$base" || exit 1; fi
}

unmake_one() { # outer ones first: the next round has those that hold others
  case $fields in *' - ') ;; *) return 0 ;; esac
  if enter 6 new "$parent" && exists "/proc/$$/fd/6/$base"; then
    rmdir -- "/proc/$$/fd/6/$base" 2>/dev/null && again=yes
  fi
}

carry() {
  if [ ! -s "$list" ] || ! exists "$old" || exists "$carried"; then return 0; fi
  if ! exists "$list.times"; then
    listed "$list" note_times >"$list.part" && sync -- "$list.part" && mv -f -- "$list.part" "$list.times" || exit 1
  fi
  listed "$list.times" make_one
  entered=
  listed "$list" carry_one
  listed "$list.times" set_times
  sync -f -- "$work" || exit 1
  mark "$carried"
}

take_back() {
  if [ ! -s "$list" ] || ! exists "$old" || ! exists "$new" || ! exists "$list.times"; then return 0; fi
  rm -f -- "$carried" && sync -- "$work" || exit 1
  entered=
  listed "$list" take_back_one
  again=yes
  while [ -n "$again" ]; do
    again=
    listed "$list.times" unmake_one
  done
  listed "$list.times" set_times
  sync -f -- "$work" || exit 1
}

# ---- one path

swap_one() {
  case $mode in
    rename) swap_renamed ;;
    inside) swap_inside ;;
  esac
}

put_back_one() {
  recover_time
  case $mode in
    rename) put_back_renamed ;;
    inside) put_back_inside ;;
  esac
}

swap_renamed() {
  if exists "$whole" && ! exists "$new" && exists "$real"; then
    if exists "$old" || exists "$absent"; then return 0; fi
  fi
  if ! exists "$whole" || ! exists "$new"; then fail 60 "nothing is staged for $place"; fi
  if exists "$old" || exists "$absent"; then # it was begun
    if exists "$real"; then aside "$real"; fi
  elif exists "$real"; then
    rm -f -- "$list.times" "$carried" || exit 1
    rename "$real" "$old"
  else
    mark "$absent"
  fi
  carry
  rename "$new" "$real"
  sync -- "$work" "$(dirname -- "$real")"
}

put_back_renamed() {
  if ! exists "$old" && ! exists "$absent"; then return 0; fi
  if exists "$real"; then
    if exists "$whole" && ! exists "$new"; then rename "$real" "$new"; else aside "$real"; fi
  fi
  take_back
  if exists "$old"; then rename "$old" "$real"; fi
  rm -f -- "$absent" || exit 1
  sync -- "$work" "$(dirname -- "$real")"
}

# old-ID is there from the beginning of a swap to the end of putting back. Without out-ID, what is in the place is old.
swap_inside() {
  if exists "$old" && exists "$out" && ! exists "$new"; then return 0; fi
  if ! exists "$whole" || ! exists "$new"; then fail 60 "nothing is staged for $place"; fi
  if ! exists "$old"; then
    remember "$real" "$was"
    remember "$new" "$will"
    rm -f -- "$list.times" "$carried" || exit 1
    mkdir -- "$old" || exit 1
  fi
  if ! exists "$out"; then
    move_entries "$real" "$old" from
    mark "$out"
  fi
  carry
  move_entries "$new" "$real" to
  like "$will" "$real"
  rmdir -- "$new" || exit 1
  sync -- "$work" "$real"
}

put_back_inside() {
  if ! exists "$old"; then return 0; fi
  if exists "$out"; then
    if ! exists "$new"; then mkdir -- "$new" || exit 1; fi
    move_entries "$real" "$new" from
    take_back
    like "$will" "$new"
    sync -- "$new" "$work" || exit 1
    rm -f -- "$out" && sync -- "$work" || exit 1
  fi
  move_entries "$old" "$real" to
  like "$was" "$real"
  rmdir -- "$old" || exit 1
  sync -- "$work" "$real"
}

descend() { # REAL PATH: becomes the working directory, made where it is missing, without a symlink on the way
  if [ ! -d "$1" ]; then
    up=${1%/*}
    descend "${up:-/}"
    access=0755
    # systemd refuses a more open one
    case $1 in /var/lib/private | /var/cache/private | /var/log/private) access=0700 ;; esac
    mkdir -m "$access" -- "./${1##*/}" || [ -d "$1" ] || exit 1
    sync -- . || exit 1
  fi
  cd -P -- "$1" && [ "$(pwd -P && echo .)" = "$1
." ] || swapped "$1"
}

remove() { # what may be written to by a tar that has not noticed yet that nobody listens
  for try in 1 2 3 4 5; do
    if rm -rf --one-file-system -- "$@" 2>/dev/null; then return 0; fi
    # root needs no permission, and chmod would follow what a process that is still in there swaps
    [ "$(id -u)" = 0 ] || chmod -R u+rwX -- "$@" 2>/dev/null
    [ "$try" = 1 ] || sleep 1
  done
  rm -rf --one-file-system -- "$@" || exit 1
}

clear_one() {
  rm -f -- "$whole" || exit 1
  remove "$new" "$work/try-$id".*
}

begin_one() {
  [ "$mode" != parent ] || return 0
  put_back_one
  (descend "$above") || exit
  if [ "$at" = "$none" ]; then hold_place; fi
  if [ "$work" = "$none" ]; then
    keeping_time mkdir -- "$at/$own" || [ -d "$at/$own" ] || exit 1
    hold_work
  fi
  clear_one
  mkdir -- "$work/try-$id.$attempt" || exit 1
}

whole_one() {
  [ "$mode" != parent ] || return 0
  if exists "$whole" && exists "$new"; then return 0; fi
  sync -f -- "$work/try-$id.$attempt" || exit 1
  if ! exists "$new"; then rename "$work/try-$id.$attempt/new" "$new"; fi
  rmdir -- "$work/try-$id.$attempt" || exit 1
  sync -- "$work" || exit 1
  mark "$whole"
}

discard_one() {
  if [ "$mode" = parent ]; then
    rmdir -- "$real" 2>/dev/null # unless somebody uses it
    return 0
  fi
  recover_time
  [ "$work" != "$none" ] || return 0
  put_back_one
  clear_one
  remove "$work/stray-$id".* "$was" "$will" "$was.part" "$will.part" "$carried" "$list" "$list.part" "$list.times"
  keeping_time rmdir -- "$at/$own" 2>/dev/null # unless another source is in it
  return 0
}

finish_one() {
  [ "$mode" != parent ] || return 0
  recover_time
  [ "$work" != "$none" ] || return 0
  remove "$old" "$work/stray-$id".* "$was" "$will" "$carried" "$list" "$list.times"
  rm -f -- "$absent" "$out" "$whole" || exit 1
  keeping_time rmdir -- "$at/$own" 2>/dev/null
  return 0
}

# ---- all of them

each() { # FUNCTION [REAL WORK MODE ID]...
  action=$1
  shift
  while [ $# -ge 4 ]; do
    place=$1 own=${2##*/} mode=$3 id=$4
    case $mode in
      inside) above=$place ;;
      *) above=${place%/*} ;;
    esac
    above=${above:-/}
    kept=$notes/$name.$id.time list=$notes/$name.$id.carry
    hold_place
    shift 4
    "$action"
  done
}

make_directory() { # with its parents, each one on disk before what comes into it
  if [ -d "$1" ]; then return 0; fi
  make_directory "$(dirname -- "$1")" && mkdir -- "$1" && sync -- "$(dirname -- "$1")"
}

note() { # SIZE SUFFIX
  set -- "$1" "$notes/$name$2"
  cat >"$2.part" || exit 1
  [ "$(stat -c %s -- "$2.part")" = "$1" ] || fail 62 'the record was broken off'
  sync -- "$2.part" && mv -f -T -- "$2.part" "$2" && sync -- "$notes"
}

verb=$1
shift
case $verb in
  probe) probe "$@"; exit ;;
  ground) ground "$@"; exit ;;
esac
notes=$1 name=$2 attempt=$3
shift 3
case $verb in
  look) look "$@"; exit ;;
  list-old) each list_old "$@"; exit ;;
  list-place) each list_place "$@"; exit ;;
esac
make_directory "$notes" || exit 1
exec 9>"$notes/$name.lock"
# What was started by a connection that is lost may still be at work.
if command -v flock >/dev/null; then flock -w 60 9 || fail 75 "another command of this restore is still at work"; fi
case $verb in
  note) note "$attempt" "$1" ;;
  begin) each begin_one "$@" ;;
  whole) each whole_one "$@" ;;
  swap) each swap_one "$@" ;;
  unswap) each put_back_one "$@" ;;
  discard)
    each discard_one "$@"
    rm -f -- "$notes/$name" "$notes/$name.part" && sync -- "$notes" || exit 1
    ;;
  finish) each finish_one "$@" ;;
esac
case $verb in discard | finish) rm -f -- "$notes/$name.lock" ;; esac
