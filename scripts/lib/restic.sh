#!/bin/sh
# Prints the path of a restic 0.19 or newer: a statically linked program, taken from Debian's newest suite, kept in the
# user's cache. The stable suite's is years older.
set -eu
cache=${XDG_CACHE_HOME:-$HOME/.cache}/drops-test
program=$cache/restic
if [ ! -x "$program" ]; then
  mkdir -p "$cache"
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -v security | head -n 1)
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  mkdir -p "$work/lists/partial" "$work/archives/partial"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror sid main" > "$work/sources.list"
  apt() {
    apt-get -qq -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=- -o Dir::State::Lists="$work/lists" \
      -o Dir::Cache="$work" -o APT::Sandbox::User=root -o Acquire::Check-Valid-Until=false "$@" >&2
  }
  apt update
  (cd "$work" && apt download restic && dpkg-deb -x restic_*.deb unpacked)
  install -m 755 "$work/unpacked/usr/bin/restic" "$program.part"
  mv "$program.part" "$program"
fi
echo "$program"
