#!/usr/bin/env bash
# Recover a drops snapshot without drops: with age, zstd, GNU tar, jq, ssh-keygen, grep, coreutils and findutils alone.
#
#   recover.sh [OPTION...] REPOSITORY POLICY SNAPSHOT IDENTITY SIGNER OUT [SOURCE...]
#
#   REPOSITORY  s3://BUCKET/PREFIX, or a directory that holds what is below the prefix (any S3 client can sync it)
#   POLICY      the folder in it, such as ops-jrz1
#   SNAPSHOT    latest, a day such as 2026-11-20 (UTC, the last complete one of that day), or an id. One that was withdrawn, or
#               that landed at another time than it says (in a directory: before), is taken by its id alone
#   IDENTITY    file with the recovery identity (AGE-SECRET-KEY-1...)
#   SIGNER      the public key line on the recovery sheet, "ssh-ed25519 AAAA...", or a file of such lines: each is believed.
#               In it, "revoked 2026-11-20T00:00:00Z ssh-ed25519 AAAA..." is a key that is believed of what landed before then
#   OUT         a directory that does not exist yet; it needs room for the data twice
#
#   --signer SIGNER    one more of them; may be given several times
#
# From S3, with curl 7.75 or newer, rclone or aws, and a key that may list and read, in AWS_ACCESS_KEY_ID and
# AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN). Only what the snapshot needs is fetched, and what is there is not fetched again.
#
#   --endpoint URL     such as https://s3.example.org (or AWS_ENDPOINT_URL); without it, Amazon's
#   --region NAME      (or AWS_REGION; us-east-1)
#   --ca-file FILE     the server's certificate authority, when it is not a public one (or AWS_CA_BUNDLE)
#   --virtual-host     the bucket is part of the host's name, not of the path
#   --client PROGRAM   curl, rclone or aws; without it, the first that is there
#   --cache DIR        where fetched objects are kept (OUT.cache)
#
# With psql and pg_restore, into a running PostgreSQL that PGHOST, PGPORT and PGUSER name:
#
#   --load-databases   after all is recovered, make the roles and databases, load the dumps, compare counts and digests
#   --postgres-user U  run psql and pg_restore as this user of the machine, such as postgres
#
# Nothing is believed before it is checked: repository.json and the record by their signatures, lists and manifests by
# the hashes in the record, packs by their names, chunks by theirs, files by their sizes. Run it as root when owners matter.
set -euo pipefail
shopt -s inherit_errexit # what fails in $(...) fails
export LC_ALL=C
umask 077

