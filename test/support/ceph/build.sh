#!/bin/sh
# Makes the root directory that run.sh runs Ceph in, once, and prints its path. Root only.
# usage: build.sh CACHE_DIR
# Several test files may ask at the same moment: one builds, the others wait for it.
set -eu
cache=$1
mkdir -p "$cache"
exec 9> "$cache/lock"
flock 9

# Unstable has the newest Ceph and is the first choice, but it moves; stable is what remains.
suites='sid trixie'
for suite in $suites; do
  if [ -e "$cache/ceph-$suite/complete" ]; then echo "$cache/ceph-$suite"; exit 0; fi
done

# The mirror that this machine's apt uses serves every suite.
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2> /dev/null | grep -v security | head -n 1)
for suite in $suites; do
  part=$cache/ceph-$suite.part
  rm -rf "$part"
  if mmdebstrap --quiet --variant=minbase --include=ceph-mon,ceph-osd,radosgw,ceph-common,openssl \
    --aptopt='Apt::Install-Recommends "false"' --aptopt='Acquire::Check-Valid-Until "false"' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --customize-hook='rm -rf "$1"/var/lib/apt/lists "$1"/var/cache/apt' \
    "$suite" "$part" ${mirror:+"$mirror"} < /dev/null > "$cache/build-$suite.log" 2>&1; then
    touch "$part/complete"
    rm -rf "$cache/ceph-$suite"
    mv "$part" "$cache/ceph-$suite"
    echo "$cache/ceph-$suite"
    exit 0
  fi
  echo "cannot build Ceph from Debian $suite:" >&2
  tail -n 5 "$cache/build-$suite.log" >&2
done
exit 1
