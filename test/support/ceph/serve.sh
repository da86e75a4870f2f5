# Runs inside the root that build.sh made, as process 1 of its own namespace: see run.sh, whose arguments it gets.
set -eu
http=$1 https=$2 mon=$3 mon_v1=$4 osd_ports=$5 objectstore=$6 access_key=$7 secret_key=$8
cd /srv
mkdir -p mon osd mgr gateway run log
export CEPH_CONF=/srv/ceph.conf
fsid=$(cat /proc/sys/kernel/random/uuid)

cat > ceph.conf << CONF
[global]
fsid = $fsid
mon_host = [v2:127.0.0.1:$mon/0,v1:127.0.0.1:$mon_v1/0]
mon_initial_members = a
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
ms_bind_port_min = $osd_ports
ms_bind_port_max = $((osd_ports + 60))
# One machine that trusts itself.
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
ms_mon_client_mode = crc
keyring = /srv/keyring
run_dir = /srv/run
admin_socket = /srv/run/\$name.asok
log_file = /srv/log/\$name.log
pid_file = /srv/run/\$name.pid
# A cluster of one disk, that does not wait for others.
paxos_propose_interval = 0.05
paxos_min_wait = 0.01
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 1000
mon_data_avail_crit = 1
mon_data_avail_warn = 2
mon_osd_full_ratio = 0.97
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 4
osd_pool_default_pgp_num = 4
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
[mon.a]
mon_data = /srv/mon
[osd.0]
osd_data = /srv/osd
osd_objectstore = $objectstore
osd_class_dir = $(echo /usr/lib/*/rados-classes)
osd_class_load_list = *
osd_class_default_list = *
osd_max_object_name_len = 460
osd_memory_target = 900M
memstore_device_bytes = 8G
bluestore_block_size = 10G
bluestore_block_create = true
[client.gateway]
rgw_data = /srv/gateway
rgw_frontends = beast endpoint=127.0.0.1:$http ssl_endpoint=127.0.0.1:$https ssl_certificate=/srv/tls.crt ssl_private_key=/srv/tls.key
rgw_enable_usage_log = false
rgw_thread_pool_size = 32
CONF
: > keyring
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=localhost \
  -addext 'subjectAltName=DNS:localhost,IP:127.0.0.1' -keyout tls.key -out tls.crt 2> log/openssl.err

monmaptool --create --fsid "$fsid" --addv a "[v2:127.0.0.1:$mon,v1:127.0.0.1:$mon_v1]" monmap > log/monmap.out 2>&1
ceph-mon --mkfs -i a --monmap monmap > log/mon-mkfs.out 2>&1
ceph-mon -i a -f > log/mon.out 2>&1 &
osd=$(cat /proc/sys/kernel/random/uuid)
timeout 300 ceph osd new "$osd" > log/osd-new.out 2>&1
ceph-osd -i 0 --mkfs --osd-uuid "$osd" > log/osd-mkfs.out 2>&1
ceph-osd -i 0 -f > log/osd.out 2>&1 &
timeout 300 ceph osd crush add osd.0 1.0 root=default host=here > log/crush.out 2>&1
tries=0
until timeout 60 ceph osd stat 2> /dev/null | grep -q '1 up'; do
  tries=$((tries + 1))
  [ "$tries" -lt 100 ] || { echo "the OSD does not come up" >&2; exit 1; }
  sleep 0.2
done
radosgw-admin --name client.gateway user create --uid=test --display-name=test \
  --access-key="$access_key" --secret-key="$secret_key" --caps='users=*;accounts=*' > log/user.out 2>&1
# With a clock of its own, that whoever started this moves: it is what stamps objects and judges signatures.
clock=
if [ -e faketime.so ]; then
  clock='LD_PRELOAD=/srv/faketime.so FAKETIME_TIMESTAMP_FILE=/srv/clock FAKETIME_CACHE_DURATION=0 FAKETIME_DONT_FAKE_MONOTONIC=1 NO_FAKE_STAT=1'
fi
# shellcheck disable=SC2086
env $clock radosgw --name client.gateway -f > log/gateway.out 2>&1 &
echo started

# The daemons die with this process, which ends when whoever started it closes our standard input or dies.
cat > /dev/null