fail() { echo "recover.sh: $*" >&2; exit 1; }
note() { echo "recover.sh: $*" >&2; }
usage() { sed -n '4,/^# Nothing is believed/s/^# \{0,1\}//p' -- "$0" | head -n -2 >&2; exit 2; }
absolute() { case $1 in /*) printf %s "$1" ;; *) printf %s "$PWD/$1" ;; esac; }

# require PROGRAM=PACKAGE...: all of them, named as Debian names them.
require() {
  local pair programs='' packages=''
  for pair in "$@"; do
    command -v "${pair%=*}" >/dev/null || { programs+=" ${pair%=*}" packages+=" ${pair#*=}"; }
  done
  [ -z "$programs" ] || fail "missing programs:$programs (Debian: apt-get install$packages)"
}

endpoint=${AWS_ENDPOINT_URL:-} region=${AWS_REGION:-${AWS_DEFAULT_REGION:-us-east-1}} authority=${AWS_CA_BUNDLE:+$(absolute "$AWS_CA_BUNDLE")}
client='' cache='' virtual_host=no load_databases=no postgres_user='' signers=()
while [ $# -gt 0 ]; do
  case $1 in
    --endpoint | --region | --ca-file | --client | --cache | --postgres-user | --signer) [ $# -ge 2 ] || usage ;;
  esac
  case $1 in
    --endpoint) endpoint=$2; shift ;;
    --region) region=$2; shift ;;
    --ca-file) authority=$(absolute "$2"); shift ;;
    --client) client=$2; shift ;;
    --cache) cache=$(absolute "$2"); shift ;;
    --postgres-user) postgres_user=$2; shift ;;
    --signer) signers+=("$2"); shift ;;
    --virtual-host) virtual_host=yes ;;
    --load-databases) load_databases=yes ;;
    --) shift; break ;;
    -*) usage ;;
    *) break ;;
  esac
  shift
done
[ $# -ge 6 ] || usage
require age=age zstd=zstd tar=tar jq=jq ssh-keygen=openssh-client sha256sum=coreutils find=findutils xargs=findutils grep=grep sed=sed
[ $load_databases = no ] || require psql=postgresql-client pg_restore=postgresql-client
[ -z "$postgres_user" ] || require runuser=util-linux
repository=$1 policy=$2 wanted=$3 identity=$(absolute "$4") out=$(absolute "$6")
signers+=("$5")
shift 6
[[ $policy =~ ^[a-z][a-z0-9-]*$ ]] || fail "not a policy name: $policy"

# believe LINE: a key is believed; a revoked one of what landed before it was, whoever else names it.
believed=() revoked=()
believe() {
  local key='(ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI[A-P][A-Za-z0-9+/]{42})( .*)?' day='([0-9]{4})-([0-9]{2})-([0-9]{2})'
  [[ $1 != *$'\n'* ]] || return 1
  if [[ $1 =~ ^$key$ ]]; then believed+=("${BASH_REMATCH[1]}")
  elif [[ $1 =~ ^revoked\ ${day}T([0-9]{2}):([0-9]{2}):([0-9]{2})(\.[0-9]+)?Z\ $key$ ]]; then
    revoked+=("$(printf %s "${BASH_REMATCH[@]:1:6}") ${BASH_REMATCH[8]}")
  else return 1; fi
}
for each in "${signers[@]}"; do
  case $each in
    ssh-ed25519\ * | revoked\ *) believe "$each" || fail "SIGNER is no whole line such as: ssh-ed25519 AAAA..." ;;
    *)
      if [ -d "$each" ] || [ ! -r "$each" ]; then fail "SIGNER is a line such as: ssh-ed25519 AAAA..., or a file of them"; fi
      number=0
      while read -r line || [ -n "$line" ]; do
        number=$((number + 1))
        case ${line%$'\r'} in
          '' | '#'*) ;;
          *) believe "${line%$'\r'}" || fail "$each, line $number, is no whole line such as: ssh-ed25519 AAAA..." ;;
        esac
      done < "$each"
      ;;
  esac
done
[ $((${#believed[@]} + ${#revoked[@]})) -gt 0 ] || fail "SIGNER is a file that names nobody"
[[ $postgres_user =~ ^[a-z0-9_-]*$ && $postgres_user != -* ]] || fail "not a user: $postgres_user"
[ -r "$identity" ] || fail "cannot read $identity"
if [ -e "$out" ] || [ -L "$out" ]; then fail "$out exists already; nothing is written over"; fi
bucket='' prefix=''
case $repository in
  s3://*)
    [[ $repository =~ ^s3://([a-z0-9][a-z0-9.-]*)((/[A-Za-z0-9._-]+)*)/?$ ]] || fail "not s3://BUCKET/PREFIX: $repository"
    bucket=${BASH_REMATCH[1]} prefix=${BASH_REMATCH[2]#/}
    prefix=${prefix:+$prefix/}
    repository=${cache:-$out.cache}
    ;;
  *)
    repository=$(absolute "$repository")
    [ -d "$repository/$policy/snapshots" ] || fail "no snapshots below $repository/$policy"
    ;;
esac

# own_directory DIRECTORY: made where it is missing. Everything on the way to it, symlinks too, is root's or ours, and nobody else may
# rename in it, so that nobody can put something else in its place meanwhile.
own_directory() {
  local at='' next=/ rest=$1 name target links=0 owner group mode mend="or give another directory"
  while :; do
    [ -e "$next" ] || [ -L "$next" ] || mkdir -- "$next" || fail "cannot make $next"
    read -r owner group mode < <(stat -c '%u %g %a' -- "$next") || fail "cannot look at $next"
    [ "$owner" = 0 ] || [ "$owner" = "$EUID" ] \
      || fail "$next belongs to another user (number $owner), who could swap it meanwhile: chown -h root: $next; chmod go-w $next; $mend"
    if [ -L "$next" ]; then
      [ $((links += 1)) -le 40 ] || fail "too many symlinks on the way to $1"
      target=$(readlink -- "$next" && echo .) rest=${target%??}/$rest
      case $target in /*) at='' ;; esac
    else
      [ "$EUID" = 0 ] || [ "$group" != "$EUID" ] || mode=$((mode / 100))0$((mode % 10)) # a group of the user's own may write
      case $mode in
        [1357]???) ;;
        *[2367] | *[2367]?) fail "$next can be written by other users, who could swap it meanwhile: chmod go-w $next; $mend" ;;
      esac
      at=${next%/}
    fi
    while [ "${rest#/}" != "$rest" ]; do rest=${rest#/}; done
    [ -n "$rest" ] || return 0
    name=${rest%%/*}
    case $rest in */*) rest=${rest#*/} ;; *) rest='' ;; esac
    case $name in
      .) next=${at:-/} ;;
      ..) at=${at%/*} next=${at:-/} ;;
      *) next=$at/$name ;;
    esac
  done
}
own_directory "$out"
work=$(mktemp -d "$out/.recover-XXXXXX")
loader='' half=no
clean() {
  local status=$?
  drop_loader
  chmod -R u+rwx -- "$work" && rm -rf -- "$work"
  rmdir -- "$out" 2>/dev/null || true # nothing came of it
  [ $status = 0 ] || note "stopped: only what was said to be recovered is whole"
}
trap clean EXIT
for each in "${believed[@]}"; do
  [[ " ${revoked[*]} " == *" $each "* ]] || printf 'drops %s\n' "$each"
done > "$work/allowed"

# --- The store. In a directory everything is there; from S3 it is brought into a cache that looks the same. Keys are plain:
# letters, digits, . _ - and /. Secrets go to the clients in their environment or in a file that only this user can read, never
# in arguments, which every user of the machine can see.

prepare_s3() {
  local each secret=${AWS_ACCESS_KEY_ID:-}:${AWS_SECRET_ACCESS_KEY:-}
  for each in curl rclone aws; do
    [ -n "$client" ] || ! command -v "$each" >/dev/null || client=$each
  done
  case ${client:=curl} in
    curl | rclone) require "$client=$client" ;;
    aws) require aws=awscli ;;
    *) fail "--client is curl, rclone or aws" ;;
  esac
  [[ $secret =~ ^[!-~]+:[!-~]+$ && ${AWS_SESSION_TOKEN:-none} =~ ^[!-~]+$ ]] \
    || fail "set and export AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY: a key that may list and read the bucket"
  [[ $region =~ ^[A-Za-z0-9-]+$ ]] || fail "not a region: $region"
  endpoint=${endpoint:-https://s3.$region.amazonaws.com} endpoint=${endpoint%/}
  [[ $endpoint =~ ^https?://([A-Za-z0-9.-]+|\[[0-9a-f:]+\])(:[0-9]+)?(/[A-Za-z0-9._-]+)*$ ]] || fail "not an endpoint: $endpoint"
  [ -z "$authority" ] || [ -r "$authority" ] || fail "cannot read $authority"
  # some servers answer 501 to the checksums that newer clients send and ask for; every object is checked here anyway
  export AWS_REQUEST_CHECKSUM_CALCULATION=when_required AWS_RESPONSE_CHECKSUM_VALIDATION=when_required
  address=$endpoint/$bucket
  [ $virtual_host = no ] || address=${endpoint%%://*}://$bucket.${endpoint#*://}
  case $client in
    curl)
      secret=${secret//\\/\\\\} # as curl reads it in a quoted value
      {
        printf 'user = "%s"\naws-sigv4 = "aws:amz:%s:s3"\n' "${secret//\"/\\\"}" "$region"
        [ -z "${AWS_SESSION_TOKEN:-}" ] || printf 'header = "x-amz-security-token: %s"\n' "$AWS_SESSION_TOKEN"
        [ -z "$authority" ] || printf 'cacert = "%s"\n' "$authority"
        printf 'header = "x-amz-content-sha256: %s"\n' e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 # of nothing
        printf '%s\n' fail silent show-error no-progress-meter create-dirs globoff 'connect-timeout = 20' 'speed-limit = 1' 'speed-time = 60' 'max-time = 86400'
      } > "$work/curl"
      ;;
    rclone)
      export RCLONE_CONFIG=/dev/null RCLONE_CACHE_DIR=$work/rclone RCLONE_S3_PROVIDER=Other RCLONE_S3_ENDPOINT=$endpoint
      export RCLONE_S3_REGION=$region RCLONE_S3_SESSION_TOKEN=${AWS_SESSION_TOKEN:-} RCLONE_S3_FORCE_PATH_STYLE=true
      export RCLONE_S3_ACCESS_KEY_ID=$AWS_ACCESS_KEY_ID RCLONE_S3_SECRET_ACCESS_KEY=$AWS_SECRET_ACCESS_KEY
      [ $virtual_host = no ] || export RCLONE_S3_FORCE_PATH_STYLE=false
      [ -z "$authority" ] || export RCLONE_CA_CERT=$authority
      unset AWS_CA_BUNDLE # what rclone is built on refuses it, since rclone has its own way with authorities
      ;;
    aws)
      each=path
      [ $virtual_host = no ] || each=virtual
      printf '[default]\ncli_timestamp_format = iso8601\ns3 =\n  addressing_style = %s\n' $each > "$work/aws"
      export AWS_CONFIG_FILE=$work/aws AWS_SHARED_CREDENTIALS_FILE=/dev/null AWS_REGION=$region AWS_DEFAULT_REGION=$region AWS_PAGER=''
      unset AWS_PROFILE AWS_DEFAULT_PROFILE
      [ -z "$authority" ] || export AWS_CA_BUNDLE=$authority
      ;;
  esac
}

# s3 list START: the names below the folder of START that begin as it does, each with when it landed, by the store's clock, as
# YYYY-MM-DDThh:mm:ss. s3 get DIRECTORY: the keys on standard input, as files below it; what could not be had is
# not there afterwards, whatever the exit status says.
s3() {
  local where=$2 key last='' page pages=0
  case $client:$1 in
    curl:list)
      while :; do
        page="encoding-type=url&list-type=2&prefix=$prefix$where${last:+&start-after=$last}"
        page=$(curl -q --config "$work/curl" "$address?${page//\//%2F}" | head -c 8000000) || return 1
        { tr -d '\r\n' <<< "$page"; echo; } | sed 's/<Contents>/\n/g' \
          | sed -nE '/<Key>/{h;s/.*<LastModified>([^<]*)<.*/\1/;x;s/.*<Key>([^<]*)<.*/\1/;G;s/\n/ /;p}' > "$work/page"
        sed -E 's/^[^ ]*(\/|%2F)//' "$work/page" || return 1 # some servers write / as it is
        [[ $page == *'<IsTruncated>true'* ]] || return 0
        key=$(tail -n 1 "$work/page" | cut -d' ' -f1)
        [ -n "$key" ] && [ "$key" != "$last" ] && [ $((pages += 1)) -lt 10000 ] || return 1
        last=$key
      done
      ;;
    curl:get)
      while read -r key; do printf 'url = "%s/%s%s"\noutput = "%s/%s"\n' "$address" "$prefix" "$key" "$where" "$key"; done > "$work/urls"
      curl -q --config "$work/curl" --parallel --parallel-max 8 --config "$work/urls"
      ;;
    rclone:list)
      TZ=UTC rclone lsf --files-only --use-server-modtime --format tp --separator ' ' --include "/${where##*/}*" \
        ":s3:$bucket/$prefix${where%"${where##*/}"}" | sed -E 's/^([0-9-]{10}) ([0-9:]{8}) (.*)$/\3 \1T\2/'
      ;;
    rclone:get)
      cat > "$work/urls"
      rclone copy --no-traverse --transfers 8 --files-from-raw "$work/urls" ":s3:$bucket/$prefix" "$where"
      ;;
    aws:list)
      aws --endpoint-url "$endpoint" s3api list-objects-v2 --bucket "$bucket" --prefix "$prefix$where" --query 'Contents[].[Key,LastModified]' --output text \
        | sed -E -e 's/^[^\t]*\///' -e 's/\t/ /'
      ;;
    aws:get)
      while read -r key; do
        mkdir -p -- "$(dirname -- "$where/$key")"
        aws --endpoint-url "$endpoint" s3api get-object --bucket "$bucket" --key "$prefix$key" "$where/$key" </dev/null >/dev/null || true
      done
      ;;
  esac
}

