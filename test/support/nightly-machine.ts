import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { ListObjectsV2Command } from "@aws-sdk/client-s3";
import { stringify } from "yaml";
import { loadPolicy } from "../../src/policy/load.ts";
import { ROLES, type Role, rolePolicy } from "../../src/store/roles.ts";
import { type AlertReceiver, startAlertReceiver } from "./alert-receiver.ts";
import { type FaultProxy, startFaultProxy } from "./fault-proxy.ts";
import { clockText, faketimeLibrary, movedClock } from "./moved-clock.ts";
import { type OpsMachine, startOpsMachine } from "./ops-machine.ts";
import { startS3, type TestS3 } from "./s3.ts";
import { makeAccount, type S3Account, type S3User } from "./s3-users.ts";
import { until } from "./until.ts";
import type { Vps } from "./vps.ts";

export const POLICY = "ops-jrz1";
export const PREFIX = "drops";
export const HOUR = 3600;
export const DAY = 24 * HOUR;
export const KEYS = "/etc/drops/keys";
const AT = "/run/drops/credentials";
const NODE = "/opt/drops-tests/node";
const DROPS = `${NODE} /opt/drops/src/main.ts`;
const LIBRARY = "/opt/drops-tests/faketime.so";
/** How long until everybody has looked at the clock's file again. */
const CLOCK_READ_MS = 1100;
const root = fileURLToPath(new URL("../../", import.meta.url));

/** How a unit's last run ended, as systemd has it, and what it printed. */
export interface Ended {
  /** `success`, `exit-code`, `signal`, … */
  readonly result: string;
  /** The exit status, or the number of the signal. */
  readonly status: number;
  readonly log: string;
}

/**
 * A server that backs itself up into a bucket every night, set up as docs/nightly.md says: keys, users of the bucket that may
 * do what `drops iam` says, a policy, a repository; no units yet. Timers run by the kernel's clock, which a test cannot move. Drops and
 * the bucket live by another one, which goes on with the kernel's and jumps when the test says so: see moved-clock.ts.
 */
export interface NightlyMachine extends AsyncDisposable {
  readonly machine: OpsMachine;
  readonly vps: Vps;
  readonly s3: TestS3;
  /** The server's way to the bucket. */
  readonly proxy: FaultProxy;
  readonly account: S3Account;
  readonly bucket: string;
  readonly users: ReadonlyMap<Role, S3User>;
  /** Hears what /etc/drops/on-failure tells of units, and what the policy's own alerts tell. */
  readonly alerts: AlertReceiver;
  /** So many seconds pass, for the server and the bucket alike. */
  passes(seconds: number): Promise<void>;
  /** The server thinks that it is so much later than it is. */
  skew(seconds: number): Promise<void>;
  /** Do something as the bucket's owner, who signs by the real clock: the bucket's is set back meanwhile. */
  asOwner<Result>(work: () => Promise<Result>): Promise<Result>;
  /** drops by hand on the server, as root, with the writer's keys. */
  drops(...args: readonly string[]): Promise<{ exit: number; stdout: string; stderr: string }>;
  /** `scripts/install-systemd` on the server. */
  install(...args: readonly string[]): Promise<string>;
  /** Start a unit and wait until it has ended. */
  start(unit: string): Promise<Ended>;
  /** How a unit's last run ended, when it has. */
  ended(unit: string): Promise<Ended>;
  /** Keys of objects below a prefix of the repository. */
  objects(prefix: string): Promise<readonly string[]>;
  /** Turn the timer on until its unit ran once more and has ended. */
  byTimer(job: string): Promise<Ended>;
}

