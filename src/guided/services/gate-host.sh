# Closes or opens the gate. Run by drops on the machine that is restored, as
#   sh -c THIS drops-gate close|open|look FILE CONDITION ETC RUN UNIT...
# FILE is the gate, CONDITION the line that drop-ins hold, ETC and RUN are the directories of unit files that survive a
# reboot and that do not. Every line may be the last one before a power cut: what is left is done by running it again.
# look tries where something could be written, and removes it again: prints `file`, and `etc` or `run`, as far as it can.
# Standard output, of close: lines `etc UNIT`, `run UNIT`, `none UNIT`: where the drop-in now is, on disk.
# Needs a POSIX sh and GNU coreutils from PATH.
set -u
LC_ALL=C
export LC_ALL
umask 022
verb=$1 file=$2 condition=$3 etc=$4 run=$5
shift 5
name=50-drops-restore.conf

content() {
  printf '%s\n' '# Written by drops for the time of a restore; drops removes it.' '[Unit]' "$condition"
}
is_ours() { [ -f "$1" ] && [ "$(cat -- "$1")" = "$(content)" ]; }

make_directory() { # with its parents, each one on disk before what comes into it
  [ -d "$1" ] && return 0
  make_directory "$(dirname -- "$1")" && mkdir -- "$1" && sync -- "$(dirname -- "$1")"
}

drop_in() ( # BASE UNIT
  directory=$1/$2.d
  make_directory "$directory" && cd -- "$directory" || exit 1
  if ! is_ours "$name"; then
    # under another name first: half a file must never be read by systemd
    content >".$name.part" && sync -- ".$name.part" && mv -f -- ".$name.part" "$name" || exit 1
  fi
  sync -- "$name" . && is_ours "$name"
)

close_gate() {
  # The file last: it closes the gate of all units in one moment, and never stands there for one that would start.
  for unit; do
    if drop_in "$etc" "$unit"; then echo "etc $unit"
    elif drop_in "$run" "$unit"; then echo "run $unit"
    else echo "none $unit"
    fi
  done
  systemctl daemon-reload
  reloaded=$?
  if ! { make_directory "$(dirname -- "$file")" && : >>"$file" && sync -- "$file" "$(dirname -- "$file")"; }; then
    [ -e "$file" ] || (open_gate "$@") # no gate: its drop-ins are not left either
    exit 3
  fi
  [ "$reloaded" -eq 0 ] || exit 4
}

open_gate() {
  # The file first: from this moment on all units may start, none before another.
  if [ -e "$file" ]; then
    rm -f -- "$file" && sync -- "$(dirname -- "$file")" || exit 3
  fi
  for base in "$etc" "$run"; do
    for directory in "$base"/*.d; do
      if [ -f "$directory/.$name.part" ]; then
        rm -f -- "$directory/.$name.part" && rmdir -- "$directory" 2>/dev/null
      fi
      if is_ours "$directory/$name"; then
        rm -f -- "$directory/$name" || exit 5
        rmdir -- "$directory" 2>/dev/null # unless it holds more
      fi
    done
    for unit; do
      if [ -d "$base/$unit.d" ]; then rmdir -- "$base/$unit.d" 2>/dev/null; fi # made, but not filled
    done
  done
  systemctl daemon-reload || exit 4
}

takes() { # whether something can be made in this directory, or where it would be made
  where=$1
  until [ -d "$where" ]; do where=$(dirname -- "$where"); done
  trial=$(mktemp "$where/.drops-trial-XXXXXX" 2>/dev/null) && rm -f -- "$trial"
}

look_gate() {
  if takes "$(dirname -- "$file")"; then echo file; fi
  if takes "$etc"; then echo etc
  elif takes "$run"; then echo run
  fi
}

case $verb in
  close) close_gate "$@" ;;
  open) open_gate "$@" ;;
  look) look_gate ;;
esac