# plain FILE BYTES: an ordinary file, and no link to one, of no more than that many bytes. Nothing else of a repository is read:
# a device or a pipe has no end.
plain() {
  [ -f "$1" ] && [ ! -L "$1" ] && [ "$(stat -c %s -- "$1")" -le "$2" ]
}

# is_right KEY: what the cache holds under it has the hash that is its name.
is_right() {
  plain "$repository/$1" 1073741824 && [ "$(sha256sum < "$repository/$1")" = "${1##*/}  -" ]
}

# bring MEBIBYTES: the objects whose keys are on standard input are in $repository afterwards, none of them larger. What is
# there and right is not fetched again; what has no hash for a name always is: its signature says whether it is right.
bring() {
  local key tries
  [ -n "$bucket" ] || return 0
  while read -r key; do
    is_right "$key" || printf '%s\n' "$key"
  done > "$work/missing"
  for tries in 1 2 3; do
    [ -s "$work/missing" ] || return 0
    [ $tries = 1 ] || sleep $((tries - 1))
    rm -rf -- "$work/fetched"
    mkdir -- "$work/fetched"
    mv -- "$work/missing" "$work/keys"
    (ulimit -S -f $(($1 * 1024)); s3 get "$work/fetched" < "$work/keys") > "$work/said" 2>&1 || true
    while read -r key; do
      if [ -f "$work/fetched/$key" ]; then
        mkdir -p -- "$(dirname -- "$repository/$key")"
        mv -fT -- "$work/fetched/$key" "$repository/$key"
        case $key in *.json | *.sig) continue ;; esac
        is_right "$key" && continue
      fi
      printf '%s\n' "$key"
    done < "$work/keys" > "$work/missing"
  done
  [ ! -s "$work/missing" ] || fail "damaged or missing in the bucket, or out of reach: $(head -n 1 "$work/missing")" \
    "$(head -n 3 "$work/said" | tr -cd '[:print:]\n' | cut -c1-300)"
}

