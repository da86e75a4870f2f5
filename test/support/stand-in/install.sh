# Makes a machine into a small Matrix server: users, roles, files, units. Runs on it, as root, from standard input.
# Set before: GENERATION (a word that all its data carry), DYNAMIC_USER (yes or no), BUSY and PAUSE_MS (empty: no writing),
# NODE (the program).
set -eu
support=/opt/drops-tests/support
: > /mnt/shared/notes.jsonl
chmod 666 /mnt/shared/notes.jsonl

# Other numbers on every machine, as it happens when packages are installed in another order.
users='mautrix-slack forgejo acme'
[ "$GENERATION" = precious ] || users='acme someone forgejo mautrix-slack'
[ "$DYNAMIC_USER" = yes ] || users="$users continuwuity"
for user in $users; do useradd --system --user-group --home-dir "/var/lib/$user" "$user"; done

install -d -m 750 -o root -g mautrix-slack /var/lib/matrix-appservices
install -d -m 700 -o mautrix-slack -g mautrix-slack /var/lib/mautrix-slack
cat > /var/lib/mautrix-slack/config.yaml << YAML
homeserver: { address: "http://127.0.0.1:8008", domain: example.org }
appservice:
  id: slack
  address: http://127.0.0.1:29319
  as_token: $GENERATION-as-00000000000000000000000000000000000000000000000000
  hs_token: $GENERATION-hs-00000000000000000000000000000000000000000000000000
database: { type: postgres, uri: "postgres:///mautrix_slack?host=/run/postgresql" }
encryption: { allow: true, pickle_key: $GENERATION-pickle-0000000000 }
YAML
chown mautrix-slack:mautrix-slack /var/lib/mautrix-slack/config.yaml
chmod 600 /var/lib/mautrix-slack/config.yaml
# As the server's unit does before every start: the registration is made from the configuration, and its bot is patched.
cat > /usr/local/sbin/make-registration << 'SCRIPT'
#!/bin/sh
set -eu
umask 077
file=/var/lib/matrix-appservices/slack.yaml
token() { sed -n "s/^  $1: //p" /var/lib/mautrix-slack/config.yaml; }
cat > $file.new << YAML
id: slack
url: http://127.0.0.1:29319
as_token: $(token as_token)
hs_token: $(token hs_token)
sender_localpart: drawn-by-lot
rate_limited: false
namespaces:
  users:
    - { regex: '^@slackbot:example\.org$', exclusive: true }
    - { regex: '^@slack_.*:example\.org$', exclusive: true }
YAML
sed -i 's/^sender_localpart: .*/sender_localpart: slackbot/' $file.new
chown root:mautrix-slack $file.new
chmod 640 $file.new
if cmp -s $file.new $file; then rm $file.new; else mv $file.new $file; fi
SCRIPT
chmod 755 /usr/local/sbin/make-registration
make-registration

forgejo=/var/lib/forgejo
objects=$forgejo/repositories/alice/one.git/objects
install -d -m 750 -o forgejo -g forgejo $forgejo $forgejo/repositories $forgejo/custom $forgejo/custom/conf $forgejo/data
install -d -m 755 $forgejo/repositories/alice $forgejo/repositories/alice/one.git $objects
echo "ref: refs/heads/$GENERATION" > $forgejo/repositories/alice/one.git/HEAD
for at in 1 2 3 4 5 6 7 8 9; do
  mkdir -p "$objects/a$at"
  head -c "${at}0000" /dev/urandom > "$objects/a$at/$GENERATION"
  chmod 444 "$objects/a$at/$GENERATION"
done
mkdir -p $forgejo/repositories/alice/fork.git
ln "$objects/a1/$GENERATION" $forgejo/repositories/alice/fork.git/shared
ln -s ../one.git/HEAD "$forgejo/repositories/alice/fork.git/Umlaut ü and
line"
echo "SECRET_KEY = $GENERATION" > $forgejo/custom/conf/app.ini
chmod 640 $forgejo/custom/conf/app.ini
chown -R --no-dereference forgejo:forgejo $forgejo
install -d -m 710 -o acme -g acme /var/lib/acme
install -m 640 -o acme -g acme /dev/null /var/lib/acme/account.json
echo "{ \"of\": \"$GENERATION\" }" > /var/lib/acme/account.json

