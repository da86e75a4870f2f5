#!/usr/bin/env bash
# Recover a drops snapshot without drops, with age, zstd, GNU tar, jq, sha256sum, ssh-keygen and coreutils alone.
#
#   recover.sh REPOSITORY POLICY SNAPSHOT IDENTITY SIGNER OUT [SOURCE...]
#
#   REPOSITORY  a directory that holds the bucket's prefix (any S3 client can sync it)
#   POLICY      the folder in it, such as ops-jrz1
#   SNAPSHOT    latest, a day such as 2026-11-20 (UTC, the last complete one of that day), or an id
#   IDENTITY    file with the recovery identity (AGE-SECRET-KEY-1...)
#   SIGNER      the public key line on the recovery sheet: "ssh-ed25519 AAAA..."
#   OUT         a directory that does not exist yet
#
# Nothing is believed before it is checked: the record by its signature, lists and manifests by the hashes in the
# record, packs by their names, chunks by theirs, files by their sizes.
set -euo pipefail
export LC_ALL=C
umask 077

fail() { echo "recover.sh: $*" >&2; exit 1; }
[ $# -ge 6 ] || { sed -n '2,14p' "$0" >&2; exit 2; }
repository=$1 policy=$2 wanted=$3 identity=$4 signer=$5 out=$6
shift 6
for tool in age zstd tar jq sha256sum ssh-keygen base64; do
  command -v "$tool" >/dev/null || fail "missing program: $tool (Debian: apt-get install age zstd tar jq coreutils openssh-client)"
done
[[ $policy =~ ^[a-z][a-z0-9-]*$ ]] || fail "not a policy name: $policy"
[ ! -e "$out" ] || fail "$out exists already; nothing is written over"
[ -d "$repository/$policy/snapshots" ] || fail "no snapshots below $repository/$policy"
mkdir -p "$out"
work=$(mktemp -d "$out/.recover-XXXXXX")
trap 'rm -rf "$work"' EXIT
printf 'drops %s\n' "$signer" > "$work/allowed"

# hash_is FILE SHA256 WHAT
hash_is() {
  local found
  found=$(sha256sum < "$1") || fail "cannot read $1"
  [ "${found%% *}" = "$2" ] || fail "$3 does not hold the bytes that its name promises"
}

# signed RECORD: the record's signature is the trusted signer's.
signed() {
  [ -f "$1.sig" ] && ssh-keygen -Y verify -f "$work/allowed" -I drops -n drops-snapshot-v1 -s "$1.sig" < "$1" >/dev/null 2>&1
}

pick() {
  local file name id time day
  case $wanted in
    latest) day= ;;
    ????-??-??) day=${wanted//-/} ;;
    *) day=none ;;
  esac
  for file in $(ls -r "$repository/$policy/snapshots"); do
    [[ $file =~ ^([0-9]{8}T[0-9]{6}Z)-([0-9a-f]{8,32})\.json$ ]] || continue
    time=${BASH_REMATCH[1]} id=${BASH_REMATCH[2]}
    name=$repository/$policy/snapshots/$file
    if [ "$day" = none ]; then [ "$id" = "$wanted" ] || continue; else [ "${time#"$day"}" != "$time" ] || [ -z "$day" ] || continue; fi
    signed "$name" || { echo "recover.sh: ignored, not signed by the trusted key: $file" >&2; continue; }
    jq -e --arg id "$id" --arg policy "$policy" '.drops == "snapshot" and .format == 1 and .id == $id and .policy == $policy' "$name" >/dev/null \
      || { echo "recover.sh: ignored, made for another place: $file" >&2; continue; }
    [ "$day" = none ] || [ "$(jq -r .state "$name")" = complete ] || continue
    printf '%s\n' "$name"
    return
  done
  fail "no snapshot for $wanted that the trusted key signed"
}

# Lines of: type mode uid gid mtime size path target chunks; path and target in base64, "-" where there is none.
entries() {
  jq -r 'select(.type) | [.type, .mode, .uid, .gid, .mtime, .size,
    (.path_b64 // (.path | @base64)), (.target_b64 // (.target // "" | @base64) | if . == "" then "-" else . end),
    ([.chunks[]?[1]] | join(" "))] | map(tostring) | join(" ")' "$1"
}

# decode BASE64: into $decoded, any bytes but NUL, a trailing newline included.
decode() {
  decoded=$(printf %s "$1" | base64 -d; printf x)
  decoded=${decoded%x}
}

safe() {
  case "/$1/" in *//* | */./* | */../*) fail "a path in the manifest leaves its directory" ;; esac
}