# look START: the names, as of s3 list, are in $work/names, and when each landed is in $landed, to the second as 20261120235959.
# A name that is listed twice, which a line break in another one could bring about, landed nobody knows when.
declare -A landed=()
look() {
  local name time
  if [ -n "$bucket" ]; then s3 list "$1"
  else (cd "$repository/${1%"${1##*/}"}" && TZ=UTC find . -mindepth 1 -maxdepth 1 -name "${1##*/}*" -printf '%f %TY-%Tm-%TdT%TH:%TM:%TS\n'); fi | head -c 64000000 \
    | sed -E 's/ ([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(\.[0-9]+)?(Z|\+00:00)?$/ \1\2\3\4\5\6/' > "$work/names" || return 1
  while read -r name time; do
    [[ $name =~ ^[A-Za-z0-9._-]+$ ]] || continue
    if [ -n "${landed[$name]:-}" ]; then landed[$name]=twice; else landed[$name]=${time:-unknown}; fi
  done < "$work/names"
}

# taken KEY BYTES: $work/taken/KEY is a copy of a plain object of at most so many bytes. It is what is checked and then used: in
# the repository, if that is a directory, somebody may swap it in between.
taken() {
  local from=$repository/$1 to=$work/taken/$1
  plain "$from" "$2" && mkdir -p -- "${to%/*}" && dd if="$from" of="$to" iflag=nofollow,nonblock,count_bytes bs=1M count="$2" status=none
}

# hash_is KEY SHA256 SIZE WHAT: of the copy
hash_is() {
  local found copy=$work/taken/$1
  [[ $3 =~ ^[0-9]{1,10}$ ]] || fail "the record tells no size of $4"
  taken "$1" 2147483648 || fail "$4 is missing, or no plain file"
  found=$(sha256sum < "$copy") || fail "cannot read $copy"
  [ "${found%% *} $(stat -c %s -- "$copy")" = "$2 $3" ] || fail "$4 does not hold the bytes that its name promises"
}

# signed KEY NAMESPACE: it is a plain file of at most 8 MiB, and its signature, of the copy, is that of a believed key, or of a
# revoked one and both landed before it was. If it is not, $why says what it is.
signed() {
  local name=${1##*/} file=$work/taken/$1 each time before
  why='no plain file of at most 8 MiB'
  if [ -e "$repository/$1" ] || [ -L "$repository/$1" ]; then taken "$1" 8388608 || return 1; fi
  why='not signed by a trusted key'
  if [ ! -f "$file" ] || ! taken "$1.sig" 65536; then return 1; fi
  ! verified "$work/allowed" "$file" "$2" || return 0
  for each in "${revoked[@]}"; do
    before=${each%% *}
    printf 'drops %s\n' "${each#* }" > "$work/one"
    verified "$work/one" "$file" "$2" || continue
    why="signed by a revoked key and not in the store before $before (UTC)"
    for time in "${landed[$name]:-}" "${landed[$name.sig]:-}"; do
      [[ $time =~ ^[0-9]{14}$ && $time < $before ]] || return 1
    done
    return 0
  done
  return 1
}

# verified ALLOWED FILE NAMESPACE
verified() {
  ssh-keygen -Y verify -f "$1" -I drops -n "$3" -s "$2.sig" < "$2" >/dev/null 2>&1
}

# held RECORD ID: it is taken by its id alone, and $why says why: a signed note withdraws it, or it landed at another time than the
# one at which it says that it ended. Files of a directory may have been copied at any later time.
held() {
  local time=${landed[${1##*/}]:-} key=$policy/withdrawn/$2.json note
  local apart limit='.constants | .max_clock_skew + .commit_within'
  if [ -n "${landed[$2.json]:-}" ]; then
    [ -z "${landed[$2.json.sig]:-}" ] || bring 1 <<< "$key.sig"$'\n'"$key"
    note=$work/taken/$key
    if taken "$key" 1048576 && taken "$key.sig" 65536 && verified "$work/allowed" "$note" drops-prune-v1 && jq -e --arg repository "$id_of_repository" \
      --arg policy "$policy" --arg id "$2" '.drops == "withdrawn" and .repository == $repository and .policy == $policy
      and .snapshot == $id' "$note" >/dev/null 2>&1; then why='it was withdrawn'; return 0; fi
    note "a note withdraws $2, and no key that is known here signed it"
  fi
  why='when it landed is not known'
  [[ $time =~ ^[0-9]{14}$ ]] || return 0
  time=${time:0:4}-${time:4:2}-${time:6:2}T${time:8:2}:${time:10:2}:${time:12:2}Z
  apart=$(jq --arg landed "$time" '($landed | fromdateiso8601) - (.ended[0:19] + "Z" | fromdateiso8601)' "$1") || return 0
  limit=$(jq "$limit" "$work/taken/repository.json")
  why="it says that it ended $((-apart / 60)) minutes after it landed"
  [ "$apart" -ge "-$limit" ] || return 0
  why="it landed $((apart / 60)) minutes after it says that it ended"
  [ -n "$bucket" ] && [ "$apart" -gt "$limit" ]
}

# The file of the newest record that is wanted.
pick() {
  local file name time id newest='' key passed='' why
  if [ -n "$bucket" ] || [ -d "$repository/$policy/withdrawn" ]; then
    look "$policy/withdrawn/" || note "the withdrawals of $policy cannot be listed: none is heeded"
  fi
  look "$policy/snapshots/" || fail "the snapshots of $policy cannot be listed"
  while read -r name _; do
    [[ $name =~ ^([0-9]{8}T[0-9]{6}Z)-([0-9a-f]{8,32})\.json$ ]] || continue
    time=${BASH_REMATCH[1]} id=${BASH_REMATCH[2]} key=$policy/snapshots/$name file=$work/taken/$policy/snapshots/$name
    [ -z "$newest" ] || [ "$time" = "$newest" ] || break # of one second, all: the sequence decides
    case $wanted in
      latest) ;;
      ????-??-??) [ "${time:0:8}" = "${wanted//-/}" ] || continue ;;
      *) [ "$id" = "$wanted" ] || continue ;;
    esac
    if [ -n "${landed[$name.sig]:-}" ]; then bring 8 <<< "$key.sig"$'\n'"$key"; fi
    signed "$key" drops-snapshot-v1 || { note "ignored, $why: $name"; continue; }
    jq -e --arg repository "$id_of_repository" --arg policy "$policy" --arg id "$id" --arg time "$time" '
      .drops == "snapshot" and .format == 1 and .repository == $repository and .policy == $policy and .id == $id
      and (.ended[0:19] | split("-") | join("") | split(":") | join("")) + "Z" == $time' "$file" >/dev/null 2>&1 \
      || { note "ignored, made for another place: $name"; continue; }
    case $wanted in
      latest | ????-??-??)
        [ "$(jq -r .state "$file")" = complete ] || continue
        if held "$file" "$id"; then note "passed over, $why: $name"; passed="; if you want one that was passed over, give its id: $id"; continue; fi
        ;;
      *) ! held "$file" "$id" || note "taken because it was named, although $why: $name" ;;
    esac
    newest=$time
    jq -r --arg file "$name" '"\(.ended) \(.sequence) \($file)"' "$file" >> "$work/found"
  done < <(sort -r "$work/names")
  [ -n "$newest" ] || fail "no snapshot for $wanted that a trusted key signed$passed"
  found=$(sort -k1,1 -k2,2n "$work/found" | tail -n 1)
  printf '%s\n' "$work/taken/$policy/snapshots/${found##* }"
}

# Lines of: type mode uid gid mtime size sparse path target chunks. Names are u:percent-encoded, b:base64 or -; +N among
# the chunks is a hole of so many bytes.
# What is not of that form is refused, so that no field can pass for another.
entries() {
  jq -r 'def name(text; base64): if base64 != null then "b:" + base64 elif text != null then "u:" + (text | @uri) else "-" end;
    if .type == "file" and ([.chunks[]?[-1]] | add // 0 | tostring) != .size then error("chunks do not add up") else . end
    | [.type, .mode, .uid, .gid, .mtime, .size, (if .sparse then "sparse" else "-" end),
      name(.path; .path_b64), name(.target; .target_b64), (.chunks[]? | if length == 1 then "+\(.[0])" else .[1] end)]
    | map(tostring) | join(" ")'
}
name="(u:[A-Za-z0-9._~!*'()%-]+|b:[A-Za-z0-9+/]+=*)"
entry="^(file|dir|symlink|hardlink|fifo) [0-7]{4} [0-9]+ [0-9]+ -?[0-9]+ [0-9]+ (sparse|-) $name ($name|-)( [0-9a-f]{64}| [+][1-9][0-9]*)*$"

# decode NAME: into $decoded, any bytes but NUL.
decode() {
  local coded=${1:2} hex='\x' length
  case $1 in
    u:*%00* | -) fail "a name in the manifest cannot be one" ;;
    u:*) printf -v decoded %b "${coded//%/"$hex"}" ;;
    b:*)
      decoded=$(printf %s "$coded" | base64 -d 2>/dev/null || true; printf x) # its length tells
      decoded=${decoded%x} length=$((${#coded} * 3 / 4))
      [[ $coded != *= ]] || length=$((length - 1))
      [[ $coded != *== ]] || length=$((length - 1))
      [ "${#decoded} $((${#coded} % 4))" = "$length 0" ] || fail "a name in the manifest cannot be one"
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

# with_holes PATH PIECE...: a file of chunks and holes; nothing is written where a hole is.
with_holes() {
  local at=$1 piece
  shift
  : > "$at"
  for piece; do
    case $piece in +*) truncate -s "$piece" -- "$at" ;; *) cat -- "$piece" >> "$at" ;; esac
  done
}

# restore_entries FILE DIRECTORY; the chunks are in the working directory.
restore_entries() {
  local target=$2 type mode uid gid mtime sparse path link chunks at decoded last='' parent='' file
  mkdir "$work/attributes"
  # Every directory that any entry lies in is made before the first link, so that nothing is ever written through one.
  while read -r type mode uid gid mtime _ sparse path link chunks; do
    decode "$path"
    inside "$decoded"
    [[ $decoded > $last ]] || fail "the manifest is out of order"
    last=$decoded at=$target/$decoded
    if [ "$parent" != "${at%/*}" ]; then parent=${at%/*}; mkdir -p -- "$parent"; fi
    case $type in
      dir) mkdir -p -- "$at" ;;
      fifo) mkfifo -- "$at" ;;
      file)
        # shellcheck disable=SC2086,SC2216 # chunks are names without blanks, as checked; cp reads the pipe by its path
        if [[ $chunks == *+* ]]; then with_holes "$at" $chunks
        elif [ "$sparse" = sparse ]; then printf '%s\n' $chunks | xargs -r cat -- | cp --sparse=always /dev/stdin "$at"
        elif [ ${#chunks} -gt 65000 ]; then printf '%s\n' $chunks | xargs cat -- > "$at"
        elif [ -n "$chunks" ]; then cat -- $chunks > "$at"
        else : > "$at"; fi
        ;;
      *) continue ;;
    esac
    own "$at" "$uid" "$gid"
    if [ "$type" != dir ]; then set_mode "$at" "$mode"; set_time "$at" "$mtime"; fi
  done < "$1"
  while read -r type mode uid gid mtime _ sparse path link chunks; do
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
  while read -r type mode uid gid mtime _ sparse path link chunks; do
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
  while read -r type mode uid gid mtime _ sparse path link chunks; do
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
  if [ -n "$bucket" ]; then note "fetching what is not in $repository yet of $(wc -l < "$work/sums") packs"; fi
  bring 64 < <(cut -c67- "$work/sums" | sed "s|^|$policy/|")
  tail -n +2 -- "$1" | sed -E 'N;s/^# ([0-9]+)\n[0-9a-f]{64}  /regular file \1  /' > "$work/expected"
  (cd "$repository/$policy" && cut -c67- "$work/sums" | xargs stat -c '%F %s  %n' --) > "$work/found-packs" || fail "a pack is damaged or missing"
  [ "$(sha256sum < "$work/expected")" = "$(sha256sum < "$work/found-packs")" ] \
    || fail "a pack is damaged or missing: $(comm -23 <(sort -u "$work/expected") <(sort -u "$work/found-packs") | head -n 1)"
  (cd "$repository/$policy" && sha256sum --quiet --strict -c "$work/sums" >&2) || fail "a pack is damaged or missing"
  while read -r pack; do
    # no pack holds more than 32 MiB, no chunk more than 4 MiB
    dd if="$repository/$policy/packs/${pack:0:2}/$pack" iflag=nofollow,nonblock bs=1M status=none | age -d -i "$identity" | zstd -dq --memory=128MB | head -c 67108864 \
      | (ulimit -S -f 65536; tar -x -C "$work/chunks" --no-same-owner --no-same-permissions) || fail "pack $pack cannot be opened"
  done < "$work/packs"
  [ -z "$(find "$work/chunks" -mindepth 1 ! -type f -print -quit)" ] || fail "a pack holds something else than chunks"
  (cd "$work/chunks" && find . -type f -printf '%f  %f\n' | sha256sum --quiet --strict -c >&2) || fail "a chunk does not match its name"
}

restore_source() {
  local source=$1 manifest list lines=$work/manifest end
  [[ $source =~ ^[a-z][a-z0-9-]*$ ]] || fail "not a source name: $source"
  manifest=$(part "$source" .manifest.sha256) list=$(part "$source" .list.sha256)
  [[ $manifest =~ ^[0-9a-f]{64}$ && $list =~ ^[0-9a-f]{64}$ ]] || fail "this snapshot holds nothing of source $source"
  bring 512 <<< "$policy/lists/$list"
  bring 1024 <<< "$policy/manifests/$manifest"
  hash_is "$policy/lists/$list" "$list" "$(part "$source" .list.size)" "list $list"
  hash_is "$policy/manifests/$manifest" "$manifest" "$(part "$source" .manifest.size)" "manifest $manifest"
  # more than 32 GiB of text is none of a manifest, whose end would be missing then
  age -d -i "$identity" "$work/taken/$policy/manifests/$manifest" | zstd -dq --memory=128MB | head -c 34359738368 > "$lines" || fail "manifest $manifest cannot be opened"
  head -n 1 "$lines" | jq -e --arg repository "$id_of_repository" --arg policy "$policy" --arg source "$source" '
    .drops == "manifest" and .format == 1 and .repository == $repository and .policy == $policy and .source == $source' >/dev/null \
    || fail "manifest $manifest is that of another source"
  tail -n +2 "$lines" | head -n -1 > "$work/body"
  end=$(sha256sum < "$work/body")
  tail -n 1 "$lines" | jq -e --argjson entries "$(wc -l < "$work/body")" --arg sha256 "${end%% *}" \
    '.end == true and .entries == $entries and .sha256 == $sha256' >/dev/null || fail "manifest $manifest is cut short"
  entries < "$work/body" > "$work/entries" || fail "manifest $manifest is malformed"
  [ "$(grep -cE "$entry" "$work/entries" || true) $(wc -l < "$work/entries")" = "$(wc -l < "$work/body") $(wc -l < "$work/body")" ] \
    || fail "manifest $manifest is malformed"
  rm -- "$work/taken/$policy/manifests/$manifest"
  open_chunks "$work/taken/$policy/lists/$list"
  jq -r '.chunks[]? | select(length == 3) | "\(.[1]) \(.[2])"' "$work/body" | sort -u > "$work/wanted"
  [ -z "$(find "$work/chunks" -type f -printf '%f %s\n' | sort | comm -23 "$work/wanted" -)" ] || fail "a chunk of $source is missing or has another size"
  mkdir "$work/tree"
  cd "$work/chunks"
  restore_entries "$work/entries" "$work/tree"
  cd /
  rm -rf "$work/chunks"
  mv -T -- "$work/tree" "$out/$source"
  mv -T -- "$lines" "$out/$source.manifest"
  head -n 1 -- "$out/$source.manifest" | jq -j '.runbook // empty' > "$work/runbook"
  [ ! -s "$work/runbook" ] || mv -T -- "$work/runbook" "$out/RUNBOOK.md"
  if grep -q '"xattrs":' "$out/$source.manifest"; then note "extended attributes of $source were not set; they are in $out/$source.manifest"; fi
  echo "recovered $source: $(wc -l < "$work/entries") entries"
}

# --- Databases. A dump is code, and so are the statements beside it: the server that was backed up chose them, and the facts in the
# manifest too. So facts have a strict form, roles.sql is read and never run, and the dump is loaded, and looked at, in sessions
# that were never a superuser's. Everything is handed over on standard input, since whoever the programs run as cannot read $out.

# as_postgres PROGRAM ARGUMENT...: as the user of the machine that may connect.
as_postgres() {
  if [ -z "$postgres_user" ] || [ "$(id -un)" = "$postgres_user" ]; then "$@"
  else (cd / && exec runuser -u "$postgres_user" -- "$@"); fi
}

# sql DATABASE: the statements on standard input, up to the first that fails, as the superuser. Nothing of the database is
# found by a name that PostgreSQL has itself.
sql() { { echo 'SET search_path = pg_catalog, pg_temp;'; cat; } | as_postgres psql -X -w -q -A -t -v ON_ERROR_STOP=1 -d "$1"; }

# as_loader PROGRAM ARGUMENT...: over a connection of the role that the dump is loaded as; see open_login.
as_loader() {
  (
    export PGUSER=${login_peer:-$loader} PGPASSWORD=$password ${login_host:+PGHOST="$login_host"}
    if [ -n "$login_peer" ]; then cd / && exec runuser -u "$login_peer" -- "$@"; else as_postgres "$@"; fi
  )
}

# What jq needs to write SQL, and to read names and texts as pg_dumpall writes them.
# shellcheck disable=SC2016 # it is jq's
sql_in_jq='
  def literal: "\u0027" + gsub("\u0027"; "\u0027\u0027") + "\u0027";
  def name: "\"" + gsub("\""; "\"\"") + "\"";
  def unquoted: if startswith("\"") then .[1:-1] | gsub("\"\""; "\"") else . end;
  def is($form): type == "string" and test("\\A(?:" + $form + ")\\z");
  def loads_code: ascii_downcase | test("preload_libraries\\z|\\Adynamic_library_path\\z|\\Ajit_provider\\z|\\Arole\\z|\\Asession_authorization\\z");
  def a_name: "[a-z_][a-z0-9_$]*|\"(?:[^\"\\\\\\p{C}]|\"\")+\"";
  def a_text: "\u0027(?:[^\u0027\\\\\\p{C}]|\u0027\u0027)*\u0027";
  def a_setting: "[A-Za-z_][A-Za-z0-9_$]*(?:[.][A-Za-z_][A-Za-z0-9_$]*)?";
'

# check_facts HEAD: they have the form that PostgreSQL gives them.
check_facts() {
  jq -e "$sql_in_jq"' .facts
    | def a_plain_name: is("[^\\p{C}\"\u0027\\\\`]{1,255}");
      def a_word: is("[^\\p{C}\"\u0027\\\\`]{0,255}");
      def any_text: type == "string" and all(explode[]; . != 0);
      (.server.version_num | is("[0-9]{5,7}")) and (.encoding | is("[A-Za-z0-9_]{1,63}")) and (.provider | is("libc|icu|builtin"))
      and (.collate | a_word) and (.ctype | a_word) and (.locale == null or (.locale | a_word)) and (.icu_rules == null or (.icu_rules | any_text))
      and (.owner | a_plain_name) and (.connection_limit | type == "number" and floor == . and . >= -1) and (.is_template | type == "boolean")
      and (.comment == null or (.comment | any_text))
      and ((.acl // []) | all(.[]; (.grantee == null or (.grantee | a_plain_name)) and (.privilege | is("CREATE|CONNECT|TEMPORARY")) and (.grantable | type == "boolean")))
      and (.settings | all(.[]; (.role == null or (.role | a_plain_name)) and (.name | is(a_setting)) and (.value | any_text)))
      and (.extensions | all(.[]; (.name | is("[A-Za-z0-9_-]{1,63}")) and (.schema | is("[A-Za-z_][A-Za-z0-9_$]{0,62}"))))
      and (.roles | all(.[]; any_text)) and (.pg_dump | is("[0-9][0-9A-Za-z.+~-]{0,40}"))
      and (.large_objects | is("[0-9]{1,20}")) and (.digest_version == null or (.digest_version | is("v[0-9]+")))
      and (.tables | all(.[]; (.schema | any_text) and (.name | any_text) and (.rows | is("[0-9]{1,20}"))))
      and (.sequences | all(.[]; (.schema | any_text) and (.name | any_text) and (.last_value == null or (.last_value | is("-?[0-9]{1,20}")))))' "$1" >/dev/null 2>&1
}

# make_roles FILE: those that the server lacks, none of them with power over the server, none of them a member of a role that is
# there. Roles that are there stay as they are. What is left out is said.
make_roles() {
  [ "$(stat -c %s -- "$1")" -le 8388608 ] || fail "$1 is larger than any such file"
  sql postgres > "$work/there" <<< "SELECT json_agg(rolname) FROM pg_roles;"
  jq -n -R --slurpfile there "$work/there" "$sql_in_jq"'
    [inputs | select(test("\\A(?:\\s*|--.*|SET [a-z_]+ = [^;\\\\]*;|\\\\(?:un)?restrict [A-Za-z0-9]+)\\z") | not)
      | . as $line
      | (capture("\\ACREATE ROLE (?<role>\(a_name));\\z") | {kind: "create"} + .)
        // (capture("\\AALTER ROLE (?<role>\(a_name)) WITH (?<words>(?:(?:NO)?(?:SUPERUSER|INHERIT|CREATEROLE|CREATEDB|LOGIN|REPLICATION|BYPASSRLS)(?: |(?=;)))+)(?:CONNECTION LIMIT (?<limit>[0-9]{1,9})(?: |(?=;)))?(?:PASSWORD \u0027(?<password>SCRAM-SHA-256[$][0-9]+:[A-Za-z0-9+/=]+[$][A-Za-z0-9+/=]+:[A-Za-z0-9+/=]+|md5[0-9a-f]{32})\u0027(?: |(?=;)))?(?:VALID UNTIL \u0027(?<until>[0-9A-Za-z: +.-]+)\u0027)?;\\z") | {kind: "alter"} + .)
        // (capture("\\AALTER ROLE (?<role>\(a_name)) SET (?<setting>\(a_setting)) TO (?<value>(?:\(a_text))(?:, (?:\(a_text)))*);\\z") | {kind: "set"} + .)
        // (capture("\\ACOMMENT ON ROLE (?<role>\(a_name)) IS (?<value>\(a_text));\\z") | {kind: "comment"} + .)
        // (capture("\\AGRANT (?<group>\(a_name)) TO (?<role>\(a_name))(?<with> WITH (?:ADMIN|INHERIT|SET) (?:OPTION|TRUE|FALSE)(?:, (?:ADMIN|INHERIT|SET) (?:OPTION|TRUE|FALSE))*)?(?: GRANTED BY (?:\(a_name)))?;\\z") | {kind: "grant"} + .)
        // {kind: "ignored", role: $line}
      | if .kind == "ignored" then . else .role |= unquoted end]
    | . as $all
    | ([$all[] | select(.kind == "create") | .role] - ($there[0] // []) | map(select(startswith("pg_") | not)) | unique) as $made
    | def of_made: select(.role | IN($made[]));
      {made: $made,
       ignored: [$all[] | select(.kind == "ignored") | .role],
       lacking: ([$all[] | select(.kind == "alter") | of_made | .role as $role | .words | split(" ")[] | select(IN("SUPERUSER", "CREATEROLE", "REPLICATION", "BYPASSRLS")) | "role \($role) was made without \(.)"]
         + [$all[] | select(.kind == "grant") | of_made | select((.group | unquoted | IN($made[])) | not) | "role \(.role) was not made a member of \(.group | unquoted)"]
         + [$all[] | select(.kind == "set") | of_made | select(.setting | loads_code) | "the setting \(.setting) of role \(.role) was left out"]),
       sql: ([$made[] | . as $role
           | ([$all[] | select(.kind == "alter" and .role == $role)] | last // {words: ""}) as $its
           | ($its.words | split(" ")) as $words
           | "CREATE ROLE \($role | name) NOSUPERUSER NOCREATEROLE NOREPLICATION NOBYPASSRLS"
             + (if $words | index("LOGIN") then " LOGIN" else " NOLOGIN" end) + (if $words | index("NOINHERIT") then " NOINHERIT" else " INHERIT" end)
             + (if $words | index("CREATEDB") then " CREATEDB" else " NOCREATEDB" end)
             + (if $its.limit then " CONNECTION LIMIT \($its.limit)" else "" end) + (if $its.password then " PASSWORD \($its.password | literal)" else "" end)
             + (if $its.until then " VALID UNTIL \($its.until | literal)" else "" end) + ";"]
         + [$all[] | select(.kind == "set") | of_made | select(.setting | loads_code | not) | "ALTER ROLE \(.role | name) SET \(.setting | split(".") | map(name) | join(".")) TO \(.value);"]
         + [$all[] | select(.kind == "comment") | of_made | "COMMENT ON ROLE \(.role | name) IS \(.value);"]
         + [$all[] | select(.kind == "grant") | of_made | select(.group | unquoted | IN($made[])) | "GRANT \(.group | unquoted | name) TO \(.role | name)\(.with // "");"])}' \
    < "$1" > "$work/plan" || fail "$1 cannot be read"
  jq -r '.lacking[:20][], (.ignored | select(length > 0) | "\(length) statements in roles.sql were ignored: \(.[:3] | map(.[:60]) | join(" ")) They do not make roles")' "$work/plan" \
    | while IFS= read -r line; do note "$(printf %s "$line" | tr -cd '[:print:]')"; done
  { echo 'BEGIN;'; jq -r '.sql[]' "$work/plan"; echo 'COMMIT;'; } | sql postgres >/dev/null || fail "the roles could not be made; they are in $1"
}

# Whether role r has power over the server or over roles, or can take it as a member: who works as it could become a superuser.
power="EXISTS (SELECT FROM pg_roles p WHERE pg_has_role(r.oid, p.oid, 'MEMBER') AND (p.rolsuper OR p.rolcreaterole OR p.rolreplication OR p.rolbypassrls
  OR p.rolname ~ '^pg_' AND p.rolname NOT IN ('pg_database_owner', 'pg_monitor', 'pg_read_all_settings', 'pg_read_all_stats', 'pg_stat_scan_tables')))"

# make_database HEAD: empty, with its extensions, of the owner, or of the loader when the owner has power over the server. While
# extensions are made, it is the loader's: nobody may put anything beside them.
make_database() {
  jq -r --arg owner "$loader" "$sql_in_jq"' .facts
    | "CREATE DATABASE \(.database | name) WITH TEMPLATE = template0 ENCODING = \(.encoding | literal)"
      + (if .provider == "libc" then (if (.server.version_num | tonumber) >= 150000 then " LOCALE_PROVIDER = libc" else "" end) else " LOCALE_PROVIDER = \(.provider)" end)
      + " LC_COLLATE = \(.collate | literal) LC_CTYPE = \(.ctype | literal)"
      + (if .locale == null or .provider == "libc" then "" elif .provider == "icu" then " ICU_LOCALE = \(.locale | literal)" else " BUILTIN_LOCALE = \(.locale | literal)" end)
      + (if .icu_rules == null then "" else " ICU_RULES = \(.icu_rules | literal)" end) + " OWNER = \($owner | name);"' "$1" | sql postgres >/dev/null \
    || fail "database $database could not be made"
  jq -r --arg loader "$loader" "$sql_in_jq"' .facts.extensions[] | select(.name != "plpgsql")
    | (if .schema | test("\\A(?:public\\z|pg_)") then empty else "CREATE SCHEMA IF NOT EXISTS \(.schema | name) AUTHORIZATION \($loader | name);" end),
      "CREATE EXTENSION IF NOT EXISTS \(.name | name) WITH SCHEMA \(.schema | name) CASCADE;"' "$1" > "$work/extensions"
  printf '%s\n' "SELECT format('ALTER SCHEMA public OWNER TO %I', '$loader') WHERE current_setting('server_version_num')::int < 150000 \gexec" >> "$work/extensions"
  sql "$database" < "$work/extensions" >/dev/null || fail "the extensions of database $database could not be made; are they installed?"
  sql postgres <<< "ALTER DATABASE \"$database\" OWNER TO \"$made_for\";" >/dev/null || fail "database $database could not be given to $made_for"
}

# open_login HEAD: the loader, a role without any power, can log in: as the superuser does, over 127.0.0.1, or as the owner's own
# user of the machine. A superuser who takes the owner's role would not do: the dump can take it back.
open_login() {
  local owner way
  owner=$(jq -r .facts.owner "$1")
  for way in '' 127.0.0.1 peer; do
    login_host='' login_peer=''
    case $way in
      peer)
        if [ "$EUID" != 0 ] || [ "$made_for" = "$loader" ] || [[ ! $owner =~ ^[a-z_][a-z0-9_-]*$ ]] || ! id -u "$owner" >/dev/null 2>&1; then continue; fi
        login_peer=$owner
        ;;
      *) login_host=$way ;;
    esac
    [ "$(as_loader psql -X -w -q -A -t -d "$database" -c 'SELECT session_user' 2>/dev/null </dev/null || true)" != "${login_peer:-$loader}" ] || return 0
  done
  return 1
}

# drop_loader: whatever became of the loading, the role is gone; and a database that was not loaded whole.
drop_loader() {
  [ -n "$loader" ] || return 0
  [ "$half" = no ] || sql postgres <<< "DROP DATABASE IF EXISTS \"$database\";" >/dev/null 2>&1 || true
  sql postgres <<< "DROP ROLE IF EXISTS \"$loader\";" >/dev/null 2>&1 || note "role $loader was left; drop it"
  loader=''
}

# load_dump HEAD DUMP OPTION...: without what only a superuser may have, which is made already or left out. An entry that fails keeps
# nothing else from being loaded; false when rows, or what restricts their use, are missing then. What failed is in $work/failures.
load_dump() {
  local head=$1 dump=$2 status=0
  shift 2
  as_loader pg_restore --verbose --no-tablespaces -w "$@" --use-list=/dev/fd/3 -d "$database" < "$dump" 3< "$work/list" > "$work/said" 2>&1 || status=$?
  # shellcheck disable=SC2016 # it is jq's
  jq -R -n -r --slurpfile head "$head" --rawfile contents "$work/contents" '
    ([$contents | split("\n")[] | capture("\\A(?<key>[0-9]+); [0-9]+ [0-9]+ (?<value>.*)\\z")] | from_entries) as $what
    | ($head[0].facts | [(.tables + .sequences)[] | "\(.schema) \(.name)"]) as $known
    | reduce inputs as $line ({found: {}, other: []};
        ([$line | capture("\\Apg_restore: from TOC entry (?<id>[0-9]+); ")] | first) as $entry
        | ([$line | capture("\\Apg_restore: error: (?:could not execute query: |COPY failed for table \"[^\"]*\": )?(?:ERROR: +)?(?<said>.*)\\z")] | first) as $error
        | if $entry then .at = $entry.id | .found[.at] |= (. // {what: ($what[$entry.id] // "an entry that the list does not hold"), error: ""})
          elif $error == null then .
          elif .at == null then .other += [$error.said]
          elif .found[.at].error == "" then .found[.at].error = $error.said else . end)
    | (.found[]
      | (.error | test("permission denied|[Mm]ust be (?:a )?superuser|[Oo]nly superusers?|must be owner|must be able to SET ROLE|must be member")) as $refused
      | (if .error | test("No space left|Disk quota|could not extend file|out of (?:shared )?memory|deadlock|canceling statement|terminating connection|closed the connection|connection to server|too many (?:clients|connections)") then "fatal"
        elif .what | test("\\A(?:SCHEMA|TABLE|TABLE DATA|TABLE ATTACH|SEQUENCE|SEQUENCE SET|SEQUENCE OWNED BY|BLOBS?|BLOB METADATA) ") then
          # tables of extensions are theirs, and so are the rows in them
          (if $refused and (.what | [capture("\\A(?:TABLE DATA|SEQUENCE SET) (?<name>.*) \\S+\\z")] | any(.name | IN($known[]) | not)) then "left" else "fatal" end)
        elif $refused and (.what | test("\\AACL (?:pg_catalog|information_schema) ")) then "left"
        elif .what | test("\\A(?:POLICY|ROW SECURITY|RULE|ACL \\S+ (?:FUNCTION|PROCEDURE|AGGREGATE|ROUTINE)) ") then "fatal"
        elif $refused or (.error | test("does not exist\\z")) then "left"
        elif .what | test("\\A(?:FK CONSTRAINT|CONSTRAINT|CHECK CONSTRAINT|INDEX|INDEX ATTACH|MATERIALIZED VIEW DATA|STATISTICS|TRIGGER|COMMENT|SECURITY LABEL|ACL|DEFAULT ACL) ") then "left"
        else "fatal" end) + " \(.what): \(.error)"),
      (.other[] | select(startswith("unrecognized configuration parameter") | not) | "fatal \(.)")' \
    < "$work/said" | tr -cd '[:print:]\n' | cut -c1-300 > "$work/failures"
  if grep -q '^fatal ' "$work/failures"; then return 1; fi
  [ $status = 0 ] || grep -q '^pg_restore: warning: errors ignored on restore: ' "$work/said"
}

# compare_database DATABASE HEAD: rows and digests of every table, sequences and large objects, with what was captured. A line
# for each difference. As the loader: a SELECT runs what is in indexes and views. The digest is v2 of drops: sums over the SHA-256 of the rows' lines as COPY writes them, columns by
# their names, with all settings pinned; or v1, of the rows' text, columns in the table's order, which says nothing of a table that inherits.
compare_database() {
  jq -r "$sql_in_jq"'
    def both: "\u0027schema\u0027, \(.schema | literal), \u0027name\u0027, \(.name | literal), \u0027rows\u0027, count(*)::text";
    .facts.digest_version as $version | .facts
    | (.tables[] | "FROM ONLY \(.schema | name).\(.name | name) AS t" as $from
      | ("\(.schema | name).\(.name | name)" | "to_regclass(\(literal))") as $table
      | (if $version == "v1" then "CASE WHEN EXISTS (SELECT FROM pg_inherits JOIN pg_class ON oid = inhrelid
            WHERE oid = \($table) AND NOT relispartition) THEN NULL ELSE \u0027textin(record_out(t.*))\u0027 END"
        else "(SELECT coalesce(string_agg(format($f$CASE num_nulls(t.%1$I) WHEN 1 THEN \u0027\\N\u0027 ELSE replace(replace(replace(replace(replace(replace(replace(
            format(\u0027%%s\u0027, t.%1$I), \u0027\\\u0027, \u0027\\\\\u0027), chr(8), \u0027\\b\u0027), chr(9), \u0027\\t\u0027), chr(10), \u0027\\n\u0027), chr(11), \u0027\\v\u0027),
            chr(12), \u0027\\f\u0027), chr(13), \u0027\\r\u0027) END$f$, attname), \u0027 || chr(9) || \u0027 ORDER BY attname COLLATE \"C\"), $f$\u0027\u0027$f$)
            FROM pg_attribute WHERE attrelid = \($table) AND attnum > 0 AND NOT attisdropped AND attgenerated = \u0027\u0027)" end) as $row
      | "SELECT json_build_object(\(both)) \($from)" as $count
      | if $version == "v1" or $version == "v2" then
          "SELECT coalesce(\("SELECT json_build_object(\(both), \u0027digest\u0027, \u0027\($version):\u0027 || left(encode(sha256(convert_to(concat_ws(\u0027:\u0027, count(*),
            sum((\u0027x\u0027 || substr(h, 1, 16))::bit(64)::bigint), sum((\u0027x\u0027 || substr(h, 17, 16))::bit(64)::bigint)), \u0027UTF8\u0027)), \u0027hex\u0027), 32))
            FROM (SELECT encode(sha256(convert_to(" | literal) || \($row) || \(", getdatabaseencoding())), \u0027hex\u0027) AS h \($from) OFFSET 0) AS hashed" | literal),
            \($count | literal)) \\gexec"
        else "\($count);" end),
      (.sequences[] | select(.last_value != null and (.last_value | startswith("-") | not))
      | "SELECT json_build_object(\u0027behind\u0027, \("\(.schema).\(.name)" | literal)) WHERE coalesce((SELECT last_value FROM pg_sequences
          WHERE schemaname = \(.schema | literal) AND sequencename = \(.name | literal)), 0) < \(.last_value);"),
      "SELECT json_build_object(\u0027large\u0027, count(*)::text) FROM pg_largeobject_metadata;"' "$2" > "$work/measure" || fail "the facts of database $1 cannot be read"
  {
    printf "SET %s;\n" "TimeZone = 'UTC'" "DateStyle = 'ISO, YMD'" "IntervalStyle = 'postgres'" "bytea_output = 'hex'" 'extra_float_digits = 3' \
      "lc_monetary = 'C'" 'quote_all_identifiers = off' 'standard_conforming_strings = on' "client_encoding = 'UTF8'" 'row_security = off' "search_path = pg_catalog, pg_temp"
    cat "$work/measure"
  } | as_loader psql -X -w -q -A -t -v ON_ERROR_STOP=1 -d "$1" > "$work/measured" || fail "the rows of database $1 cannot be counted"
  jq -r -s --slurpfile head "$2" '
    . as $found | $head[0].facts as $was
    | ($was.tables[] | . as $table | "\(.schema).\(.name)" as $name
      | $found[] | select(.schema == $table.schema and .name == $table.name)
      | if .rows != $table.rows then "table \($name) has \(.rows) rows instead of \($table.rows)"
        elif .digest != null and .digest != $table.digest then "table \($name) has other rows than captured" else empty end),
      ($found[] | select(.behind) | "sequence \(.behind) is behind"),
      ($found[] | select(.large and .large != $was.large_objects) | "there are \(.large) large objects instead of \($was.large_objects)")' "$work/measured"
}

# hand_over HEAD: to the owner, and to the database what belongs to it and is not in its dump.
hand_over() {
  local owner
  owner=$(jq -r .facts.owner "$1")
  {
    # before 15 the schema public was the first superuser's
    printf '%s\n' "SELECT format('ALTER SCHEMA public OWNER TO %I', rolname) FROM pg_roles WHERE oid = 10 AND current_setting('server_version_num')::int < 150000 \gexec"
    printf 'REASSIGN OWNED BY "%s" TO "%s";\nDROP OWNED BY "%s";\n' "$loader" "$owner" "$loader"
  } | sql "$database" >/dev/null || fail "what was loaded into $database could not be given to $owner"
  jq -r "$sql_in_jq"' .facts | (.database | name) as $database | (.owner | name) as $owner
    | "BEGIN;", "ALTER DATABASE \($database) OWNER TO \($owner);",
      (if .connection_limit == -1 then empty else "ALTER DATABASE \($database) CONNECTION LIMIT \(.connection_limit);" end),
      (if .is_template then "ALTER DATABASE \($database) IS_TEMPLATE true;" else empty end),
      (if .comment == null then empty else "COMMENT ON DATABASE \($database) IS \(.comment | literal);" end),
      (if .acl == null then empty else "REVOKE ALL ON DATABASE \($database) FROM PUBLIC;", "REVOKE ALL ON DATABASE \($database) FROM \($owner);" end),
      ((.acl // [])[] | "GRANT \(.privilege) ON DATABASE \($database) TO \(if .grantee == null then "PUBLIC" else .grantee | name end)\(if .grantable then " WITH GRANT OPTION" else "" end);"),
      (.settings[] | select(.name | loads_code | not) | (if .role == null then "ALTER DATABASE \($database)" else "ALTER ROLE \(.role | name) IN DATABASE \($database)" end) as $of
        | "\($of) SET \(.name | split(".") | map(name) | join(".")) TO \(if (.name | ascii_downcase | IN("search_path", "temp_tablespaces")) then
            ([.value | scan("\"((?:[^\"]|\"\")*)\"|([^\\s,\"]+)") | (.[0] // .[1]) | gsub("\"\""; "\"") | literal] | if length == 0 then "\u0027\u0027" else join(", ") end)
          else .value | literal end);"), "COMMIT;"' "$1" | sql postgres >/dev/null || fail "the settings of database $database could not be made"
}

# load_database SOURCE: into a new database of the same name.
load_database() {
  local from=$out/$1 head=$work/head owner differences state
  head -n 1 -- "$out/$1.manifest" > "$head"
  [ "$(jq -r .kind "$head")" = postgres ] || return 0
  database=$(jq -r '.facts.database | tostring' "$head")
  [[ $database =~ ^[A-Za-z_][A-Za-z0-9_\$-]{0,62}$ ]] || fail "not the name of a database: ${database//[^[:print:]]/?}"
  check_facts "$head" || fail "the facts of $1 in the manifest are not those of a PostgreSQL database: nothing of it is loaded"
  pg_restore --list < "$from/database.dump" > "$work/contents" \
    || fail "this pg_restore cannot read the dump: it was made by pg_dump $(jq -r .facts.pg_dump "$head"), and needs a pg_restore that is not older"
  [ -z "$(sql postgres <<< "SELECT 1 FROM pg_database WHERE datname = '$database'")" ] \
    || fail "database $database exists already; nothing is written over. Rename it: ALTER DATABASE \"$database\" RENAME TO \"${database}_before\""
  make_roles "$from/roles.sql"
  jq -r '.made[]' "$work/plan" >> "$work/made"
  owner=$(jq -r .facts.owner "$head")
  state=$(sql postgres <<< "SELECT $power FROM pg_roles r WHERE rolname = '$owner'")
  [ -n "$state" ] || fail "there is no role $owner, whom database $database belongs to: CREATE ROLE it"
  loader=drops_loader_$(head -c 16 /dev/urandom | sha256sum | cut -c1-8) password=$(head -c 32 /dev/urandom | sha256sum | cut -c1-64)
  made_for=$owner
  [ "$state" = f ] || made_for=$loader
  # of the roles that are there, the loader is a member of the owner alone
  jq -R -s -r --arg loader "$loader" --arg password "$password" --arg owner "$made_for" "$sql_in_jq"'
    "SET password_encryption = \u0027scram-sha-256\u0027;", "CREATE ROLE \($loader | name) LOGIN INHERIT PASSWORD \($password | literal);",
    ([split("\n")[] | select(. != "")] + [$owner] | unique | .[] | select(. != $loader) | "GRANT \(name) TO \($loader | name);")' "$work/made" | sql postgres >/dev/null \
    || fail "the role that the dump is loaded as could not be made"
  half=yes
  make_database "$head"
  open_login "$head" || fail "nobody but a superuser can log in to $database, and a dump is not loaded as one:" \
    "add \"host all all 127.0.0.1/32 scram-sha-256\" to pg_hba.conf and reload the server"
  # extensions and their schemas are there; the other kinds are for superusers
  jq -r '.facts.extensions[].schema | select(test("\\A(?:public\\z|pg_)") | not) | "SCHEMA - \(.) "' "$head" | sort -u > "$work/schemas"
  grep -E '^[0-9]+; [0-9]+ [0-9]+ ' "$work/contents" | sed -E 's/^([0-9]+); [0-9]+ [0-9]+ /\1; /' \
    | grep -vE '^[0-9]+; ((COMMENT|SECURITY LABEL) - )?(EXTENSION|EVENT TRIGGER|SUBSCRIPTION|FOREIGN DATA WRAPPER|PROCEDURAL LANGUAGE) ' \
    | { if [ -s "$work/schemas" ]; then grep -vF -f "$work/schemas"; else cat; fi; } | sed -E 's/^([0-9]+;).*/\1/' > "$work/list" || true
  state=$(grep -cE '^[0-9]+; [0-9]+ [0-9]+ ((COMMENT|SECURITY LABEL) - )?(EVENT TRIGGER|SUBSCRIPTION|FOREIGN DATA WRAPPER) ' "$work/contents" || true)
  [ "$state" = 0 ] || note "$state things of database $database were left out, since only a superuser may make them: event triggers, subscriptions, foreign data wrappers"
  chmod 644 "$work/list"
  if [ "$made_for" = "$loader" ] || ! load_dump "$head" "$from/database.dump" \
    || grep -qE 'must be (able to SET ROLE|member of role)|permission denied for schema' "$work/failures"; then
    if [ "$made_for" != "$loader" ]; then
      note "not everything can belong to whom it belonged: $(head -n 3 "$work/failures" | tr '\n' ' '). It is loaded again, and belongs to $owner"
      sql postgres <<< "DROP DATABASE \"$database\";" >/dev/null || fail "database $database is in use"
      make_database "$head"
    fi
    load_dump "$head" "$from/database.dump" --no-owner \
      || fail "the dump could not be loaded: $(grep -m 3 '^fatal ' "$work/failures" || tail -n 1 "$work/said" | tr -cd '[:print:]' | cut -c1-300)"
  fi
  head -n 20 "$work/failures" | while IFS= read -r state; do note "left out, or could not be made: ${state#left }"; done
  half=no
  differences=$(compare_database "$database" "$head") || fail "database $database could not be compared with what was captured"
  hand_over "$head"
  drop_loader
  [ -z "$differences" ] || fail "database $database is not what was captured: $differences"
  echo "loaded $1 into database $database: $(jq '.facts.tables | length' "$head") tables have the rows that were captured"
}

if [ -n "$bucket" ]; then
  prepare_s3
  own_directory "$repository"
  bring 1 <<< $'repository.json\nrepository.json.sig'
fi
[ ${#revoked[@]} = 0 ] || look repository.json || fail "repository.json cannot be listed"
signed repository.json drops-repository-v1 || fail "repository.json is $why"
[ "$(jq -r '"\(.drops) \(.format)"' "$work/taken/repository.json")" = "repository 1" ] || fail "this script reads format 1 only"
id_of_repository=$(jq -r .id "$work/taken/repository.json")
record=$(pick)
echo "recovering $(jq -r '"\(.policy) \(.id), \(.state), ended \(.ended)"' "$record")"
sources=("$@")
if [ $# -eq 0 ]; then
  mapfile -t sources <<< "$(jq -r '.sources[] | select(.manifest) | .name' "$record")"
  missing=$(jq -r '.sources[] | select(.manifest | not) | .name' "$record")
  [ -z "$missing" ] || note "this snapshot holds nothing of: ${missing//$'\n'/ }"
fi
owners_lost=no
for source in "${sources[@]}"; do
  [ ! -e "$out/$source" ] || fail "source $source was named twice"
  restore_source "$source"
done
[ $owners_lost = no ] || note "some owners could not be set"
if [ $load_databases = yes ]; then
  for source in "${sources[@]}"; do load_database "$source"; done
fi
[ ! -e "$out/RUNBOOK.md" ] || note "what comes next is in $out/RUNBOOK.md, under By hand"
[ -z "$bucket" ] || note "what was fetched is kept in $repository; remove it when nothing more is to be recovered"
