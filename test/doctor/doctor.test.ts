import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, test } from "node:test";
import { OUTPUTS } from "../../src/cli/outputs.ts";
import type { DoctorReport } from "../../src/doctor/report.ts";
import type { StatusReport } from "../../src/status/report.ts";
import type { S3Credentials } from "../../src/store/credentials.ts";
import { rolePolicy } from "../../src/store/roles.ts";
import { drops } from "../support/in-process.ts";
import { startPostgres } from "../support/postgres.ts";
import { startRocksdbWriter } from "../support/rocksdb-writer.ts";
import { startS3 } from "../support/s3.ts";
import { makeAccount } from "../support/s3-users.ts";
import { runTool, scratchDirectory } from "../support/scratch.ts";
import { openSite } from "../support/site.ts";
import { PLAIN_USER, startSshd } from "../support/sshd.ts";

// A whole service over SSH into a bucket with versions, by the writer's role: everything is well. Then one thing after the
// other is broken, doctor is asked, and it is mended again.

const stack = new AsyncDisposableStack();
after(() => stack.disposeAsync());
const scratch = stack.use(await scratchDirectory());
const sshd = stack.use(await startSshd({ plainUser: true }));
const postgres = stack.use(await startPostgres());
const rocksdb = stack.use(await startRocksdbWriter({ families: 3, pauseMs: 20 }));
const s3 = stack.use(await startS3());
const account = stack.use(await makeAccount(s3));
await postgres.psql("postgres", "CREATE DATABASE bridge;");
await postgres.psql("bridge", "CREATE TABLE message (id int); INSERT INTO message VALUES (1);");
const bucket = await account.root.makeBucket({ versioned: true });
const writer = await account.makeUser("writer");
const ROLE = { role: "writer", bucket, prefix: "drops", policy: "site", conditions: false } as const;

const credentials = join(scratch.path, "s3-writer");
const media = join(scratch.path, "media");
await mkdir(media);
await writeFile(join(media, "picture"), "x".repeat(100_000));

async function writeCredentials({ accessKeyId, secretAccessKey }: S3Credentials): Promise<void> {
  const text = `AWS_ACCESS_KEY_ID=${accessKeyId}\nAWS_SECRET_ACCESS_KEY=${secretAccessKey}\n`;
  await writeFile(credentials, text, { mode: 0o600 });
}

interface Change {
  readonly ssh?: Readonly<Record<string, unknown>>;
  readonly s3?: Readonly<Record<string, unknown>>;
  readonly postgres?: Readonly<Record<string, unknown>>;
  readonly rocksdb?: Readonly<Record<string, unknown>>;
  readonly files?: Readonly<Record<string, unknown>>;
  readonly more?: string;
}

/** JSON is YAML. */
function parts(change: Change = {}) {
  const sources = [
    { ...postgres.policyFor("bridge"), ...change.postgres },
    { name: "homeserver-db", kind: "rocksdb", path: rocksdb.directory, min_free: "1MiB", ...change.rocksdb },
    { name: "media", kind: "files", paths: [media], ...change.files },
  ];
  return {
    host: JSON.stringify({ ssh: { ...sshd.policy, ...change.ssh } }),
    store: JSON.stringify({ s3: { ...s3.policy(bucket), credentials_file: credentials, ...change.s3 } }),
    sources: `${sources.map((source) => `  - ${JSON.stringify(source)}\n`).join("")}${change.more ?? ""}`,
  };
}

await writeCredentials(account.root.credentials);
const site = stack.use(await openSite(parts()));
await account.setUserPolicy(writer, rolePolicy(ROLE).document);
await writeCredentials(writer.credentials);
const elsewhere = stack.use(await scratchDirectory());
const safe = join(elsewhere.path, "recovery-identity.txt");
await rename(site.identity, safe);

interface Asked {
  readonly exit: number;
  readonly report: DoctorReport;
  readonly stderr: string;
}