export async function startNightlyMachine(): Promise<NightlyMachine> {
  await using stack = new AsyncDisposableStack();
  const library = await faketimeLibrary();
  const binds = { [root]: "/opt/drops", [library]: LIBRARY };
  const [s3, machine] = await Promise.all([
    startS3({ clock: true }).then((started) => stack.use(started)),
    startOpsMachine({ generation: "precious", busy: true, binds }).then((started) => stack.use(started)),
  ]);
  const { vps } = machine;
  const proxy = stack.use(await startFaultProxy(s3.endpoint, vps.here));
  const alerts = stack.use(await startAlertReceiver(vps.here));
  const account = stack.use(await makeAccount(s3));
  const bucket = await account.root.makeBucket();
  const users = await usersOf(account, bucket);
  let passed = 0;
  const setClock = async (ahead: number) => {
    await writeFile(join(vps.shared, "clock"), clockText(passed + ahead));
    await s3.moveClock(passed);
    await sleep(CLOCK_READ_MS);
  };
  await setClock(0);
  const clock = Object.entries(movedClock(LIBRARY, "/mnt/shared/clock")).map((pair) => pair.join("="));
  await setUp(vps, {
    clock,
    users,
    owner: account.root,
    alerts,
    store: { endpoint: proxy.endpoint, bucket },
  });
  const start = async (unit: string): Promise<Ended> => {
    await vps.exec(`systemctl start '${unit}' || true`);
    return await ended(vps, unit);
  };
  const closing = stack.move();
  return {
    ...{ machine, vps, s3, proxy, account, bucket, users, alerts, start },
    async passes(seconds) {
      passed += seconds;
      await setClock(0);
    },
    skew: setClock,
    async asOwner(work) {
      await s3.moveClock(0);
      await sleep(CLOCK_READ_MS);
      const result = await work();
      await s3.moveClock(passed);
      await sleep(CLOCK_READ_MS);
      return result;
    },
    async drops(...args) {
      const words = args.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ");
      const policy = args.includes("--policy") ? "" : "--policy /root/by-hand.yaml";
      const command = `env ${clock.join(" ")} ${DROPS} ${policy} ${words}`;
      const exit = await vps.exec(`${command} > /run/by-hand.out 2> /run/by-hand.err; echo "$?"`);
      const [stdout, stderr] = [
        await vps.exec("cat /run/by-hand.out"),
        await vps.exec("cat /run/by-hand.err"),
      ];
      return { exit: Number(exit), stdout, stderr };
    },
    install: (...args) =>
      vps.exec(
        `${NODE} /opt/drops/scripts/install-systemd.ts ${args.map((word) => `'${word}'`).join(" ")} 2>&1`,
      ),
    async ended(unit) {
      await until(`${unit} ends`, async () => hasEnded(await shown(vps, unit)));
      return await ended(vps, unit);
    },
    async objects(prefix) {
      const listing = new ListObjectsV2Command({ Bucket: bucket, Prefix: `${PREFIX}/${prefix}` });
      const { Contents = [] } = await account.root.client.send(listing);
      return Contents.map(({ Key = "" }) => Key);
    },
    async byTimer(job) {
      const [timer, unit] = [`drops-${job}@${POLICY}.timer`, `drops-${job}@${POLICY}.service`];
      // in one go on the server: between firing and stopping there is no time for it to fire again
      const invocation = `systemctl show -P InvocationID ${unit}`;
      await vps.exec(`before=$(${invocation}); systemctl start ${timer}
        timeout 300 sh -c 'until [ "$(${invocation})" != "$1" ]; do sleep 0.1; done' wait "$before" && systemctl stop ${timer}`);
      await until(`${unit} ends`, async () => hasEnded(await shown(vps, unit)));
      return await ended(vps, unit);
    },
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  };
}

/** What `drops iam` prints for the role. */
export async function allowRole(
  account: S3Account,
  user: S3User,
  { bucket, role }: { bucket: string; role: Role },
): Promise<void> {
  const { document } = rolePolicy({ role, bucket, prefix: PREFIX, policy: POLICY, conditions: false });
  await account.setUserPolicy(user, document);
}

async function usersOf(account: S3Account, bucket: string): Promise<ReadonlyMap<Role, S3User>> {
  const users = new Map<Role, S3User>();
  for (const role of ROLES) {
    const user = await account.makeUser(role);
    await allowRole(account, user, { bucket, role });
    users.set(role, user);
  }
  return users;
}

interface SetUp {
  readonly clock: readonly string[];
  readonly users: ReadonlyMap<Role, S3User>;
  readonly owner: S3User;
  readonly alerts: AlertReceiver;
  readonly store: { readonly endpoint: string; readonly bucket: string };
}

