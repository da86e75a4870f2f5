#!/usr/bin/env bash
# Recover a drops snapshot without drops: with age, zstd, GNU tar, jq, ssh-keygen, grep, coreutils and findutils alone.
#
#   recover.sh REPOSITORY POLICY SNAPSHOT IDENTITY SIGNER OUT [SOURCE...]
#
#   REPOSITORY  a directory that holds the bucket's prefix (any S3 client can sync it)
#   POLICY      the folder in it, such as ops-jrz1
#   SNAPSHOT    latest, a day such as 2026-11-20 (UTC, the last complete one of that day), or an id
#   IDENTITY    file with the recovery identity (AGE-SECRET-KEY-1...)
#   SIGNER      the public key line on the recovery sheet: "ssh-ed25519 AAAA..."
#   OUT         a directory that does not exist yet; it needs room for the data twice
#
# Nothing is believed before it is checked: repository.json and the record by their signatures, lists and manifests by
# the hashes in the record, packs by their names, chunks by theirs, files by their sizes. Run it as root when owners matter.
set -euo pipefail
export LC_ALL=C
umask 077

fail() { echo "recover.sh: $*" >&2; exit 1; }
note() { echo "recover.sh: $*" >&2; }
absolute() { case $1 in /*) printf %s "$1" ;; *) printf %s "$PWD/$1" ;; esac; }

[ $# -ge 6 ] || { head -n 11 -- "$0" | tail -n +2 >&2; exit 2; }
for tool in age zstd tar jq ssh-keygen sha256sum base64 comm find xargs grep; do
  command -v "$tool" >/dev/null || fail "missing program: $tool (Debian: apt-get install age zstd tar jq openssh-client coreutils findutils grep)"
done
repository=$(absolute "$1") policy=$2 wanted=$3 identity=$(absolute "$4") signer=$5 out=$(absolute "$6")
shift 6
[[ $policy =~ ^[a-z][a-z0-9-]*$ ]] || fail "not a policy name: $policy"
[[ $signer =~ ^ssh-ed25519\ [A-Za-z0-9+/]+=*(\ .*)?$ && $signer != *$'\n'* ]] || fail "SIGNER is a line such as: ssh-ed25519 AAAA..."
[ -d "$repository/$policy/snapshots" ] || fail "no snapshots below $repository/$policy"
[ -r "$identity" ] || fail "cannot read $identity"
[ ! -e "$out" ] && [ ! -L "$out" ] || fail "$out exists already; nothing is written over"
mkdir -p -- "$out"
work=$(mktemp -d "$out/.recover-XXXXXX")
clean() {
  local status=$?
  chmod -R u+rwx -- "$work" && rm -rf -- "$work"
  rmdir -- "$out" 2>/dev/null || true # nothing came of it
  [ $status = 0 ] || note "stopped: only what was said to be recovered is whole"
}
trap clean EXIT
printf 'drops %s\n' "$signer" > "$work/allowed"

# hash_is FILE SHA256 WHAT
hash_is() {
  local found
  found=$(sha256sum < "$1") || fail "cannot read $1"
  [ "${found%% *}" = "$2" ] || fail "$3 does not hold the bytes that its name promises"
}

# signed FILE NAMESPACE: its signature is the trusted signer's.
signed() {
  [ -f "$1.sig" ] && ssh-keygen -Y verify -f "$work/allowed" -I drops -n "$2" -s "$1.sig" < "$1" >/dev/null 2>&1
}

# The file of the newest record that is wanted.
pick() {
  local files=("$repository/$policy/snapshots/"*.json) file time id newest='' at
  for ((at = ${#files[@]} - 1; at >= 0; at--)); do
    file=${files[at]}
    [[ ${file##*/} =~ ^([0-9]{8}T[0-9]{6}Z)-([0-9a-f]{8,32})\.json$ ]] || continue
    time=${BASH_REMATCH[1]} id=${BASH_REMATCH[2]}
    [ -z "$newest" ] || [ "$time" = "$newest" ] || break # of one second, all: the sequence decides
    case $wanted in
      latest) ;;
      ????-??-??) [ "${time:0:8}" = "${wanted//-/}" ] || continue ;;
      *) [ "$id" = "$wanted" ] || continue ;;
    esac
    signed "$file" drops-snapshot-v1 || { note "ignored, not signed by the trusted key: ${file##*/}"; continue; }
    jq -e --arg repository "$id_of_repository" --arg policy "$policy" --arg id "$id" --arg time "$time" '
      .drops == "snapshot" and .format == 1 and .repository == $repository and .policy == $policy and .id == $id
      and (.ended[0:19] | split("-") | join("") | split(":") | join("")) + "Z" == $time' "$file" >/dev/null 2>&1 \
      || { note "ignored, made for another place: ${file##*/}"; continue; }
    case $wanted in latest | ????-??-??) [ "$(jq -r .state "$file")" = complete ] || continue ;; esac
    newest=$time
    jq -r --arg file "${file##*/}" '"\(.ended) \(.sequence) \($file)"' "$file" >> "$work/found"
  done
  [ -n "$newest" ] || fail "no snapshot for $wanted that the trusted key signed"
  found=$(sort -k1,1 -k2,2n "$work/found" | tail -n 1)
  printf '%s\n' "$repository/$policy/snapshots/${found##* }"
}