async function doctor(...args: readonly string[]): Promise<Asked> {
  const { exit, stdout, stderr } = await site.drops("doctor", "--json", ...args);
  const report = OUTPUTS.doctor.strict().parse(JSON.parse(stdout));
  assert.equal(exit, report.well ? 0 : 21, stderr);
  for (const { result, why, fix, what } of report.findings) {
    assert.ok(why.length > 20, what);
    assert.equal(fix === undefined, result === "ok", what);
  }
  for (const secret of [writer.credentials.secretAccessKey, account.root.credentials.secretAccessKey]) {
    assert.ok(!`${stdout}${stderr}`.includes(secret), "no secret is told");
  }
  return { exit, report, stderr };
}

async function status(): Promise<StatusReport> {
  return JSON.parse((await site.drops("status", "--json")).stdout) as StatusReport;
}

const bad = ({ findings }: DoctorReport) =>
  findings.filter(({ result }) => result === "fail" || result === "unable");
const about = ({ findings }: DoctorReport, check: string) =>
  findings
    .filter((finding) => finding.check === check)
    .map(({ result, what }) => `${result}: ${what}`)
    .join("\n");

test("a service that is set up well: exit 0, every group looked at, nothing left behind", async () => {
  const before = await status();
  assert.equal(before.destroy.answer, "not proven");
  const { report } = await doctor("--identity", safe);
  assert.deepEqual(bad(report), []);
  assert.match(about(report, "connection"), /^ok: logged in as \S+@127\.0\.0\.1/);
  assert.match(about(report, "bridge-db"), /^ok: bridge-db: PostgreSQL \d+/m);
  assert.match(about(report, "homeserver-db"), /^ok: homeserver-db: frozen and proven in \d+ ms/m);
  assert.match(about(report, "media"), /^ok: media: 2 entries, 97\.7 KiB/m);
  assert.match(about(report, "databases"), /^ok: every database of the server is in a source/m);
  assert.match(
    about(report, "semantics"),
    /^ok: read after write, listing, create-only and checksums hold; /,
  );
  assert.match(
    about(report, "destroy"),
    /^ok: this machine cannot destroy backups: overwriting is possible, deleting is refused/m,
  );
  assert.match(
    about(report, "recovery-identity"),
    /^ok: the identity in \S+ opens the manifest of \S+ in snapshot [0-9a-f]{16}/,
  );
  assert.match(about(report, "status"), /^warn: no drill has restored a snapshot yet/);
  assert.match(about(report, "first-backup"), /^ok: .*about \d+ \S+ at .* from the host and .* to the store/);
  assert.deepEqual(rocksdb.staging(), [], "no hard link stays");
  assert.equal(report.destroy?.answer, "no");
});