async function setUp(vps: Vps, { clock, users, owner, alerts, store }: SetUp): Promise<void> {
  await vps.exec(`set -e
    mkdir -p /etc/drops /etc/systemd/system/drops-.service.d
    printf '[Service]\\nNice=0\\nCPUWeight=100\\n${clock.map((each) => `Environment=${each}\\n`).join("")}' > /etc/systemd/system/drops-.service.d/clock.conf
    ${DROPS} keygen --to ${KEYS}
    ${DROPS} keygen --to /root/drill
    cat /root/drill/recovery-recipients.txt >> ${KEYS}/recovery-recipients.txt
    mv /root/drill/recovery-identity.txt ${KEYS}/drill-identity; mv /root/drill/signing-key ${KEYS}/drill-key
    chmod 755 ${KEYS}; useradd --system drill`);
  for (const [role, user] of [...users, ["owner", owner] as const]) {
    const { accessKeyId, secretAccessKey } = user.credentials;
    await vps.exec(`umask 077; cat > ${KEYS}/s3-${role}`, {
      input: `AWS_ACCESS_KEY_ID=${accessKeyId}\nAWS_SECRET_ACCESS_KEY=${secretAccessKey}\n`,
    });
  }
  await vps.exec("cat > /etc/drops/on-failure; chmod 755 /etc/drops/on-failure", {
    input: `#!/bin/sh\nexec ${NODE} -e 'fetch(process.argv[1], { method: "POST", body: process.argv[2] })' ${alerts.url} "unit $1 failed"\n`,
  });
  const signer = async (file: string) => await vps.exec(`cut -d ' ' -f 1,2 ${file}`);
  const input = await policyText(store, alerts.url, {
    snapshots: await signer(`${KEYS}/signing-key.pub`),
    drills: await signer("/root/drill/signing-key.pub"),
  });
  await vps.exec(`cat > /etc/drops/${POLICY}.yaml`, { input });
  // The bucket's owner makes the repository, once: no role may.
  await vps.exec(`set -e
    sed 's#${AT}/s3$#${KEYS}/s3-writer#; s#${AT}#${KEYS}#' /etc/drops/${POLICY}.yaml > /root/by-hand.yaml
    sed 's#/s3-writer$#/s3-owner#' /root/by-hand.yaml > /root/owner.yaml
    ${DROPS} --policy /root/owner.yaml init
    rm ${KEYS}/s3-owner /root/owner.yaml`);
}

/** policies/ops-jrz1.yaml, changed for the server itself as nix/example-vps.nix does. */
async function policyText(
  store: SetUp["store"],
  alertsTo: string,
  signers: { readonly snapshots: string; readonly drills: string },
): Promise<string> {
  const { policy } = await loadPolicy(join(root, "policies/ops-jrz1.yaml"));
  return stringify({
    ...policy,
    host: "local",
    store: { s3: { ...store, prefix: PREFIX, region: "us-east-1", credentials_file: `${AT}/s3` } },
    keys: {
      recovery_recipients_file: `${KEYS}/recovery-recipients.txt`,
      metadata_identity_file: `${AT}/metadata-identity.txt`,
      signing_key_file: `${AT}/signing-key`,
      trusted_signers: [signers.snapshots],
    },
    prune: { ...policy.prune, drill_signers: [signers.drills] },
    // where drills have a key of their own, the backup's key is not believed for verifies
    verify: { ...policy.verify, signing_key_file: `${AT}/drill-key` },
    notify: { channels: [{ name: "desk", kind: "webhook", url: alertsTo }] },
  });
}

function hasEnded(properties: Readonly<Record<string, string>>): boolean {
  return /^(inactive|failed)$/.test(properties["ActiveState"] ?? "");
}

/** The journal knows what a process that is gone said by its unit alone: so by when this run began. */
async function ended(vps: Vps, unit: string): Promise<Ended> {
  const of = await shown(vps, unit);
  const log = await vps.exec(
    `journalctl --sync; journalctl --no-pager -o cat -u '${unit}' --since "$(date -d "${of["ExecMainStartTimestamp"]}" '+@%s')"`,
  );
  return { result: of["Result"] ?? "", status: Number(of["ExecMainStatus"]), log };
}

async function shown(vps: Vps, unit: string): Promise<Readonly<Record<string, string>>> {
  const text = await vps.exec(
    `systemctl show -p Result,ExecMainStatus,InvocationID,ActiveState,ExecMainStartTimestamp '${unit}'`,
  );
  return Object.fromEntries(text.split("\n").map((line) => line.split("=", 2) as [string, string]));
}