# Lines of: type mode uid gid mtime size sparse path target chunks. Names are u:percent-encoded, b:base64 or -.
# What is not of that form is refused, so that no field can pass for another.
entries() {
  jq -r 'def name(text; base64): if base64 != null then "b:" + base64 elif text != null then "u:" + (text | @uri) else "-" end;
    if .type == "file" and ([.chunks[]?[2]] | add // 0 | tostring) != .size then error("chunks do not add up") else . end
    | [.type, .mode, .uid, .gid, .mtime, .size, (if .sparse then "sparse" else "-" end),
      name(.path; .path_b64), name(.target; .target_b64), (.chunks[]?[1])] | map(tostring) | join(" ")'
}
name="(u:[A-Za-z0-9._~!*'()%-]+|b:[A-Za-z0-9+/]+=*)"
entry="^(file|dir|symlink|hardlink|fifo) [0-7]{4} [0-9]+ [0-9]+ -?[0-9]+ [0-9]+ (sparse|-) $name ($name|-)( [0-9a-f]{64})*$"

# decode NAME: into $decoded, any bytes but NUL.
decode() {
  local coded=${1:2} hex='\x' length
  case $1 in
    u:*%00* | -) fail "a name in the manifest cannot be one" ;;
    u:*) printf -v decoded %b "${coded//%/"$hex"}" ;;
    b:*)
      decoded=$(printf %s "$coded" | base64 -d; printf x) 2>/dev/null
      decoded=${decoded%x} length=$((${#coded} / 4 * 3))
      [[ $coded != *= ]] || length=$((length - 1))
      [[ $coded != *== ]] || length=$((length - 1))
      [ ${#decoded} = $length ] || fail "a name in the manifest cannot be one"
      ;;
  esac
}

# inside PATH: joined to a directory it stays below it.
inside() {
  case "/$1/" in *//* | */./* | */../*) fail "a path in the manifest leaves its directory" ;; esac
}

# own PATH UID GID, set_mode PATH MODE: later, all at once. set_time PATH MTIME: nanoseconds since 1970.
own() { printf '%s\0' "$1" >> "$work/attributes/owner-$2:$3"; }
set_mode() { printf '%s\0' "$1" >> "$work/attributes/mode-$2"; }
set_time() {
  local sign='' digits=$2
  case $digits in -*) sign=- digits=${digits#-} ;; esac
  while [ ${#digits} -lt 10 ]; do digits=0$digits; done
  touch -h -d "@$sign${digits%?????????}.${digits: -9}" -- "$1"
}

# restore_entries FILE DIRECTORY; the chunks are in the working directory.
restore_entries() {
  local target=$2 type mode uid gid mtime size sparse path link chunks at decoded last='' parent='' file
  mkdir "$work/attributes"
  # Every directory that any entry lies in is made before the first link, so that nothing is ever written through one.
  while read -r type mode uid gid mtime size sparse path link chunks; do
    decode "$path"
    inside "$decoded"
    [[ $decoded > $last ]] || fail "the manifest is out of order"
    last=$decoded at=$target/$decoded
    if [ "$parent" != "${at%/*}" ]; then parent=${at%/*}; mkdir -p -- "$parent"; fi
    case $type in
      dir) mkdir -p -- "$at" ;;
      fifo) mkfifo -- "$at" ;;
      file)
        if [ "$sparse" = sparse ]; then printf '%s\n' $chunks | xargs -r cat -- | cp --sparse=always /dev/stdin "$at"
        elif [ ${#chunks} -gt 65000 ]; then printf '%s\n' $chunks | xargs cat -- > "$at"
        elif [ -n "$chunks" ]; then cat -- $chunks > "$at"
        else : > "$at"; fi
        ;;
      *) continue ;;
    esac
    own "$at" "$uid" "$gid"
    if [ "$type" != dir ]; then set_mode "$at" "$mode"; set_time "$at" "$mtime"; fi
  done < "$1"
  while read -r type mode uid gid mtime size sparse path link chunks; do
    decode "$path"
    at=$target/$decoded
    decode "$link"
    ln -sT -- "$decoded" "$at"
    own "$at" "$uid" "$gid"
    set_time "$at" "$mtime"
  done < <(grep '^symlink ' "$1")
  # A hard link is made to an entry of this manifest only, never to what a symlink leads to.
  [ -z "$(comm -23 <(grep '^hardlink ' "$1" | cut -d' ' -f9 | sort -u) <(grep -E '^(file|symlink|fifo) ' "$1" | cut -d' ' -f8 | sort -u))" ] \
    || fail "a hard link in the manifest leads to no file of it"
  while read -r type mode uid gid mtime size sparse path link chunks; do
    decode "$path"
    at=$target/$decoded
    decode "$link"
    ln -PT -- "$target/$decoded" "$at"
  done < <(grep '^hardlink ' "$1")
  # Owners before modes, which would lose their setuid; directories last and from below, since they may close the way.
  for file in "$work/attributes"/owner-*; do
    if [ "$EUID" != 0 ] || [ ! -f "$file" ]; then break; fi
    xargs -0 chown -h -- "${file##*/owner-}" < "$file" 2>/dev/null || owners_lost=yes
  done
  for file in "$work/attributes"/mode-*; do
    if [ -f "$file" ]; then xargs -0 chmod -- "${file##*/mode-}" < "$file"; fi
  done
  while read -r type mode uid gid mtime size sparse path link chunks; do
    decode "$path"
    set_time "$target/$decoded" "$mtime"
    chmod -- "$mode" "$target/$decoded"
  done < <(tac -- "$1" | grep '^dir ')
  rm -r "$work/attributes"
}

# part SOURCE EXPRESSION: of the record.
part() { jq -r --arg name "$1" ".sources[] | select(.name == \$name) | $2" "$record"; }

# open_chunks LIST: all packs of a list are checked, opened into $work/chunks, and every chunk is checked.
open_chunks() {
  local pack
  grep -v '^#' "$1" > "$work/lines" || true
  cut -c1-64 "$work/lines" > "$work/packs"
  while read -r pack; do printf '%s  packs/%s/%s\n' "$pack" "${pack:0:2}" "$pack"; done < "$work/packs" > "$work/sums"
  [ "$(sha256sum < "$work/lines")" = "$(sha256sum < "$work/sums")" ] || fail "a list is malformed"
  mkdir "$work/chunks"
  [ -s "$work/sums" ] || return 0
  (cd "$repository/$policy" && sha256sum --quiet --strict -c "$work/sums" >&2) || fail "a pack is damaged or missing"
  while read -r pack; do
    age -d -i "$identity" "$repository/$policy/packs/${pack:0:2}/$pack" | zstd -dq --memory=128MB \
      | tar -x -C "$work/chunks" --no-same-owner --no-same-permissions || fail "pack $pack cannot be opened"
  done < "$work/packs"
  [ -z "$(find "$work/chunks" -mindepth 1 ! -type f -print -quit)" ] || fail "a pack holds something else than chunks"
  (cd "$work/chunks" && find . -type f -printf '%f  %f\n' | sha256sum --quiet --strict -c >&2) || fail "a chunk does not match its name"
}

restore_source() {
  local source=$1 manifest list lines=$work/manifest end
  [[ $source =~ ^[a-z][a-z0-9-]*$ ]] || fail "not a source name: $source"
  manifest=$(part "$source" .manifest.sha256) list=$(part "$source" .list.sha256)
  [[ $manifest =~ ^[0-9a-f]{64}$ && $list =~ ^[0-9a-f]{64}$ ]] || fail "this snapshot holds nothing of source $source"
  hash_is "$repository/$policy/lists/$list" "$list" "list $list"
  hash_is "$repository/$policy/manifests/$manifest" "$manifest" "manifest $manifest"
  age -d -i "$identity" "$repository/$policy/manifests/$manifest" | zstd -dq --memory=128MB > "$lines" || fail "manifest $manifest cannot be opened"
  head -n 1 "$lines" | jq -e --arg repository "$id_of_repository" --arg policy "$policy" --arg source "$source" '
    .drops == "manifest" and .format == 1 and .repository == $repository and .policy == $policy and .source == $source' >/dev/null \
    || fail "manifest $manifest is that of another source"
  tail -n +2 "$lines" | head -n -1 > "$work/body"
  end=$(sha256sum < "$work/body")
  tail -n 1 "$lines" | jq -e --argjson entries "$(wc -l < "$work/body")" --arg sha256 "${end%% *}" \
    '.end == true and .entries == $entries and .sha256 == $sha256' >/dev/null || fail "manifest $manifest is cut short"
  entries < "$work/body" > "$work/entries" || fail "manifest $manifest is malformed"
  [ "$(grep -cE "$entry" "$work/entries" || true)" = "$(wc -l < "$work/body")" ] \
    && [ "$(wc -l < "$work/entries")" = "$(wc -l < "$work/body")" ] || fail "manifest $manifest is malformed"
  open_chunks "$repository/$policy/lists/$list"
  jq -r '.chunks[]? | "\(.[1]) \(.[2])"' "$work/body" | sort -u > "$work/wanted"
  [ -z "$(find "$work/chunks" -type f -printf '%f %s\n' | sort | comm -23 "$work/wanted" -)" ] || fail "a chunk of $source is missing or has another size"
  mkdir "$work/tree"
  cd "$work/chunks"
  restore_entries "$work/entries" "$work/tree"
  cd /
  rm -rf "$work/chunks"
  mv -T -- "$work/tree" "$out/$source"
  mv -T -- "$lines" "$out/$source.manifest"
  if grep -q '"xattrs":' "$out/$source.manifest"; then note "extended attributes of $source were not set; they are in $out/$source.manifest"; fi
  echo "recovered $source: $(wc -l < "$work/entries") entries"
}

signed "$repository/repository.json" drops-repository-v1 || fail "repository.json is not signed by the trusted key"
[ "$(jq -r '"\(.drops) \(.format)"' "$repository/repository.json")" = "repository 1" ] || fail "this script reads format 1 only"
id_of_repository=$(jq -r .id "$repository/repository.json")
record=$(pick)
echo "recovering $(jq -r '"\(.policy) \(.id), \(.state), ended \(.ended)"' "$record")"
sources=("$@")
if [ $# -eq 0 ]; then
  mapfile -t sources <<< "$(jq -r '.sources[] | select(.manifest) | .name' "$record")"
  missing=$(jq -r '.sources[] | select(.manifest | not) | .name' "$record")
  [ -z "$missing" ] || note "this snapshot holds nothing of:" $missing
fi
owners_lost=no
for source in "${sources[@]}"; do
  [ ! -e "$out/$source" ] || fail "source $source was named twice"
  restore_source "$source"
done
[ $owners_lost = no ] || note "some owners could not be set"
