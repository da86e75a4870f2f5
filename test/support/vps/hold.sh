#!/bin/sh
# Holds a number (with it names and a pair of addresses) and a directory (its disk) for one throwaway machine until
# standard input ends; then both are given back, whatever became of whoever started this. Root only.
# usage: hold.sh DIRECTORY_FOR_DISKS
# Prints: the number, the address on this side, the machine's address, its directory.
set -eu
disks=$1
locks=/run/lock/drops-vps
mkdir -p "$locks"
exec 8> "$locks/choosing"
flock 8

# What a machine left whose holder was killed: nobody holds its lock any more.
for left in "$disks"/drops-vps-*; do
  [ -e "$left/lock" ] || continue
  (flock --exclusive --nonblock 7 && rm -rf "$left") 7< "$left/lock" || true
done

# Of 198.18.0.0/15, the addresses set aside for tests of network devices. While the machine is off nobody is there, whatever the
# way out of here would answer: any other route is better than this one.
address() { echo "198.18.$((number / 64)).$((number % 64 * 4 + $1))"; }
nobody() { ip route "$1" unreachable "$(address 0)/30" metric 4294967295; }
for left in "$locks"/*[0-9]; do
  [ -e "$left" ] || continue
  number=${left##*/}
  (flock --nonblock 9 && nobody del 2> /dev/null) 9< "$left" || true
done
taken() {
  [ -e "/sys/class/net/drops-vps$number" ] || ip -4 route show match "$(address 0)/30" | grep -qv '^default'
}
number=$(($(od -A n -N 2 -t u2 /dev/urandom) % 8192))
until exec 9> "$locks/$number" && flock --nonblock 9 && ! taken; do
  number=$(((number + 1) % 8192))
done
directory=$(mktemp -d "$disks/drops-vps-XXXXXX")
: > "$directory/lock"
exec 7< "$directory/lock"
flock --shared 7
nobody add
exec 8>&-
echo "$number $(address 1) $(address 2) $directory"

cat > /dev/null
# A machine that still runs holds it too.
flock --exclusive 7
nobody del
rm -rf "$directory"
