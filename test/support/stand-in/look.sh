#!/bin/sh
# Notes what lies on the disk for a unit, bit for bit, before it starts and after it stopped.
# usage: look.sh UNIT EVENT
set -eu
unit=$1 event=$2
gate=false
[ ! -e /var/lib/drops/restore-in-progress ] || gate=true

# Everything of a tree that a file system keeps, but for times of reading and of renaming.
tree() {
  [ -e "$1" ] || { echo absent; return; }
  tar --create --sort=name --numeric-owner --xattrs --format=posix \
    --pax-option=exthdr.name=%d/%f,delete=atime,delete=ctime --directory "$(realpath "$1")" . | sha256sum | cut -c 1-32
}
as_postgres() { setpriv --reuid=postgres --regid=postgres --init-groups env --chdir=/ "$@"; }
database() {
  as_postgres psql -XAtc "SELECT oid FROM pg_database WHERE datname = '$1'" postgres
  # pg_dump marks every dump with a random word.
  as_postgres pg_dump --create "$1" 2> /dev/null | grep -v '^\\\(un\)\?restrict ' | sha256sum | cut -c 1-32
}
generation=
case $unit in
  matrix-continuwuity) found=$(tree /var/lib/matrix-continuwuity/db) ;;
  mautrix-slack) found="$(tree /var/lib/mautrix-slack) $(tree /var/lib/matrix-appservices) $(echo $(database mautrix_slack))" ;;
  nginx) found=nothing ;;
  forgejo)
    generation=$(sed -n 's/^SECRET_KEY = //p' /var/lib/forgejo/custom/conf/app.ini)
    found="$(tree /var/lib/forgejo) $(tree /var/lib/acme) $(echo $(database forgejo))"
    ;;
esac
printf '{"at":%s,"unit":"%s","event":"%s","gate":%s,"disk":"%s"%s}\n' \
  "$(date +%s%3N)" "$unit" "$event" "$gate" "$found" "${generation:+,\"generation\":\"$generation\"}" \
  >> /mnt/shared/notes.jsonl