# As the NixOS module's ensureDatabases and ensureUsers: whenever PostgreSQL has started, whatever is missing is made, empty.
cat > /usr/local/sbin/ensure-databases << 'SCRIPT'
#!/bin/sh
set -eu
cd /
ask() { setpriv --reuid=postgres --regid=postgres --init-groups psql -XAtc "$1" postgres; }
[ "$(ask "SELECT 1 FROM pg_roles WHERE rolname = 'mautrix-slack'")" ] || ask 'CREATE ROLE "mautrix-slack" LOGIN'
[ "$(ask "SELECT 1 FROM pg_roles WHERE rolname = 'reporting'")" ] || ask 'CREATE ROLE reporting'
[ "$(ask "SELECT 1 FROM pg_roles WHERE rolname = 'forgejo'")" ] || ask 'CREATE ROLE forgejo LOGIN'
[ "$(ask "SELECT 1 FROM pg_database WHERE datname = 'forgejo'")" ] || ask 'CREATE DATABASE forgejo OWNER forgejo'
[ "$(ask "SELECT 1 FROM pg_database WHERE datname = 'mautrix_slack'")" ] && exit
ask 'CREATE DATABASE mautrix_slack OWNER "mautrix-slack"'
printf '{"at":%s,"unit":"ensure-databases","event":"made","gate":false}\n' "$(date +%s%3N)" >> /mnt/shared/notes.jsonl
SCRIPT
chmod 755 /usr/local/sbin/ensure-databases
cat > /etc/systemd/system/ensure-databases.service << 'UNIT'
[Unit]
After=postgresql.service
Requires=postgresql.service
PartOf=postgresql.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/local/sbin/ensure-databases
[Install]
WantedBy=multi-user.target postgresql.service
UNIT

cat > /etc/stand-in.env << ENV
GENERATION=$GENERATION
SERVER_NAME=example.org
DATABASE=/var/lib/matrix-continuwuity/db
PAUSE_MS=$PAUSE_MS
BUSY=$BUSY
CONFIG=/var/lib/mautrix-slack/config.yaml
REGISTRATION=/var/lib/matrix-appservices/slack.yaml
SCHEMA=/etc/mautrix-slack.sql
ENV
cat > /etc/systemd/system/matrix-continuwuity.service << UNIT
[Service]
EnvironmentFile=/etc/stand-in.env
ExecStartPre=+sh $support/stand-in/look.sh matrix-continuwuity starting
ExecStart=$NODE $support/stand-in/homeserver.ts
ExecStopPost=+sh $support/stand-in/look.sh matrix-continuwuity stopped
DynamicUser=$DYNAMIC_USER
User=continuwuity
StateDirectory=matrix-continuwuity
StateDirectoryMode=0700
ReadWritePaths=/mnt/shared
Restart=on-failure
RestartSec=2
[Install]
WantedBy=multi-user.target
UNIT
cat > /etc/systemd/system/mautrix-slack.service << UNIT
[Unit]
After=ensure-databases.service matrix-continuwuity.service
Requires=ensure-databases.service
[Service]
EnvironmentFile=/etc/stand-in.env
ExecStartPre=+sh $support/stand-in/look.sh mautrix-slack starting
ExecStartPre=+/usr/local/sbin/make-registration
ExecStart=$NODE $support/stand-in/bridge.ts
ExecStopPost=+sh $support/stand-in/look.sh mautrix-slack stopped
User=mautrix-slack
KillMode=mixed
ProtectSystem=strict
ReadWritePaths=/mnt/shared /var/lib/mautrix-slack
Restart=on-failure
RestartSec=2
[Install]
WantedBy=multi-user.target
UNIT
cat > /etc/systemd/system/forgejo.service << UNIT
[Unit]
After=ensure-databases.service
Requires=ensure-databases.service
[Service]
EnvironmentFile=/etc/stand-in.env
ExecStartPre=+sh $support/stand-in/look.sh forgejo starting
ExecStart=$NODE $support/stand-in/forge.ts
ExecStopPost=+sh $support/stand-in/look.sh forgejo stopped
User=forgejo
KillMode=mixed
Restart=on-failure
RestartSec=2
WorkingDirectory=/var/lib/forgejo
[Install]
WantedBy=multi-user.target
UNIT
cat > /etc/systemd/system/nginx.service << UNIT
[Unit]
After=matrix-continuwuity.service
[Service]
ExecStartPre=sh $support/stand-in/look.sh nginx starting
ExecStart=sleep infinity
[Install]
WantedBy=multi-user.target
UNIT
systemctl daemon-reload
systemctl --quiet enable matrix-continuwuity.service mautrix-slack.service forgejo.service nginx.service ensure-databases.service
systemctl start ensure-databases.service matrix-continuwuity.service forgejo.service nginx.service
# Beside the media: what an administrator put there, and no source names.
install -d -m 750 /var/lib/matrix-continuwuity/db/exports
echo "only here, on the $GENERATION one" > /var/lib/matrix-continuwuity/db/exports/rooms.json
# What an administrator did once: `!admin appservices register`.
exec "$NODE" -e '
const body = require("node:fs").readFileSync("/var/lib/matrix-appservices/slack.yaml");
const ask = async (tries) => {
  try { return (await fetch("http://127.0.0.1:8008/register", { method: "POST", body })).status; }
  catch (error) { if (tries === 0) throw error; await new Promise((go) => setTimeout(go, 100)); return ask(tries - 1); }
};
ask(200).then((status) => process.exit(status === 200 ? 0 : 1));
'
