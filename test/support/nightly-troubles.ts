import { GetObjectCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import type { Group } from "../../src/doctor/types.ts";
import { allowRole, DAY, type Ended, HOUR, KEYS, type NightlyMachine, POLICY } from "./nightly-machine.ts";
import { until } from "./until.ts";

/** The cause, and what to do. */
interface Named {
  readonly says: RegExp;
  readonly fix: RegExp;
}

/** Something of the field that goes wrong on a server that was well, and everything that must tell of it. */
export interface Trouble {
  readonly name: string;
  /** Whose unit meets it first; default: backup. */
  readonly job?: "backup" | "verify" | "status" | "drill";
  readonly policy?: string;
  /** Seconds since the last morning; default: until the next night. */
  readonly after?: number;
  breaks(): Promise<void>;
  /** Default: the unit is started. */
  run?(): Promise<Ended>;
  /** systemd's result and the exit status, or the signal. */
  readonly ends: readonly [result: string, status: number];
  /** In the unit's log: the cause, and what to do. */
  readonly says: RegExp;
  readonly fix: RegExp;
  /** In the alert; default: the same cause. */
  readonly alert?: RegExp;
  /** What doctor finds bad, asked of these groups. */
  readonly doctor: { readonly groups: readonly Group[] } & Named;
  morning?(): Promise<void>;
  /** In the morning. */
  readonly status: { readonly exit: number } & Named;
  heals(): Promise<void>;
}

const OTHER_KEY = /127\.0\.0\.1.* shows the host key ssh-ed25519 SHA256:\S+ instead of the pinned/;
const NO_ANSWER = /no answer in time|the connection failed/;
const APART = /the clocks of this machine and of s3:\/\/\S+ are 60 minutes apart/;
const STOPPED_FIX = /hint: check that it runs: systemctl status postgresql/;
const NO_PG_DUMP = /pg_dump is not installed there/;
const KILLED = /ended without telling why: signal, signal KILL/;
const KILLED_FIX = /journalctl -u drops-backup@/;
const DAMAGED_DRILL = /the last drill ended as damaged: \d+ of \d+ checks passed; \S+: .*damaged/;
const DAMAGED_FIX = /drops verify --read-data --publish/;
const OVERDUE = /the last drill that proved everything is .* old, one is due every/;
const DRILL_FIX = /drops drill --identity FILE --evidence/;
const SOURCE_FIX = /fix: drops doctor --only sources {2}shows what to do; then drops backup --source/;
const KEY_FIX = /ssh-keygen -t ed25519/;
const HINT = /hint: \S/;
const WRONG_SECRET = /the secret key does not belong to the access key/;
const SECRET_FIX = /check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY/;

export function troubles(nightly: NightlyMachine): readonly Trouble[] {
  const { vps, account, bucket, users, proxy, asOwner } = nightly;
  const swapped = (file: string, by: string): Pick<Trouble, "breaks" | "heals"> => ({
    breaks: async () => void (await vps.exec(`mv ${file} ${file}.kept; ${by}; chmod 600 ${file}`)),
    heals: async () => void (await vps.exec(`mv ${file}.kept ${file}`)),
  });
  // All packs: which of them the newest snapshot needs, and which a killed run left, is not for a test to know.
  const whole = new Map<string, Uint8Array>();
  const put = (Key: string, Body: Uint8Array) =>
    account.root.client.send(new PutObjectCommand({ Bucket: bucket, Key, Body }));
  const spoilPacks = (spoilt: (bytes: Uint8Array) => Uint8Array) =>
    asOwner(async () => {
      for (const Key of await nightly.objects(`${POLICY}/packs/`)) {
        const { Body } = await account.root.client.send(new GetObjectCommand({ Bucket: bucket, Key }));
        const bytes = (await Body?.transformToByteArray()) ?? new Uint8Array();
        whole.set(Key, bytes);
        await put(Key, spoilt(bytes));
      }
    });
  const healPacks = () =>
    asOwner(async () => {
      for (const [key, bytes] of whole) await put(key, bytes);
    });
  return [
    {
      name: "wrong key: the signing key's file holds something else",
      ...swapped(`${KEYS}/signing-key`, `cp ${KEYS}/metadata-identity.txt ${KEYS}/signing-key`),
      ends: ["exit-code", 13],
      says: /signing-key/,
      fix: KEY_FIX,
      doctor: { groups: ["keys"], says: /signing-key/, fix: KEY_FIX },
      status: { exit: 13, says: /signing-key/, fix: KEY_FIX },
    },
    {
      name: "wrong key: the bucket's secret is another one's",
      ...swapped(
        `${KEYS}/s3-writer`,
        `sed 's/\\(SECRET_ACCESS_KEY=\\).*/\\1no/' ${KEYS}/s3-writer.kept > ${KEYS}/s3-writer`,
      ),
      ends: ["exit-code", 11],
      says: WRONG_SECRET,
      fix: SECRET_FIX,
      doctor: { groups: ["store"], says: WRONG_SECRET, fix: SECRET_FIX },
      status: { exit: 11, says: WRONG_SECRET, fix: SECRET_FIX },
    },
    {
      name: "full disk",
      breaks: async () =>
        void (await vps.exec(
          "fallocate -l $(($(df --output=avail -B1 / | tail -1) - 300000000)) /var/lib/huge; df -h /",
        )),
      ends: ["exit-code", 3],
      says: /homeserver-db failed: freezing RocksDB: .*free/,
      fix: /hint: free space on the host/,
      doctor: { groups: ["sources"], says: /free|space/, fix: /free space on the host/ },
      status: {
        exit: 21,
        says: /failed: homeserver-db failed .*: freezing RocksDB: .*free/,
        fix: SOURCE_FIX,
      },
      heals: async () => void (await vps.exec("rm /var/lib/huge")),
    },
    {
      name: "revoked credential",
      breaks: async () => {
        const writer = users.get("writer");
        if (writer) await asOwner(() => account.setUserPolicy(writer, REVOKED));
      },
      ends: ["exit-code", 11],
      says: /access denied/,
      fix: /hint: compare the role's permissions/,
      doctor: { groups: ["store"], says: /access denied/, fix: /permissions/ },
      status: { exit: 11, says: /access denied/, fix: /compare the role's permissions/ },
      heals: async () => {
        const writer = users.get("writer");
        if (writer) await asOwner(() => allowRole(account, writer, { bucket, role: "writer" }));
      },
    },
    {
      name: "changed host key of a server that is backed up from elsewhere",
      policy: "pulled",
      breaks: async () => {
        await pulledSetUp(nightly);
        await vps.exec(
          "rm /root/host-key*; ssh-keygen -q -t ed25519 -N '' -f /root/host-key; systemctl restart pulled-sshd",
        );
      },
      ends: ["exit-code", 12],
      says: OTHER_KEY,
      fix: /hint: if the machine was rebuilt, check that key on its console/,
      doctor: { groups: ["host"], says: OTHER_KEY, fix: /check that key on its console/ },
      status: {
        exit: 21,
        says: /late: the newest restore point is .* old, .*\(rpo\); drops backup has failed on this machine for .*instead of the pinned/,
        fix: /fix: .*check that key on its console/,
      },
      heals: async () => void (await vps.exec("systemctl stop pulled-sshd")),
    },
    {
      name: "stopped database",
      breaks: async () =>
        void (await vps.exec("systemctl stop postgresql.service postgresql@15-main.service")),
      ends: ["exit-code", 3],
      says: /bridge-db failed: .*Is the server running/,
      fix: STOPPED_FIX,
      doctor: { groups: ["sources"], says: /Is the server running/, fix: /systemctl status postgresql/ },
      status: { exit: 21, says: /failed: bridge-db failed .*Is the server running/, fix: SOURCE_FIX },
      heals: async () =>
        void (await vps.exec(
          "systemctl start postgresql.service postgresql@15-main.service mautrix-slack.service",
        )),
    },
    {
      name: "clock an hour off",
      breaks: () => nightly.skew(HOUR),
      ends: ["exit-code", 22],
      says: APART,
      fix: /hint: set this machine's clock: timedatectl/,
      doctor: { groups: ["store"], says: APART, fix: /timedatectl/ },
      morning: () => nightly.skew(HOUR),
      status: { exit: 22, says: APART, fix: /timedatectl/ },
      heals: () => nightly.skew(0),
    },
    {
      name: "missing tool",
      breaks: async () => void (await vps.exec("mv /usr/bin/pg_dump /usr/bin/pg_dump.gone")),
      ends: ["exit-code", 3],
      says: NO_PG_DUMP,
      fix: /hint: apt-get install postgresql-client/,
      doctor: { groups: ["sources"], says: NO_PG_DUMP, fix: /apt-get install postgresql-client/ },
      status: {
        exit: 21,
        says: /failed: bridge-db failed .*pg_dump is not installed there/,
        fix: SOURCE_FIX,
      },
      heals: async () => void (await vps.exec("mv /usr/bin/pg_dump.gone /usr/bin/pg_dump")),
    },
    {
      name: "unreachable store",
      breaks: async () => proxy.plan({ mishap: "hang-up" }),
      ends: ["exit-code", 11],
      says: NO_ANSWER,
      fix: /hint: look at the network and the provider's status page/,
      doctor: { groups: ["store"], says: NO_ANSWER, fix: /look at the network/ },
      status: { exit: 11, says: NO_ANSWER, fix: /look at the network/ },
      heals: async () => proxy.reset(),
    },
    {
      name: "killed run",
      breaks: async () => {
        proxy.reset();
        proxy.plan({ mishap: { delayMs: 6000 }, method: "PUT" });
      },
      run: async () => {
        const unit = `drops-backup@${POLICY}.service`;
        await vps.exec(`systemctl start --no-block ${unit}`);
        await until("it puts something", async () => proxy.requests.some((line) => line.startsWith("PUT")));
        await vps.exec(`systemctl kill --signal=KILL ${unit}`);
        return await nightly.ended(unit);
      },
      ends: ["signal", 9],
      says: /source .*: shipping/,
      fix: /./,
      alert: KILLED,
      doctor: { groups: ["nights"], says: KILLED, fix: KILLED_FIX },
      status: { exit: 21, says: KILLED, fix: KILLED_FIX },
      heals: async () => proxy.reset(),
    },
    {
      name: "corrupted packs: half of each is gone",
      job: "verify",
      breaks: () => spoilPacks((bytes) => bytes.subarray(0, bytes.length / 2)),
      ends: ["exit-code", 20],
      says: /packs\/\S+: has \d+ bytes and not \d+; needed by/,
      alert: /damaged or missing objects: \d+, snapshots not whole: \d/,
      fix: /hint: drops .*backup/,
      doctor: { groups: ["nights"], says: /objects are missing or damaged/, fix: /drops verify/ },
      status: { exit: 21, says: /damaged: objects are missing or damaged/, fix: /fix: drops verify/ },
      heals: healPacks,
    },
    {
      name: "corrupted packs: one bit of each is another",
      job: "drill",
      breaks: () =>
        spoilPacks((bytes) => {
          const other = bytes.slice();
          const at = bytes.length >> 1;
          other[at] = (bytes[at] ?? 0) ^ 1;
          return other;
        }),
      ends: ["exit-code", 20],
      says: /damaged/,
      fix: HINT,
      doctor: { groups: ["nights"], says: DAMAGED_DRILL, fix: DAMAGED_FIX },
      status: { exit: 21, says: DAMAGED_DRILL, fix: DAMAGED_FIX },
      heals: healPacks,
    },
    {
      name: "drill overdue",
      job: "status",
      after: 9 * DAY,
      breaks: async () => {
        const made = await nightly.start(`drops-backup@${POLICY}.service`);
        if (made.result !== "success") throw new Error(made.log);
      },
      ends: ["exit-code", 21],
      says: OVERDUE,
      fix: DRILL_FIX,
      alert: /is unproven: the last drill/,
      doctor: { groups: ["nights"], says: OVERDUE, fix: DRILL_FIX },
      status: { exit: 21, says: OVERDUE, fix: DRILL_FIX },
      heals: async () => {},
    },
  ];
}

const REVOKED = {
  Version: "2012-10-17",
  Statement: [{ Sid: "Revoked", Effect: "Deny", Action: ["s3:*"], Resource: ["*"] }],
};

/** Another policy: the same machine as its own backup host, over SSH, by a server of its own for the host key to change. */
async function pulledSetUp(nightly: NightlyMachine): Promise<void> {
  const { vps, account, proxy, alerts } = nightly;
  const { accessKeyId, secretAccessKey } = account.root.credentials;
  const bucket = await nightly.asOwner(() => account.root.makeBucket());
  await vps.exec(`umask 077; cat > ${KEYS}/s3-pulled`, {
    input: `AWS_ACCESS_KEY_ID=${accessKeyId}\nAWS_SECRET_ACCESS_KEY=${secretAccessKey}\n`,
  });
  const store = {
    ...{ endpoint: proxy.endpoint, bucket, prefix: "drops", region: "us-east-1" },
    credentials_file: `${KEYS}/s3-pulled`,
  };
  await vps.exec(`set -e
    ssh-keygen -q -t ed25519 -N '' -f /root/host-key
    ssh-keygen -q -t ed25519 -N '' -f ${KEYS}/ssh; cat ${KEYS}/ssh.pub >> /root/.ssh/authorized_keys
    systemd-run --quiet --unit=pulled-sshd -p Restart=no /usr/sbin/sshd -D -f /dev/null -p 2222 -h /root/host-key -o ListenAddress=127.0.0.1
    cat > /etc/drops/pulled.yaml << YAML
name: pulled
zone: Europe/Berlin
rpo: 4h
host: { ssh: { address: 127.0.0.1, port: 2222, user: root, key_file: ${KEYS}/ssh, host_key: $(cut -d ' ' -f 1,2 /root/host-key.pub) } }
store: { s3: ${JSON.stringify(store)} }
keys:
  recovery_recipients_file: ${KEYS}/recovery-recipients.txt
  metadata_identity_file: ${KEYS}/metadata-identity.txt
  signing_key_file: ${KEYS}/signing-key
sources:
  - { name: acme, kind: files, paths: [/var/lib/acme] }
notify: { channels: [{ name: desk, kind: webhook, url: "${alerts.url}" }] }
YAML`);
  const made = await nightly.drops("--policy", "/etc/drops/pulled.yaml", "init");
  if (made.exit !== 0) throw new Error(made.stderr);
  await nightly.install("--policy", "/etc/drops/pulled.yaml", "--job", "backup", "--job", "status");
  const { result, log } = await nightly.start("drops-backup@pulled.service");
  if (result !== "success") throw new Error(log);
}
