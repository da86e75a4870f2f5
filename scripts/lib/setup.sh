# Sourced by the other scripts: brings what they need on a fresh Debian machine, or names it.

root=$(cd "$(dirname "$0")/.." && pwd)
if [ ! -f "$root/scripts/lib/setup.sh" ]; then
  echo "setup.sh is for the scripts beside its folder: it finds the project by their path, and $0 is none of them" >&2
  exit 1
fi

# The npm packages of the lockfile, when they are not there yet or older than it.
bring_npm_packages() {
  stamp=$root/node_modules/.package-lock.json
  [ -f "$stamp" ] && [ ! "$root/package-lock.json" -nt "$stamp" ] && return 0
  echo "installing npm packages" >&2
  (cd "$root" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error) >&2
  touch "$stamp"
}

# bring_debian_packages PROGRAM=PACKAGE…: installs the packages whose program is missing; not root or no Debian: names them.
bring_debian_packages() {
  missing=
  for pair in "$@"; do
    program=${pair%%=*} package=${pair#*=}
    case $program in
      /*) [ -e "$program" ] || ls -d $program >/dev/null 2>&1 || missing="$missing $package" ;;
      *) PATH="$PATH:/usr/sbin:/sbin" command -v "$program" >/dev/null 2>&1 || missing="$missing $package" ;;
    esac
  done
  [ -z "$missing" ] && return 0
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "missing packages:$missing; on Debian as root: apt-get install$missing" >&2
    exit 1
  fi
  echo "installing Debian packages:$missing" >&2
  export DEBIAN_FRONTEND=noninteractive
  apt-get -qq update >&2
  # Without its starter, PostgreSQL's package would run a cluster of its own.
  # shellcheck disable=SC2086
  apt-get -qq install -y --no-install-recommends $missing </dev/null >/dev/null
}