test("what it proved is known to status, from the repository alone", async () => {
  const { destroy, recoveryKey, notes } = await status();
  assert.deepEqual([destroy.answer, destroy.proven, recoveryKey.proven], ["no", true, true]);
  assert.match(
    destroy.why,
    /^no: this backup host cannot destroy what is stored \(tried \d+ (s|min) ago: overwriting is possible/,
  );
  assert.deepEqual(
    notes.filter((note) => note.includes("doctor")),
    [],
  );
  const { stdout } = await site.drops("status");
  assert.match(stdout, /Who can destroy it\?\n {2}no: this backup host cannot/);
  assert.match(stdout, /Recovery key last proven when\?\n {2}\d{4}-\S+ .*: it opened snapshot/);
});

test("what is known already is not written down again", async () => {
  const { report } = await doctor("--only", "store");
  assert.equal(report.recorded, undefined);
  assert.deepEqual([...new Set(report.findings.map(({ group }) => group))], ["store"]);
  assert.ok(report.left.length > 0, "the writer may not delete");
  assert.ok(
    report.left.every((key) => /^site\/(lists|packs|snapshots)\//.test(key)),
    report.left.join(),
  );
});

interface Row {
  readonly name: string;
  readonly change?: Change;
  readonly breaks?: () => Promise<() => Promise<unknown>>;
  readonly args?: readonly string[];
  readonly check: string;
  readonly what: RegExp;
  readonly fix: RegExp;
  readonly result?: "warn" | "fail" | "unable";
}

const table: readonly Row[] = [
  {
    name: "another SSH key",
    change: { ssh: { key_file: sshd.strangerKeyFile } },
    check: "connection",
    what: /cannot log in as .*: the key was not accepted/,
    fix: /^ssh -p \d+ -i \S+stranger /,
  },
  {
    name: "a changed host key",
    change: { ssh: { host_key: `ssh-ed25519 ${Buffer.from("another key").toString("base64")}` } },
    check: "connection",
    what: /shows the host key ssh-ed25519 SHA256:\S+ instead of the pinned/,
    fix: /check that key on its console/,
  },
  {
    name: "a missing pg_dump",
    change: { postgres: { bin: "/nonexistent" } },
    check: "bridge-db",
    what: /pg_dump is not installed there/,
    fix: /apt-get install postgresql-client/,
  },
  {
    name: "a database that is in no source",
    breaks: async () => {
      await postgres.psql("postgres", "CREATE DATABASE forgejo;");
      return () => postgres.psql("postgres", "DROP DATABASE forgejo;");
    },
    check: "databases",
    what: /^the database forgejo \(\d\S* MiB\) is in no source$/,
    fix: /kind: postgres, database: forgejo/,
    result: "warn",
  },
  {
    name: "media in the directory of a database",
    breaks: async () => {
      const media = join(rocksdb.directory, "media");
      await mkdir(media);
      await writeFile(join(media, "picture"), Buffer.alloc(500_000));
      return () => runTool("rm", "-r", media);
    },
    check: "directories",
    what: /^in the directory of homeserver-db and in no source: \/\S+\/media \(49\d KiB\)$/,
    fix: /add a files source/,
    result: "warn",
  },
  {
    name: "a full disk",
    breaks: async () => {
      const small = join(scratch.path, "small");
      await mkdir(small);
      await runTool("mount", "-t", "tmpfs", "-o", "size=1m", "none", small);
      await mkdir(join(small, "db"));
      await runTool("cp", "--", join(rocksdb.directory, "CURRENT"), join(small, "db"));
      await runTool("sh", "-c", 'head -c 2m /dev/zero >"$1"/full 2>/dev/null || true', "sh", small);
      await site.policy(parts({ rocksdb: { path: join(small, "db") } }));
      return () => runTool("umount", small);
    },
    check: "homeserver-db",
    what: /small has \d+ bytes free; \d+ for copies of logs and 1048576 to spare are needed/,
    fix: /free space on the host/,
  },
  {
    name: "a path that is not there",
    change: { files: { paths: ["/nonexistent/media"] } },
    check: "media",
    what: /\/nonexistent\/media of source media does not exist/,
    fix: /correct the path in the policy/,
  },
  {
    name: "a revoked credential",
    breaks: async () => {
      const Statement = [{ Sid: "None", Effect: "Deny", Action: ["s3:*"], Resource: ["*"] }];
      await account.setUserPolicy(writer, { Version: "2012-10-17", Statement });
      return () => account.setUserPolicy(writer, rolePolicy(ROLE).document);
    },
    check: "reachable",
    what: /access denied/,
    fix: /compare the role's permissions/,
  },
  {
    name: "a secret that does not belong to the key",
    breaks: async () => {
      await writeCredentials({ ...writer.credentials, secretAccessKey: "wrong" });
      return () => writeCredentials(writer.credentials);
    },
    check: "reachable",
    what: /the secret key does not belong to the access key/,
    fix: /AWS_SECRET_ACCESS_KEY/,
  },
  {
    name: "a store that does not answer",
    change: { s3: { endpoint: "http://127.0.0.1:9" } },
    args: ["--only", "store"],
    check: "reachable",
    what: /127\.0\.0\.1|ECONNREFUSED|no answer/,
    fix: /network/,
  },
  {
    name: "a store that does not answer, and who can destroy what is in it",
    change: { s3: { endpoint: "http://127.0.0.1:9" } },
    args: ["--only", "store"],
    check: "destroy",
    what: /^whether this machine can destroy backups is not proven: .*(127\.0\.0\.1|ECONNREFUSED|no answer)/,
    fix: /network/,
    result: "unable",
  },
  {
    name: "credentials that others can read",
    breaks: async () => {
      await runTool("chmod", "644", credentials);
      return () => runTool("chmod", "600", credentials);
    },
    args: ["--only", "keys"],
    check: "key-files",
    what: /s3-writer is open to other users \(mode 0644\)/,
    fix: /^chmod 600 /,
  },
  {
    name: "a signing key that others can read",
    breaks: async () => {
      await runTool("chmod", "640", join(site.keys, "signing-key"));
      return () => runTool("chmod", "600", join(site.keys, "signing-key"));
    },
    args: ["--only", "keys"],
    check: "signing-key",
    what: /signing-key is open to other users/,
    fix: /^chmod 600 /,
  },
  {
    name: "another metadata identity than before",
    breaks: async () => {
      const file = join(site.keys, "metadata-identity.txt");
      await rename(file, `${file}.kept`);
      const other = join(scratch.path, "other-keys");
      assert.equal((await site.drops("keygen", "--to", other)).exit, 0);
      await rename(join(other, "metadata-identity.txt"), file);
      return async () => {
        await rename(`${file}.kept`, file);
        await rm(other, { recursive: true });
      };
    },
    args: ["--only", "keys"],
    check: "metadata-identity",
    what: /metadata-identity\.txt does not open the manifest of/,
    fix: /bring the old identity back/,
    result: "warn",
  },
  {
    name: "the wrong recovery identity",
    args: ["--only", "keys", "--identity", join(site.keys, "metadata-identity.txt")],
    check: "recovery-identity",
    what: /belongs to none of the recovery recipients: it opens no backup/,
    fix: /find the right one/,
  },
  {
    name: "the recovery identity on the machine",
    breaks: async () => {
      await rename(safe, site.identity);
      return () => rename(site.identity, safe);
    },
    args: ["--only", "host"],
    check: "stray-identity",
    what: /^THE RECOVERY IDENTITY LIES ON THIS MACHINE: \S+recovery-identity\.txt opens every backup$/,
    fix: /shred -u/,
  },
];

for (const { name, change, breaks, args = [], check, what, fix, result = "fail" } of table) {
  test(`${name}: named, with what to do`, async () => {
    if (change) await site.policy(parts(change));
    const mend = await breaks?.();
    try {
      const { report } = await doctor(...args);
      const found = report.findings.filter((finding) => finding.check === check && finding.result === result);
      assert.equal(found.length > 0, true, JSON.stringify(report.findings, undefined, 1));
      const [first] = found.filter(({ what: said }) => what.test(said));
      assert.ok(first, found.map(({ what: said }) => said).join("\n"));
      assert.match(first.fix ?? "", fix);
      assert.equal(report.well, result === "warn" && bad(report).length === 0);
    } finally {
      await mend?.();
      await site.policy(parts());
    }
  });
}

test("a clock that is an hour off: both the host's and the store's say so", async () => {
  const now = () => new Date(Date.now() + 3_600_000);
  const policy = join(site.directory, "policy.yaml");
  const { exit, stdout } = await drops(
    ["doctor", "--json", "--policy", policy, "--only", "host", "--only", "store"],
    { now },
  );
  assert.equal(exit, 21);
  const report = OUTPUTS.doctor.parse(JSON.parse(stdout));
  for (const check of ["host-clock", "store-clock"]) {
    assert.match(
      about(report, check),
      /^fail: this machine's clock is 60 min ahead of the (host|store)'s; 15 min are allowed$/,
    );
  }
});

test("object_lock in the policy: tried for real, with the reason where the bucket cannot", async () => {
  const more = "object_lock: { mode: governance }\n";
  const locking = await account.root.makeBucket({ objectLock: true });
  await writeCredentials(account.root.credentials);
  try {
    await site.policy({ ...parts(), more });
    const without = (await doctor("--only", "store")).report;
    assert.match(about(without, "object-lock"), /^fail: what is put cannot be locked: /);
    await site.policy({ ...parts({ s3: { bucket: locking } }), more });
    const { report } = await doctor("--only", "store");
    assert.equal(about(report, "object-lock"), "ok: what is put can be locked in governance mode");
    assert.ok(
      report.left.some((key) => key.startsWith("site/lists/")),
      "it stays until the lock ends",
    );
  } finally {
    await writeCredentials(writer.credentials);
    await site.policy(parts());
  }
});

test("a credential that can destroy: doctor fails, status says it every day", async () => {
  const all = { Sid: "All", Effect: "Allow", Action: ["s3:*"], Resource: ["*"] };
  await account.setUserPolicy(writer, { Version: "2012-10-17", Statement: [all] });
  try {
    const { report } = await doctor("--only", "store");
    assert.match(
      about(report, "destroy"),
      /^fail: this machine CAN DESTROY every backup: overwriting is possible/,
    );
    assert.equal(report.destroy?.answer, "yes");
    assert.deepEqual(report.left, [], "and what was put to try it is gone");
    assert.match((await status()).destroy.why, /^YES: this backup host can destroy every snapshot/);
  } finally {
    await account.setUserPolicy(writer, rolePolicy(ROLE).document);
  }
});

test("a login that may too little: what it may not become, link and read, each under the name of its source", async () => {
  await runTool("chmod", "755", scratch.path, rocksdb.scratch);
  await runTool("chmod", "600", join(media, "picture"));
  await site.policy(parts({ ssh: { user: PLAIN_USER } }));
  try {
    const { report } = await doctor("--only", "sources");
    assert.match(about(report, "bridge-db"), /^fail: bridge-db: pg_dump of bridge on .*sudo/s);
    assert.match(
      about(report, "homeserver-db"),
      /^fail: homeserver-db: freezing RocksDB: .* cannot be written to$/,
    );
    assert.match(about(report, "media"), /^fail: media: drops-test cannot read \S+\/media\/picture$/);
    for (const { fix } of report.findings) assert.match(fix ?? "", /log in as|logs in|staging/);
  } finally {
    await site.policy(parts());
  }
});

test("a missing tool: named, with its package", async () => {
  const bin = join(scratch.path, "bin");
  await mkdir(bin);
  const link = 'for f in /usr/bin/* /bin/*; do ln -sf "$f" "$1"; done; rm "$1/flock"';
  await runTool("sh", "-c", link, "sh", bin);
  await site.policy({ ...parts(), host: "local" });
  const main = new URL("../../src/main.ts", import.meta.url).pathname;
  const policy = join(site.directory, "policy.yaml");
  const args = [main, "doctor", "--json", "--policy", policy, "--only", "host", "--only", "sources"];
  const child = spawn(process.execPath, args, { env: { PATH: bin }, stdio: ["ignore", "pipe", "ignore"] });
  const [stdout, [exit]] = await Promise.all([text(child.stdout), once(child, "close")]);
  await site.policy(parts());
  const report = OUTPUTS.doctor.parse(JSON.parse(stdout));
  assert.equal(exit, 21);
  const [tool] = report.findings.filter(({ check }) => check === "tools");
  assert.equal(tool?.what, "flock is missing on the host, wanted for bridge-db, homeserver-db");
  assert.match(tool?.fix ?? "", /apt-get install util-linux/);
  assert.match(about(report, "homeserver-db"), /^fail: .*flock is missing on this machine$/);
});

test("in words it fits 80 columns, but for what is longer than a line by itself", async () => {
  const { stdout, exit } = await site.drops("doctor", "--only", "keys", "--only", "sources");
  assert.equal(exit, 0);
  for (const line of stdout.split("\n")) {
    if (line.length > 80) assert.ok(line.trim().split(" ").length <= 2, line);
  }
});

test("a database server that was stopped: its source and its databases say so, and how to look", async () => {
  await postgres[Symbol.asyncDispose]();
  const { report } = await doctor();
  for (const check of ["bridge-db", "databases"]) {
    const [found] = report.findings.filter((finding) => finding.check === check);
    assert.equal(found?.result, "fail");
    assert.match(found?.what ?? "", /psql|bridge/);
    assert.match(found?.fix ?? "", /systemctl status postgresql/);
  }
  assert.deepEqual([...new Set(bad(report).map(({ check }) => check))].sort(), ["bridge-db", "databases"]);
});
