#!/bin/sh
# One machine, from power on until standard input ends: that is its power being cut. Root only.
# usage: boot.sh ROOT DIRECTORY NUMBER ADDRESS_HERE ADDRESS_THERE MEMORY [OPTION_OF_SYSTEMD_NSPAWN…]
# ROOT lies below, read-only; what the machine writes goes to a disk of its own in DIRECTORY/disk.img, which begins with what
# lies in DIRECTORY/seed. When the power is cut it loses all that was not synced, as a disk does. All runs in namespaces
# that end with this: no mount, process or network device is left, however it ends.
set -eu
root=$1 directory=$2 number=$3 here=$4 there=$5 memory=$6
shift 6
exec 7< "$directory/lock"
flock --shared 7
name=drops-vps$number

# Control groups of its own let systemd inside think that it has a machine; the cap saves this one.
groups=
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
  groups=/sys/fs/cgroup/$name
else
  while IFS=: read -r _ names path; do
    case $names in
      '') hierarchy=unified ;;
      name=*) hierarchy=${names#name=} ;;
      memory | pids) hierarchy=$names ;;
      *) continue ;;
    esac
    [ -d "/sys/fs/cgroup/$hierarchy" ] && groups="$groups /sys/fs/cgroup/$hierarchy${path%/}/$name"
  done < /proc/self/cgroup
fi
remove_groups() {
  for group in $groups; do
    [ ! -d "$group" ] || find "$group" -depth -type d -exec rmdir {} + 2> /dev/null || true
  done
}
remove_groups
for group in $groups; do
  mkdir -p "$group"
  for limit in memory.limit_in_bytes memory.max; do
    [ ! -e "$group/$limit" ] || echo "$memory" > "$group/$limit"
  done
  [ ! -e "$group/pids.max" ] || echo 1024 > "$group/pids.max"
done

# After a power cut the kernel may need a moment to let go of it.
while [ -e "$directory/disk.img" ] && losetup --associated "$directory/disk.img" | grep -q .; do sleep 0.02; done
if [ ! -e "$directory/disk.img" ]; then
  truncate --size=8G "$directory/disk.part"
  mkfs.ext4 -q -E lazy_itable_init=1,lazy_journal_init=1,nodiscard "$directory/disk.part"
  mv "$directory/disk.part" "$directory/disk.img"
fi
mkdir -p "$directory/disk" "$directory/mounted" "$directory/shared"
exec 3<&0
GROUPS_OF_IT=$groups unshare --net --mount --pid --fork --kill-child=KILL --mount-proc sh -c '
  root=$1 directory=$2 name=$3 there=$4
  shift 4
  for group in $GROUPS_OF_IT; do echo 0 > "$group/cgroup.procs"; done
  mount -o loop,noatime "$directory/disk.img" "$directory/disk"
  mkdir -p "$directory/disk/work"
  if [ ! -e "$directory/disk/upper" ]; then
    cp -a "$directory/seed" "$directory/disk/upper.part"
    mv "$directory/disk/upper.part" "$directory/disk/upper"
    sync --file-system "$directory/disk"
  fi
  # EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH: not even the journal is written any more.
  (cat <&3 > /dev/null
  perl -e "open(DISK, q(<), shift) && ioctl(DISK, 0x8004587d, my \$how = pack(q(L), 2)) or die \$!" "$directory/disk"
  kill -KILL -1) &
  # Where nspawn keeps notes about machines.
  mkdir -p /run/systemd/nspawn
  mount -t tmpfs tmpfs /run/systemd/nspawn
  mount -t overlay -o "lowerdir=$root,upperdir=$directory/disk/upper,workdir=$directory/disk/work" "$name" "$directory/mounted"
  until ip link show eth0 > /dev/null 2>&1; do sleep 0.02; done
  ip link set lo up
  ip address add "$there/30" dev eth0
  ip link set eth0 up
  # A reboot ends nspawn with 133: start it again, as the hypervisor would.
  status=133
  while [ $status = 133 ]; do
    status=0
    systemd-nspawn --quiet --register=no --keep-unit --console=pipe --link-journal=no --resolv-conf=off --timezone=off \
      --network-namespace-path=/proc/self/ns/net --directory="$directory/mounted" --machine="$name" \
      --bind="$directory/shared:/mnt/shared" --boot "$@" \
      < /dev/null >> "$directory/console.log" 2>&1 || status=$?
  done' inside "$root" "$directory" "$name" "$there" "$@" &
inside=$!
exec 3<&-
until [ "$(readlink "/proc/$inside/ns/net")" != "$(readlink /proc/self/ns/net)" ]; do
  [ -d "/proc/$inside" ] || { echo "the machine $name did not start" >&2; exit 1; }
  sleep 0.02
done
ip link add "$name" type veth peer name eth0 netns "$inside"
ip address add "$here/30" dev "$name"
ip link set "$name" up
wait "$inside" || true
remove_groups