# Times and owners come last: writing into a directory changes its time.
finish() { # PATH MODE UID GID MTIME
  if [ "$(id -u)" = 0 ]; then chown -h "$3:$4" "$1"; fi
  [ -L "$1" ] || chmod "$2" "$1"
  local seconds=${5%?????????} nanos=${5: -9}
  [ ${#5} -gt 9 ] && touch -h -d "@$seconds.$nanos" "$1"
  return 0
}

restore_source() { # NAME MANIFEST
  local name=$1 manifest=$2 target=$out/$1 type mode uid gid mtime size path link chunks chunk at decoded
  mkdir "$target"
  while read -r type mode uid gid mtime size path link chunks; do
    decode "$path"; safe "$decoded"; at=$target/$decoded
    case $type in
      dir) mkdir -p "$at" ;;
      file)
        mkdir -p "$(dirname "$at")"
        : > "$at"
        for chunk in $chunks; do cat "$work/chunks/$chunk" >> "$at"; done
        [ "$(stat -c %s "$at")" = "$size" ] || fail "$decoded has another size than the manifest says"
        finish "$at" "$mode" "$uid" "$gid" "$mtime"
        ;;
      fifo) mkdir -p "$(dirname "$at")"; mkfifo "$at"; finish "$at" "$mode" "$uid" "$gid" "$mtime" ;;
    esac
  done < <(entries "$manifest")
  # Links only when no file is written any more: nothing is ever written through one.
  while read -r type mode uid gid mtime size path link chunks; do
    case $type in hardlink | symlink) ;; *) continue ;; esac
    decode "$path"; safe "$decoded"; at=$target/$decoded
    mkdir -p "$(dirname "$at")"
    decode "$link"
    if [ "$type" = hardlink ]; then safe "$decoded"; ln "$target/$decoded" "$at"
    else ln -s "$decoded" "$at"; finish "$at" "$mode" "$uid" "$gid" "$mtime"; fi
  done < <(entries "$manifest")
  while read -r type mode uid gid mtime size path link chunks; do
    [ "$type" = dir ] || continue
    decode "$path"
    finish "$target/$decoded" "$mode" "$uid" "$gid" "$mtime"
  done < <(entries "$manifest" | sort -r -k7,7)
  if jq -e 'select(.xattrs)' "$manifest" >/dev/null 2>&1; then echo "recover.sh: note: extended attributes of $name are in $out/$name.manifest" >&2; fi
  cp "$manifest" "$out/$name.manifest"
}

record=$(pick)
echo "recovering $(jq -r '"\(.policy) \(.id), \(.state), ended \(.ended)"' "$record")"
mapfile -t sources < <(jq -r '.sources[] | select(.manifest) | .name' "$record")
[ $# -eq 0 ] || sources=("$@")

for source in "${sources[@]}"; do
  [[ $source =~ ^[a-z][a-z0-9-]*$ ]] || fail "not a source name: $source"
  part() { jq -r --arg name "$source" ".sources[] | select(.name == \$name) | $1" "$record"; }
  manifest=$(part .manifest.sha256) list=$(part .list.sha256)
  [[ $manifest =~ ^[0-9a-f]{64}$ && $list =~ ^[0-9a-f]{64}$ ]] || fail "this snapshot holds nothing of source $source"
  hash_is "$repository/$policy/lists/$list" "$list" "list $list"
  hash_is "$repository/$policy/manifests/$manifest" "$manifest" "manifest $manifest"
  (cd "$repository/$policy" && sha256sum --quiet --strict -c "lists/$list" >&2) || fail "a pack of $source is damaged or missing"
  age -d -i "$identity" "$repository/$policy/manifests/$manifest" | zstd -dq --memory=128MB > "$work/$source"
  [ "$(tail -n 1 "$work/$source" | jq .entries)" = "$(($(wc -l < "$work/$source") - 2))" ] || fail "the manifest of $source is cut short"
  mkdir "$work/chunks"
  while read -r pack; do
    age -d -i "$identity" "$repository/$policy/packs/${pack:0:2}/$pack" | zstd -dq --memory=128MB | tar -x -C "$work/chunks" --no-same-owner
  done < <(grep -v '^#' "$repository/$policy/lists/$list" | cut -c1-64)
  find "$work/chunks" -type f -printf '%f  %p\n' | sha256sum --quiet --strict -c >&2 || fail "a chunk of $source does not match its name"
  restore_source "$source" "$work/$source"
  rm -rf "$work/chunks"
  echo "recovered $source: $(entries "$work/$source" | wc -l) entries"
done
