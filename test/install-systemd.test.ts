import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { chmod, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { describe, test } from "node:test";
import { promisify } from "node:util";
import { evidenceKey, expectedCredentials, secretFiles } from "../scripts/lib/secret-files.ts";
import { credentialsOf, JOBS, type UnitsOf, unitFiles } from "../scripts/lib/unit-files.ts";
import { parsePolicy } from "../src/policy/load.ts";
import { openRocksdb } from "./support/rocksdb-library.ts";
import { runTool, scratchDirectory } from "./support/scratch.ts";
import { until } from "./support/until.ts";
import { startVps, type Vps } from "./support/vps.ts";

const run = promisify(execFile);
const root = new URL("../", import.meta.url).pathname;
const SSH = "{ ssh: { address: server.example.org, user: root, key_file: /etc/drops/keys/ssh } }";
const S3 =
  "{ s3: { bucket: nightly, endpoint: 'https://s3.example.org', region: r, credentials_file: /run/drops/credentials/s3 } }";

function policyText(
  over: { host?: string; store?: string; signingKey?: string; sources?: string } = {},
): string {
  return `name: small
zone: Europe/Berlin
host: ${over.host ?? "local"}
store: ${over.store ?? "{ directory: /srv/backups }"}
keys:
  recovery_recipients_file: /etc/drops/keys/recovery-recipients.txt
  metadata_identity_file: /etc/drops/keys/metadata-identity.txt
  signing_key_file: ${over.signingKey ?? "/etc/drops/keys/signing-key"}
sources:
${over.sources ?? "  - { name: files, kind: files, paths: [/var/lib/thing] }"}
`;
}

function units(over: Partial<UnitsOf> = {}, text = policyText()): ReadonlyMap<string, string> {
  const { policy } = parsePolicy(text, "test");
  return unitFiles({
    policy,
    policyFile: "/etc/drops/small.yaml",
    drops: ["/usr/local/bin/drops"],
    jobs: Object.keys(JOBS.jobs),
    credentials: [],
    ...over,
  });
}

/** Lines of one key in a unit. */
function values(files: ReadonlyMap<string, string>, file: string, key: string): readonly string[] {
  const text = files.get(file);
  assert.ok(text, `${file} among ${[...files.keys()].join(" ")}`);
  return text
    .split("\n")
    .filter((line) => line.startsWith(`${key}=`))
    .map((line) => line.slice(key.length + 1));
}

const BACKUP = "drops-backup@small.service";
const VERIFY = "drops-verify@small.service";
const away = policyText({ host: SSH, store: S3 });
const locking = `${away}object_lock: { margin: 14d }\n`;
const s3 = [
  { name: "s3", file: "/k/writer" },
  { job: "prune", name: "s3", file: "/k/pruner" },
];

const table: readonly {
  name: string;
  over?: Partial<UnitsOf>;
  text?: string;
  file: string;
  key: string;
  want: readonly string[];
}[] = [
  {
    name: "the verb comes after the policy",
    file: BACKUP,
    key: "ExecStart",
    want: ["/usr/local/bin/drops --policy /etc/drops/small.yaml backup"],
  },
  {
    name: "nobody answers a timer",
    file: "drops-prune@small.service",
    key: "ExecStart",
    want: ["/usr/local/bin/drops --policy /etc/drops/small.yaml prune --yes"],
  },
  {
    name: "words are words",
    over: { drops: ["/opt/my tools/100%/$x/drops"] },
    file: VERIFY,
    key: "ExecStart",
    want: ['"/opt/my tools/100%%/$$x/drops" --policy /etc/drops/small.yaml verify --routine'],
  },
  {
    name: "a capture of this machine is gated",
    file: BACKUP,
    key: "ConditionPathExists",
    want: ["!/var/lib/drops/restore-in-progress"],
  },
  {
    name: "a capture from elsewhere has no gate here",
    text: away,
    file: BACKUP,
    key: "ConditionPathExists",
    want: [],
  },
  {
    name: "hard links need one mount: a capture has no strict",
    file: BACKUP,
    key: "ProtectSystem",
    want: ["full"],
  },
  { name: "a job's memory has a limit", file: BACKUP, key: "MemoryMax", want: ["2G"] },
  { name: "and its processes", file: VERIFY, key: "TasksMax", want: ["128"] },
  {
    name: "a drill runs a server",
    text: away,
    file: "drops-drill@small.service",
    key: "MemoryMax",
    want: ["4G"],
  },
  { name: "all else has strict", file: VERIFY, key: "ProtectSystem", want: ["strict"] },
  { name: "a backup from elsewhere too", text: away, file: BACKUP, key: "ProtectSystem", want: ["strict"] },
  { name: "and no capability", text: away, file: BACKUP, key: "CapabilityBoundingSet", want: [""] },
  {
    name: "a store that is a directory is writable, missing or not",
    file: VERIFY,
    key: "ReadWritePaths",
    want: ["-/srv/backups"],
  },
  {
    name: "a user, where root is not needed",
    over: { user: "drops" },
    file: VERIFY,
    key: "User",
    want: ["drops"],
  },
  { name: "but no user for a capture", over: { user: "drops" }, file: BACKUP, key: "User", want: [] },
  {
    name: "every unit has its own credential",
    over: { credentials: s3 },
    text: away,
    file: "drops-prune@small.service",
    key: "LoadCredential",
    want: ["s3:/k/pruner"],
  },
  {
    name: "or the common one",
    over: { credentials: s3 },
    text: away,
    file: BACKUP,
    key: "LoadCredential",
    want: ["s3:/k/writer"],
  },
  {
    name: "at the place that the policy names",
    over: { credentials: s3 },
    text: away,
    file: BACKUP,
    key: "BindReadOnlyPaths",
    want: [`/run/credentials/${BACKUP}:/run/drops/credentials`],
  },
  {
    name: "a failure is told",
    file: BACKUP,
    key: "OnFailure",
    want: ["drops-failed@%n.service drops-alert-backup@small.service"],
  },
  {
    name: "to the policy's channels",
    over: { user: "drops" },
    file: "drops-alert-verify@small.service",
    key: "ExecStart",
    want: ["/usr/local/bin/drops --policy /etc/drops/small.yaml notify failed drops-verify@small.service"],
  },
  {
    name: "by whom the job belongs to",
    over: { user: "drops" },
    file: "drops-alert-verify@small.service",
    key: "User",
    want: ["drops"],
  },
  {
    name: "with the same credentials",
    over: { credentials: s3 },
    text: away,
    file: "drops-alert-prune@small.service",
    key: "LoadCredential",
    want: ["s3:/k/pruner"],
  },
  {
    name: "what was told is remembered by each job for itself",
    file: VERIFY,
    key: "StateDirectory",
    want: ["drops/notify/small/verify"],
  },
  {
    name: "a night that was slept through is made up for",
    file: "drops-backup@small.timer",
    key: "Persistent",
    want: ["true"],
  },
  {
    name: "not all machines at once",
    file: "drops-backup@small.timer",
    key: "RandomizedDelaySec",
    want: ["30min"],
  },
  {
    name: "at the time that was asked for",
    over: { calendars: { backup: "*-*-* 03:15" }, delays: { backup: "5min" } },
    file: "drops-backup@small.timer",
    key: "OnCalendar",
    want: ["*-*-* 03:15"],
  },
  {
    name: "a drill has its own identity, key and place",
    file: "drops-drill@small.service",
    key: "ExecStart",
    want: [
      "/usr/local/bin/drops --policy /etc/drops/small.yaml drill --identity /run/drops/credentials/drill-identity --signing-key /run/drops/credentials/drill-key --work /var/tmp --evidence /var/lib/drops-drills/small --publish",
    ],
  },
  {
    name: "which systemd makes",
    file: "drops-drill@small.service",
    key: "StateDirectory",
    want: ["drops-drills/small drops/notify/small/drill"],
  },
  {
    name: "a drill takes the network away from what it runs",
    file: "drops-drill@small.service",
    key: "RestrictNamespaces",
    want: ["user net"],
  },
  { name: "nothing else does", file: VERIFY, key: "RestrictNamespaces", want: ["yes"] },
  {
    name: "locks are extended by a credential of its own",
    over: { credentials: [...s3, { job: "keeper", name: "s3", file: "/k/keeper" }] },
    text: locking,
    file: "drops-keeper@small.service",
    key: "LoadCredential",
    want: ["s3:/k/keeper"],
  },
  {
    name: "every day",
    text: locking,
    file: "drops-keeper@small.timer",
    key: "OnCalendar",
    want: ["*-*-* 07:00:00"],
  },
  {
    name: "and a keeper that failed is told",
    text: locking,
    file: "drops-keeper@small.service",
    key: "OnFailure",
    want: ["drops-failed@%n.service drops-alert-keeper@small.service"],
  },
  { name: "out of the way of the service", file: BACKUP, key: "IOSchedulingClass", want: ["idle"] },
];
for (const { name, over, text, file, key, want } of table)
  test(`units: ${name}`, () => assert.deepEqual(values(units(over, text), file, key), want));

test("no service is without a limit of memory, of processes and of time", () => {
  const services = [...units({}, locking)].filter(([name]) => name.endsWith(".service"));
  assert.equal(services.length, Object.keys(JOBS.jobs).length * 2 + 1);
  for (const [name, text] of services)
    for (const key of ["MemoryMax", "TasksMax", "TimeoutStartSec"])
      assert.match(text, new RegExp(`^${key}=[1-9]`, "m"), `${name}: ${key}`);
});

test("a credential of the job comes before the common one", () => {
  assert.deepEqual(
    credentialsOf("prune", s3).map(({ file }) => file),
    ["/k/pruner"],
  );
  assert.deepEqual(
    credentialsOf("backup", s3).map(({ file }) => file),
    ["/k/writer"],
  );
});

const believed = (text: string) => text.replace("keys:", "keys:\n  trusted_signers: [ssh-ed25519 AAAA]");
const needs: readonly {
  name: string;
  text: string;
  job: string;
  files: readonly string[];
  names: readonly string[];
}[] = [
  {
    name: "a backup needs everything",
    text: away,
    job: "backup",
    files: ["/etc/drops/keys/signing-key", "/etc/drops/keys/ssh", "/etc/drops/keys/metadata-identity.txt"],
    names: ["s3"],
  },
  {
    name: "status believes by the private key when it knows no other",
    text: away,
    job: "status",
    files: ["/etc/drops/keys/signing-key"],
    names: ["s3"],
  },
  {
    name: "or by a public one, and needs no key then",
    text: believed(away),
    job: "status",
    files: [],
    names: ["s3"],
  },
  {
    name: "verify opens nothing that it must, and need not sign",
    text: believed(away),
    job: "verify",
    files: [],
    names: ["s3"],
  },
  {
    name: "a keeper opens nothing and signs nothing",
    text: believed(locking),
    job: "keeper",
    files: [],
    names: ["s3"],
  },
  {
    name: "addresses of channels, for the jobs that they are told of",
    text: believed(
      `${away}notify: { channels: [{ name: w, kind: ping, url_file: /run/drops/credentials/ping }, { name: p, kind: webhook, url_file: /etc/drops/keys/hook, headers_file: /run/drops/credentials/headers, verbs: [verify] }] }\n`,
    ),
    job: "backup",
    files: ["/etc/drops/keys/ssh", "/etc/drops/keys/metadata-identity.txt", "/etc/drops/keys/signing-key"],
    names: ["ping", "s3"],
  },
  {
    name: "a drill opens backups with an identity that no other job has",
    text: believed(away),
    job: "drill",
    files: [],
    names: ["drill-identity", "drill-key", "s3"],
  },
  {
    name: "prune signs with a key of its own",
    text: believed(`${away}prune: { signing_key_file: /run/drops/credentials/prune-key }\n`),
    job: "prune",
    files: [],
    names: ["prune-key", "s3"],
  },
];
for (const { name, text, job, files, names } of needs)
  test(`needed: ${name}`, () => {
    const { policy } = parsePolicy(text, "test");
    assert.deepEqual([...secretFiles(policy, [job])].sort(), [...files].sort());
    assert.deepEqual(expectedCredentials(policy, job), names);
  });

/** A machine's root directory with keys and a policy in it. */
async function rootWith(text: string, keys: Readonly<Record<string, number>>) {
  const scratch = await scratchDirectory();
  const [directory, policy] = [join(scratch.path, "etc/drops/keys"), join(scratch.path, "small.yaml")];
  await mkdir(directory, { recursive: true });
  for (const [name, mode] of Object.entries(keys)) {
    await writeFile(join(directory, name), "");
    await chmod(join(directory, name), mode);
  }
  await writeFile(policy, text);
  const install = async (...args: string[]) => {
    const script = join(root, "scripts/install-systemd.ts");
    const argv = [script, "--root", scratch.path, "--policy", policy, ...args];
    return run(process.execPath, argv).then(
      ({ stdout }) => ({ code: 0, stdout, stderr: "" }),
      (error: { code: number; stdout: string; stderr: string }) => error,
    );
  };
  const directoryOfUnits = join(scratch.path, "etc/systemd/system");
  const present = () => readdir(directoryOfUnits).catch(() => [] as string[]);
  return {
    install,
    present,
    units: directoryOfUnits,
    [Symbol.asyncDispose]: () => scratch[Symbol.asyncDispose](),
  };
}
const KEYS = { "metadata-identity.txt": 0o600, "signing-key": 0o600 };

test("installing twice changes nothing, uninstalling leaves nothing, others' units stay", async () => {
  await using machine = await rootWith(policyText(), KEYS);
  const first = await machine.install();
  assert.equal(first.code, 0, first.stderr);
  assert.match(first.stdout, /wrote drops-backup@small\.service/);
  const all = await machine.present();
  assert.equal(all.length, 13, all.join(" "));
  assert.match((await machine.install()).stdout, /all units are as they should be/);
  assert.match((await machine.install("--job", "backup")).stdout, /removed drops-verify@small\.timer/);
  await writeFile(join(machine.units, "drops-backup@small2.service"), "[Service]\n");
  assert.match((await machine.install("--uninstall")).stdout, /removed .*drops-backup@small\.service/);
  assert.deepEqual(await machine.present(), ["drops-backup@small2.service", "drops-failed@.service"]);
});

const keysOf = (text: string) => evidenceKey(parsePolicy(text, "test").policy, "verify");

test("what a verify finds is signed by its own key, else by prune's, else by that of snapshots", () => {
  const pruner = `${away}prune: { signing_key_file: /k/prune }\n`;
  assert.equal(keysOf(away), "/etc/drops/keys/signing-key");
  assert.equal(keysOf(pruner), "/k/prune");
  assert.equal(keysOf(`${pruner}verify: { signing_key_file: /k/verify }\n`), "/k/verify");
});

test("a verify without a key to sign with is installed, and it is said; one that others can read is refused", async () => {
  const text = believed(`${away}verify: { signing_key_file: /etc/drops/keys/verify-key }\n`);
  const args = ["--job", "verify", "--credential", "s3=/etc/drops/keys/writer"];
  await using without = await rootWith(text, { writer: 0o600 });
  const installed = await without.install(...args);
  assert.equal(installed.code, 0, installed.stderr);
  assert.match(
    installed.stdout,
    /verify will publish nothing .*: there is no \/etc\/drops\/keys\/verify-key to/,
  );
  await using open = await rootWith(text, { writer: 0o600, "verify-key": 0o644 });
  const refused = await open.install(...args);
  assert.equal(refused.code, 22);
  assert.match(refused.stderr, /verify-key is open to others/);
});

test("a keeper runs where something is locked and it has a key of its own", async () => {
  const writer = ["--credential", "s3=/etc/drops/keys/writer"];
  const keeper = ["--credential", "keeper:s3=/etc/drops/keys/keeper"];
  const rows: readonly [text: string, args: readonly string[], has: boolean, says: RegExp][] = [
    [away, [...writer, ...keeper], false, /wrote/],
    [locking, writer, false, /no keeper job: it needs a key of its own, --credential keeper:NAME=FILE/],
    [locking, [...writer, ...keeper], true, /wrote drops-alert-keeper@small\.service/],
    [locking, ["--job", "keeper", ...keeper], true, /wrote drops-keeper@small\.timer/],
  ];
  for (const [text, args, has, says] of rows) {
    await using machine = await rootWith(text, { ...KEYS, ssh: 0o600, writer: 0o600, keeper: 0o600 });
    const installed = await machine.install(...args);
    assert.equal(installed.code, 0, installed.stderr);
    assert.match(installed.stdout, says);
    assert.equal((await machine.present()).includes("drops-keeper@small.timer"), has);
  }
});

const given = ["s3", "drill-identity", "drill-key"].flatMap((name) => [
  "--credential",
  `${name}=/etc/drops/keys/writer`,
]);
const machines: readonly { name: string; text: string; args: readonly string[] }[] = [
  { name: "the server itself", text: policyText(), args: [] },
  { name: "a backup host", text: away, args: ["--credential", "s3=/etc/drops/keys/writer"] },
  {
    name: "a backup host whose backups are locked",
    text: locking,
    args: ["s3", "keeper:s3"].flatMap((name) => ["--credential", `${name}=/etc/drops/keys/writer`]),
  },
  {
    name: "the drill's machine",
    text: believed(away),
    args: ["--job", "drill", "--user", "daemon", ...given],
  },
];
for (const { name, text, args } of machines)
  test(`systemd finds nothing wrong with the units of ${name}`, async () => {
    await using machine = await rootWith(text, { ...KEYS, ssh: 0o600, writer: 0o600 });
    const installed = await machine.install(...args);
    assert.equal(installed.code, 0, installed.stderr);
    const files = (await machine.present())
      .filter((name) => !name.includes("@."))
      .map((name) => join(machine.units, name));
    const { stderr } = await run("systemd-analyze", ["verify", "--recursive-errors=no", ...files]);
    assert.equal(stderr, "");
  });

const refusals: readonly {
  name: string;
  text?: string;
  keys?: Record<string, number>;
  args?: string[];
  code: number;
  says: RegExp;
}[] = [
  {
    name: "a key that others can read",
    keys: { ...KEYS, "signing-key": 0o640 },
    code: 22,
    says: /signing-key is open to others[\s\S]*chmod 600/,
  },
  {
    name: "a key that is not there",
    keys: { "signing-key": 0o600 },
    code: 13,
    says: /metadata-identity\.txt/,
  },
  {
    name: "a credential that no unit would have",
    text: policyText({ signingKey: "/run/drops/credentials/signing-key" }),
    code: 13,
    says: /--credential signing-key=FILE/,
  },
  { name: "a job that there is not", args: ["--job", "tidy"], code: 2, says: /no such job: tidy/ },
  {
    name: "a drill as root",
    args: ["--job", "drill"],
    code: 2,
    says: /runs code out of the backup[\s\S]*--user NAME/,
  },
  {
    name: "a keeper of what nothing locks",
    args: ["--job", "keeper"],
    code: 2,
    says: /policy small has no object_lock[\s\S]*object_lock:/,
  },
  {
    name: "a drill without an identity",
    text: believed(policyText()),
    args: ["--job", "drill", "--user", "nobody"],
    code: 13,
    says: /the drill unit would have no .*drill-identity\nhint: --credential drill-identity=FILE/,
  },
  {
    name: "a time that systemd does not understand",
    args: ["--calendar", "backup=when it is dark"],
    code: 2,
    says: /does not understand "when it is dark" for backup/,
  },
  {
    name: "a time for no job",
    args: ["--job", "backup", "--delay", "verify=5min"],
    code: 2,
    says: /of a job that is installed/,
  },
  {
    name: "a program that cannot do the job",
    args: ["--drops", "/bin/true", "--job", "backup"],
    code: 2,
    says: /knows no backup/,
  },
];
for (const { name, text, keys, args = [], code, says } of refusals)
  test(`refused: ${name}`, async () => {
    await using machine = await rootWith(text ?? policyText(), keys ?? KEYS);
    const refused = await machine.install(...args);
    assert.equal(refused.code, code, refused.stderr);
    assert.match(refused.stderr, says);
    assert.deepEqual(await machine.present(), []);
  });

test("refused: a unit that somebody else wrote", async () => {
  await using machine = await rootWith(policyText(), KEYS);
  await mkdir(machine.units, { recursive: true });
  await writeFile(join(machine.units, BACKUP), "[Service]\nExecStart=/bin/true\n");
  const refused = await machine.install();
  assert.equal(refused.code, 22);
  assert.deepEqual(await machine.present(), [BACKUP]);
  assert.equal(await readFile(join(machine.units, BACKUP), "utf8"), "[Service]\nExecStart=/bin/true\n");
});

const SOURCES = `  - { name: db, kind: postgres, database: thing }
  - { name: rocks, kind: rocksdb, path: /var/lib/thing/db, min_free: 1MiB }
  - { name: files, kind: files, paths: [/var/lib/thing/files, /root/notes] }`;
/** A pager that writes where its job may write. */
const NOTIFY = `notify:
  channels:
    - name: pager
      kind: command
      argv: [/bin/sh, -c, 'echo $DROPS_EVENT $DROPS_FAILURE >> /var/lib/drops/notify/small/$DROPS_VERB/heard']
`;
const NODE = "/opt/node";
const DROPS = `${NODE} /opt/drops/src/main.ts`;

/** Data of another user, a database, keys, an empty repository; the signing key only as a credential. */
async function prepare(vps: Vps): Promise<void> {
  await using scratch = await scratchDirectory();
  const db = await openRocksdb(join(scratch.path, "db"), { families: 2, create: true });
  await db.close();
  await vps.exec("mkdir -p /var/lib/thing && tar -x -C /var/lib/thing", {
    input: await runTool("tar", "-c", "-C", dirname(join(scratch.path, "db")), "db"),
  });
  const text = policyText({ sources: SOURCES, signingKey: "/run/drops/credentials/signing-key" });
  await vps.exec("mkdir -p /etc/drops && cat > /etc/drops/small.yaml", { input: `${text}${NOTIFY}` });
  await vps.exec(`set -e
    useradd --system thing
    mkdir -p /var/lib/thing/files /root/notes /srv/backups
    echo kept > /var/lib/thing/files/one; echo note > /root/notes/two
    chown -R thing: /var/lib/thing; chmod -R go= /var/lib/thing
    setpriv --reuid=postgres --regid=postgres --init-groups sh -c 'cd / && createdb thing && psql -qc "CREATE TABLE t AS SELECT generate_series(1, 100) AS n" thing'
    ${DROPS} keygen --to /etc/drops/keys
    sed 's#/run/drops/credentials#/etc/drops/keys#' /etc/drops/small.yaml > /root/by-hand.yaml
    ${DROPS} --policy /root/by-hand.yaml init`);
}

describe("on a server", { timeout: 1_800_000 }, () => {
  test("the timer fires, the units succeed as hardened as they are, and a failure is told", async () => {
    await using vps = await startVps({ binds: { [root]: "/opt/drops", [process.execPath]: NODE } });
    await prepare(vps);
    const install = `${NODE} /opt/drops/scripts/install-systemd.ts --policy /etc/drops/small.yaml --credential signing-key=/etc/drops/keys/signing-key`;
    assert.match(await vps.exec(`${install} --enable`), /wrote drops-backup@small\.timer/);
    const timers = await vps.exec("systemctl list-timers --no-legend 'drops-*' | wc -l");
    assert.equal(Number(timers), Object.keys(JOBS.jobs).length - 2); // a drill has another machine, a keeper something locked

    await vps.exec(`mkdir -p /etc/systemd/system/drops-backup@small.timer.d
      printf '[Timer]\\nOnCalendar=\\nOnCalendar=*:*:0/5\\nAccuracySec=1s\\nRandomizedDelaySec=0\\n' > /etc/systemd/system/drops-backup@small.timer.d/soon.conf
      systemctl daemon-reload; systemctl restart drops-backup@small.timer`);
    await finished(vps, BACKUP);
    await vps.exec(
      "rm -r /etc/systemd/system/drops-backup@small.timer.d; systemctl daemon-reload; systemctl stop drops-backup@small.timer",
    );
    await vps.exec("while systemctl is-active --quiet drops-backup@small.service; do sleep 0.2; done");
    assert.equal(await resultOf(vps, BACKUP), "success", await logOf(vps, BACKUP));
    const listed = JSON.parse(await vps.exec(`${DROPS} --policy /root/by-hand.yaml --json show latest`));
    assert.deepEqual(listed.sources.map((source: { name: string }) => source.name).sort(), [
      "db",
      "files",
      "rocks",
    ]);
    await vps.exec("systemctl start drops-verify@small.service");
    assert.equal(await resultOf(vps, VERIFY), "success", await logOf(vps, VERIFY));
    await vps.exec("systemctl start drops-prune@small.service");

    await vps.exec("mkdir -p /var/lib/drops; touch /var/lib/drops/restore-in-progress");
    const before = await vps.exec("ls /srv/backups -R | wc -l");
    await vps.exec("systemctl start drops-backup@small.service"); // skipped, and no failure
    assert.equal(await vps.exec("ls /srv/backups -R | wc -l"), before);
    await vps.exec("rm /var/lib/drops/restore-in-progress");

    await vps.exec(`printf '#!/bin/sh\\necho "$1" > /run/told\\n' > /etc/drops/on-failure; chmod 755 /etc/drops/on-failure
      mv /srv/backups /srv/gone`);
    await assert.rejects(vps.exec("systemctl start drops-verify@small.service"));
    await until("it is told", async () => (await vps.exec("cat /run/told 2>/dev/null || true")) === VERIFY);
    assert.match(
      await logOf(vps, `drops-failed@${VERIFY}.service`),
      /drops-verify@small\.service failed: journalctl -u/,
    );
    await tellsOfItsDeath(vps);
    await vps.exec(`${install} --uninstall`);
    assert.equal(await vps.exec("ls /etc/systemd/system | grep -c '^drops' || true"), "0");
  });

  /** The failure before was told by the run itself, once; one that is killed is told of by the unit that systemd starts. */
  async function tellsOfItsDeath(vps: Vps): Promise<void> {
    const heard = "/var/lib/drops/notify/small/verify/heard";
    const alertIsOver =
      "while systemctl is-active --quiet drops-alert-verify@small.service; do sleep 0.2; done";
    const alertLog = () => logOf(vps, "drops-alert-verify@small.service");
    await vps.exec(`timeout 300 sh -c '
      until journalctl -u drops-alert-verify@small.service | grep -q "reported its end itself"; do sleep 0.2; done'`);
    assert.equal(await vps.exec(`cat ${heard}`), "failure store/unavailable", await alertLog());
    await vps.exec(`mkdir -p /etc/systemd/system/drops-verify@small.service.d
      printf '[Service]\\nExecStart=\\nExecStart=/bin/sh -c "echo last words; kill -9 \\$\\$\\$\\$"\\n' > /etc/systemd/system/drops-verify@small.service.d/killed.conf
      systemctl daemon-reload`);
    await assert.rejects(vps.exec("systemctl start drops-verify@small.service"));
    await vps.exec(
      `timeout 300 sh -c 'until [ "$(wc -l < ${heard})" -gt 1 ]; do sleep 0.2; done'; ${alertIsOver}`,
    );
    assert.equal(await vps.exec(`tail -n 1 ${heard}`), "failure killed", await alertLog());
    await vps.exec("rm -r /etc/systemd/system/drops-verify@small.service.d; systemctl daemon-reload");
  }

  test("an unprivileged user pulls over SSH with nothing but credentials", async () => {
    await using vps = await startVps({ binds: { [root]: "/opt/drops", [process.execPath]: NODE } });
    const at = "/run/drops/credentials";
    const hostKey = await vps.exec("cut -d ' ' -f 1,2 /etc/ssh/ssh_host_ed25519_key.pub");
    const text = policyText({
      host: `{ ssh: { address: 127.0.0.1, user: root, key_file: ${at}/ssh, host_key: ${hostKey} } }`,
      store: "{ directory: /srv/pulled }",
    }).replaceAll(/\/etc\/drops\/keys\/(signing-key|metadata-identity.txt)/g, `${at}/$1`);
    await vps.exec("mkdir -p /etc/drops && cat > /etc/drops/small.yaml", { input: text });
    await vps.exec(`set -e
      useradd --system puller
      mkdir -p /var/lib/thing /srv/pulled; echo kept > /var/lib/thing/one
      ${DROPS} keygen --to /etc/drops/keys
      chmod 755 /etc/drops/keys # the recipients are public
      ssh-keygen -q -t ed25519 -N '' -f /etc/drops/keys/ssh
      cat /etc/drops/keys/ssh.pub >> /root/.ssh/authorized_keys
      sed 's#${at}#/etc/drops/keys#' /etc/drops/small.yaml > /root/by-hand.yaml
      ${DROPS} --policy /root/by-hand.yaml init
      chown -R puller: /srv/pulled`);
    const credentials = ["ssh", "signing-key", "metadata-identity.txt"].map(
      (name) => `--credential ${name}=/etc/drops/keys/${name}`,
    );
    await vps.exec(
      `${NODE} /opt/drops/scripts/install-systemd.ts --policy /etc/drops/small.yaml --user puller ${credentials.join(" ")}`,
    );
    for (const job of ["backup", "verify", "prune"]) {
      const unit = `drops-${job}@small.service`;
      await vps.exec(`systemctl start ${unit} || true`);
      assert.equal(await resultOf(vps, unit), "success", await logOf(vps, unit));
    }
    assert.equal(
      await vps.exec("find /srv/pulled -type f -newer /root/by-hand.yaml -user root | wc -l"),
      "0",
    );
    const shown = JSON.parse(await vps.exec(`${DROPS} --policy /root/by-hand.yaml --json show latest`));
    assert.deepEqual(
      shown.sources.map((source: { name: string }) => source.name),
      ["files"],
    );
  });
});

async function finished(vps: Vps, unit: string): Promise<void> {
  // its properties are those of the run that the timer has begun since
  const ends = `journalctl --no-pager -u '${unit}' | grep -cE 'Deactivated|Main process exited' || true`;
  await until(`${unit} has run`, async () => (await vps.exec(ends)) !== "0").catch(async (cause: unknown) => {
    throw new Error(await logOf(vps, unit), { cause });
  });
}

function resultOf(vps: Vps, unit: string): Promise<string> {
  return vps.exec(`systemctl show -P Result ${unit}`);
}

function logOf(vps: Vps, unit: string): Promise<string> {
  return vps.exec(`journalctl --no-pager -n 40 -u '${unit}'`);
}
