import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Host } from "../../src/host/host.ts";
import { openLocalHost } from "../../src/host/local.ts";
import { openSshHost } from "../../src/host/ssh.ts";
import { isFailure } from "../../src/lib/errors.ts";
import type { RocksdbPolicy } from "../../src/policy/schema.ts";
import { freezeRocksdb } from "../../src/source/rocksdb/capture/capture.ts";
import { FreezeChannel } from "../../src/source/rocksdb/capture/channel.ts";
import { whileSpaceLasts } from "../../src/source/rocksdb/capture/space-watch.ts";
import { checkRocksdbDirectory } from "../../src/source/rocksdb/verify/check-directory.ts";
import { type CollectingSink, collectingSink } from "../support/collecting-sink.ts";
import { fakeSystemd } from "../support/fake-systemd.ts";
import { openAndCheck, openRocksdb } from "../support/rocksdb-library.ts";
import {
  captureContext,
  hotSnapshot,
  materialise,
  rocksdbPolicy,
  slowedHost,
} from "../support/rocksdb-snapshots.ts";
import { type RocksdbWriter, startRocksdbWriter } from "../support/rocksdb-writer.ts";
import { startSshd } from "../support/sshd.ts";
import { until } from "../support/until.ts";

const FAMILIES = 10;
const signal = AbortSignal.timeout(1_800_000);
let host: Host;
let scratch = "";
/** A database that nobody writes to any more. */
let still = "";

before(async () => {
  host = await openLocalHost();
  scratch = mkdtempSync(join(tmpdir(), "drops-rocksdb-capture-"));
  await using writer = await startRocksdbWriter({ families: FAMILIES });
  await writer.reached(2500);
  await writer.kill();
  still = join(scratch, "still");
  cpSync(writer.directory, still, { recursive: true });
});
after(async () => {
  await host[Symbol.asyncDispose]();
  rmSync(scratch, { recursive: true, force: true });
});

const staging = (directory: string) =>
  readdirSync(directory).filter((name) => name.startsWith(".drops-staging-"));

const isGone = (writer: RocksdbWriter) =>
  until("the staging directory goes", () => writer.staging().length === 0);

async function snapshot(
  source: RocksdbPolicy,
  into: CollectingSink,
  how: { on?: Host; reread?: number } = {},
) {
  const context = captureContext(how.on ?? host, { rereadShare: how.reread ?? 0 });
  await using frozen = await freezeRocksdb(source, context);
  await frozen.ship(into, { signal });
  return frozen;
}

test("hot snapshots under constant flush and compaction open as one state", {
  timeout: 900_000,
}, async () => {
  await using writer = await startRocksdbWriter({ families: 16 });
  await writer.reached(1500);
  let counter = 0;
  for (let number = 0; number < 15; number++) {
    const taken = await hotSnapshot(writer, host);
    assert.ok(taken.counter > counter, "the writer stands still");
    counter = taken.counter;
  }
  assert.deepEqual(writer.staging(), []);
});

test("with a pause before every step the guard finds what was lost, and the rest is right", {
  timeout: 900_000,
}, async () => {
  await using writer = await startRocksdbWriter({ families: 3, pauseMs: 10 });
  await writer.reached(500);
  const slow = slowedHost(host, 0.05);
  for (let number = 0; number < 5; number++) await hotSnapshot(writer, slow);
});

test("logs without compression, few families", { timeout: 900_000 }, async () => {
  await using writer = await startRocksdbWriter({ families: 2, walCompression: "none" });
  await writer.reached(500);
  for (let number = 0; number < 3; number++) await hotSnapshot(writer, host);
});

test("entries: names, tokens, cutting, owner; and the facts", async () => {
  const sink = collectingSink();
  const { facts } = await snapshot(rocksdbPolicy(still), sink);
  const names = sink.entries.map((entry) => entry.path.toString());
  assert.ok(names.includes("CURRENT") && names.includes("IDENTITY"));
  assert.ok(names.every((name) => /^(CURRENT|IDENTITY|MANIFEST-\d+|OPTIONS-\d+|\d+\.(sst|log))$/.test(name)));
  assert.match(sink.bytes("CURRENT").toString(), /^MANIFEST-\d+\n$/);
  for (const entry of sink.entries) {
    const name = entry.path.toString();
    const table = name.endsWith(".sst");
    assert.equal(entry.how, table ? "fixed" : "content", name);
    if (table) assert.match(entry.same ?? "", new RegExp(`^sst:[0-9a-f]{32}:${entry.size}$`));
    else assert.equal(entry.same, undefined);
    if (name === "CURRENT") continue;
    const stats = statSync(join(still, name), { bigint: true });
    assert.equal(entry.mtime, stats.mtimeNs, name);
    assert.deepEqual([entry.mode, entry.uid], [Number(stats.mode) & 0o7777, Number(stats.uid)]);
    assert.ok(entry.user !== undefined && entry.group !== undefined);
  }
  assert.equal(facts["database"], still);
  assert.match(String(facts["sequence"]), /^\d+$/);
  assert.match(String(facts["rocksdb_version"]), /^\d+\.\d+\.\d+$/);
  assert.equal((facts["column_families"] as string[]).length, FAMILIES);
  assert.deepEqual(facts["rejected_attempts"], []);
  assert.doesNotThrow(() => JSON.stringify(facts));
  assert.deepEqual(staging(scratch), []);
});

test("through a symlink, the staging directory lies beside the real database", async () => {
  const link = join(scratch, "link");
  symlinkSync(still, link);
  const { facts } = await snapshot(rocksdbPolicy(link), collectingSink());
  assert.equal(facts["database"], still);
});

test("unchanged tables are carried over; what the sink cannot keep is read", async () => {
  const first = collectingSink();
  await snapshot(rocksdbPolicy(still), first);
  const isTable = (path: Buffer) => path.toString().endsWith(".sst");
  const tables = first.entries.filter((entry) => isTable(entry.path));

  const second = collectingSink(first.manifest());
  await snapshot(rocksdbPolicy(still), second);
  assert.ok(tables.length > 3);
  for (const entry of second.entries)
    assert.equal(entry.how === "kept", isTable(entry.path), entry.path.toString());

  for (const share of [3, 1]) {
    // Every third is missing (a new stream each), then all are (at some point the rest is read without asking).
    let asked = 0;
    const third = collectingSink(first.manifest(), () => ++asked % share !== 0);
    await snapshot(rocksdbPolicy(still), third);
    assert.deepEqual(
      third.entries.map((entry) => [entry.path.toString(), entry.size, entry.chunks]),
      first.entries.map((entry) => [entry.path.toString(), entry.size, entry.chunks]),
    );
    assert.ok(third.entries.some((entry) => isTable(entry.path) && entry.how === "fixed"));
    assert.equal(
      third.entries.some((entry) => entry.how === "kept"),
      share > 1,
    );
  }
});

test("a table that is read again must be as it was: anything else is damage on the host", async () => {
  const first = collectingSink();
  await snapshot(rocksdbPolicy(still), first);
  const again = collectingSink(first.manifest());
  await snapshot(rocksdbPolicy(still), again, { reread: 1 });
  assert.ok(again.entries.every((entry) => entry.how !== "kept"));

  const victim = first.entries.filter((entry) => entry.path.toString().endsWith(".sst"))[2];
  const changed = first.manifest().map((entry) => {
    if (victim === undefined || !entry.path.equals(victim.path)) return entry;
    return { ...entry, chunks: entry.chunks.map((chunk) => ({ ...chunk, id: "00".repeat(32) })) };
  });
  await assert.rejects(
    snapshot(rocksdbPolicy(still), collectingSink(changed), { reread: 1 }),
    (error) => isFailure(error, "data/damaged") && error.message.includes(String(victim?.path)),
  );
  assert.deepEqual(staging(scratch), []);
});

test("another table under an old name is read, whatever the name says", async () => {
  const first = collectingSink();
  await snapshot(rocksdbPolicy(still), first);
  const other = first.manifest().map((entry) => ({ ...entry, same: `sst:${"7".repeat(32)}:${entry.size}` }));
  const second = collectingSink(other);
  await snapshot(rocksdbPolicy(still), second);
  assert.ok(second.entries.every((entry) => entry.how !== "kept"));
});

test("logs too large for memory are streamed, and cut on the host", { timeout: 900_000 }, async () => {
  const directory = join(scratch, "large-logs");
  const db = await openRocksdb(directory, {
    families: 1,
    create: true,
    walCompression: false,
    memtableBytes: 2 ** 28,
  });
  const columns = Object.values(db.columns);
  for (let count = 1; count <= 80; count++) {
    const batch = db.batch();
    for (const column of columns)
      batch._put(Buffer.from(`key ${count}`), randomBytes(512 * 1024), { column });
    batch._writeSync({});
    batch._closeSync();
  }
  await db.close();
  const log = readdirSync(directory)
    .filter((name) => name.endsWith(".log"))
    .sort()
    .at(-1) as string;
  const whole = readFileSync(join(directory, log));
  assert.ok(whole.length > 33 * 1024 * 1024);
  writeFileSync(join(directory, log), whole.subarray(0, whole.length - 1000)); // torn in its last record
  const sink = collectingSink();
  const { facts } = await snapshot(rocksdbPolicy(directory), sink);
  const kept = sink.bytes(log);
  assert.ok(kept.length < whole.length - 1000 && kept.length > whole.length - 600 * 1024);
  assert.ok(kept.equals(whole.subarray(0, kept.length)));
  assert.equal(facts["sequence"], "79");
  const copy = join(scratch, "large-logs-copy");
  materialise(sink, copy);
  const report = await checkRocksdbDirectory(copy, { signal, tables: true });
  assert.equal(report.sequence, "79");
  assert.equal(statSync(join(directory, log)).size, whole.length - 1000, "the database itself was cut");
});

// ---- nothing is left behind

test("a drops that is killed leaves no staging directory", { timeout: 900_000 }, async () => {
  await using writer = await startRocksdbWriter({ families: 4, pauseMs: 20 });
  const script = fileURLToPath(new URL("../support/rocksdb-freeze-child.ts", import.meta.url));
  const child = spawn(process.execPath, [script, writer.directory], { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = await once(child.stdout, "data");
  assert.match(String(line), /^frozen/);
  assert.equal(writer.staging().length, 1);
  const gone = once(child, "exit");
  child.kill("SIGKILL");
  await gone;
  await isGone(writer);
});

test("a lost connection leaves no staging directory", { timeout: 900_000 }, async () => {
  await using writer = await startRocksdbWriter({ families: 4, pauseMs: 20 });
  await using sshd = await startSshd();
  const sockets: Socket[] = [];
  const relay = createServer((near) => {
    const far = connect(sshd.port, "127.0.0.1");
    for (const socket of [near, far]) socket.on("error", () => {});
    near.pipe(far).pipe(near);
    sockets.push(near, far);
  });
  await once(relay.listen(0, "127.0.0.1"), "listening");
  const { port } = relay.address() as AddressInfo;
  await using remote = await openSshHost(
    { ...sshd.policy, port, host_key: sshd.hostKey },
    { signal, home: scratch },
  );
  const frozen = await freezeRocksdb(rocksdbPolicy(writer.directory), captureContext(remote));
  assert.equal(writer.staging().length, 1);
  for (const socket of sockets) socket.destroy();
  relay.close();
  await isGone(writer);
  await frozen[Symbol.asyncDispose]();
});

test("over SSH a snapshot is the same", { timeout: 900_000 }, async () => {
  await using sshd = await startSshd();
  await using remote = await openSshHost(sshd.policy, { signal, home: scratch });
  const [near, far] = [collectingSink(), collectingSink()];
  await snapshot(rocksdbPolicy(still), near);
  await snapshot(rocksdbPolicy(still), far, { on: remote });
  assert.deepEqual(far.manifest(), near.manifest());
  await using writer = await startRocksdbWriter({ families: 12 });
  for (let number = 0; number < 3; number++) await hotSnapshot(writer, remote);
  assert.deepEqual(writer.staging(), []);
});

test("staging directories of the dead are swept, those of the living and of others are not", async () => {
  const directory = join(scratch, "sweep");
  mkdirSync(directory);
  cpSync(still, join(directory, "db"), { recursive: true });
  const make = (name: string, lock: boolean) => {
    mkdirSync(join(directory, name, "s"), { recursive: true, mode: 0o700 });
    if (lock) writeFileSync(join(directory, name, "lock"), "");
  };
  make(".drops-staging-dead", true);
  make(".drops-staging-new", false); // another run is just making it
  symlinkSync(scratch, join(directory, ".drops-staging-link"));
  const policy = rocksdbPolicy(join(directory, "db"));
  {
    await using living = await freezeRocksdb(policy, captureContext(host));
    const now = staging(directory);
    assert.ok(!now.includes(".drops-staging-dead") && now.length === 3, now.join());
    await snapshot(policy, collectingSink());
    assert.deepEqual(staging(directory), now);
    await living.ship(collectingSink(), { signal });
  }
  assert.deepEqual(staging(directory), [".drops-staging-link", ".drops-staging-new"]);
});

test("an aborted freeze leaves no staging directory", async () => {
  await using writer = await startRocksdbWriter({ families: 20 });
  for (const ms of [0, 30, 100, 200]) {
    const stop = new AbortController();
    const timer = setTimeout(() => stop.abort(new Error("enough")), ms);
    try {
      await using frozen = await freezeRocksdb(
        rocksdbPolicy(writer.directory),
        captureContext(host, { signal: stop.signal }),
      );
      assert.ok(frozen.capturedAt instanceof Date);
    } catch (error) {
      assert.match(String(error), /enough/);
    }
    clearTimeout(timer);
    assert.deepEqual(writer.staging(), []);
  }
});

test("free space is asked for while staging is held", async () => {
  await using channel = await FreezeChannel.open(rocksdbPolicy(still), { host, signal });
  const before = await channel.freeBytes({ signal });
  assert.ok(before > 1024 * 1024);
  assert.ok("files" in (await channel.attempt({ signal })));
  // A question that was given up does not disturb the next.
  const stop = new AbortController();
  const givenUp = channel.freeBytes(stop);
  stop.abort(new Error("enough"));
  await assert.rejects(givenUp, /enough/);
  assert.ok("files" in (await channel.attempt({ signal })));
  assert.ok((await channel.freeBytes({ signal })) > 0);
});

test("shipping stops when space runs out, and only then", async () => {
  const answers = [3000, 2000, 1000];
  const watch = { free: async () => answers.shift() ?? 0, least: 1500, everyMs: 5 };
  const endless = (how: { signal: AbortSignal }) => sleep(600_000, undefined, how);
  await assert.rejects(
    whileSpaceLasts(watch, { signal }, endless),
    (error) => isFailure(error, "space/low") && error.message.includes("1000 bytes"),
  );
  assert.deepEqual(answers, []);
  await whileSpaceLasts({ ...watch, free: async () => 2000 }, { signal }, (how) => sleep(40, undefined, how));
  await assert.rejects(
    whileSpaceLasts(watch, { signal: AbortSignal.abort(new Error("enough")) }, endless),
    /enough/,
  );
  const lost = { ...watch, free: () => Promise.reject(new Error("the host is lost")) };
  await assert.rejects(whileSpaceLasts(lost, { signal }, endless), /the host is lost/);
});

// ---- what is refused

test("a database that never is one state fails after ten attempts and says why", async () => {
  const directory = join(scratch, "incomplete");
  cpSync(still, directory, { recursive: true });
  const sink = collectingSink();
  await snapshot(rocksdbPolicy(directory), sink);
  const table = sink.entries
    .find((entry) => entry.path.toString().endsWith(".sst"))
    ?.path.toString() as string;
  rmSync(join(directory, table));
  const said: string[] = [];
  await assert.rejects(
    freezeRocksdb(
      rocksdbPolicy(directory),
      captureContext(host, { random: () => 0, say: (line) => said.push(line) }),
    ),
    (error) =>
      isFailure(error, "source/failed") &&
      error.message.includes(table) &&
      error.message.includes("10 attempts"),
  );
  assert.equal(said.length, 9);
  assert.deepEqual(staging(scratch), []);
});

const refused: readonly {
  name: string;
  policy: () => RocksdbPolicy;
  code: "source/failed" | "space/low";
  says: RegExp;
}[] = [
  {
    name: "a directory that is not there",
    policy: () => rocksdbPolicy(join(scratch, "nowhere")),
    code: "source/failed",
    says: /nowhere is not a directory/,
  },
  {
    name: "a directory without a database",
    policy: () => rocksdbPolicy(scratch),
    code: "source/failed",
    says: /no RocksDB database/,
  },
  {
    name: "staging on another file system",
    policy: () => rocksdbPolicy(still, { staging: "/proc" }),
    code: "source/failed",
    says: /file system/,
  },
  {
    name: "staging that is not there",
    policy: () => rocksdbPolicy(still, { staging: "/nowhere/at/all" }),
    code: "source/failed",
    says: /not a directory/,
  },
  {
    name: "staging inside the database",
    policy: () => rocksdbPolicy(still, { staging: still }),
    code: "source/failed",
    says: /inside the database/,
  },
  {
    name: "a host that is nearly full",
    policy: () => rocksdbPolicy(still, { min_free: "1000000GiB" }),
    code: "space/low",
    says: /bytes free/,
  },
  {
    name: "a unit that does not exist",
    policy: () => rocksdbPolicy(still, { mode: "stopped", unit: "other.service" }),
    code: "source/failed",
    says: /no unit other\.service/,
  },
];
for (const { name, policy, code, says } of refused) {
  test(`refused: ${name}`, async () => {
    using systemd = fakeSystemd({ running: true });
    await assert.rejects(
      freezeRocksdb(policy(), captureContext(systemd.wrap(host))),
      (error) => isFailure(error, code) && says.test(error.message) && error.hint !== undefined,
    );
    assert.deepEqual(staging(scratch), []);
    assert.ok(systemd.running());
  });
}

const unusual: readonly { name: string; line: string; removeLogs?: boolean; outcome: RegExp | "taken" }[] = [
  {
    name: "logs in another directory",
    line: "wal_dir=/srv/wal",
    removeLogs: true,
    outcome: /write-ahead logs in \/srv\/wal/,
  },
  { name: "a path under which another machine sees it", line: "wal_dir=/data/db", outcome: "taken" },
  { name: "recycled logs, while nothing changes", line: "recycle_log_file_num=4", outcome: "taken" },
  { name: "two-phase commit", line: "allow_2pc=true", outcome: "taken" },
];
for (const { name, line, removeLogs, outcome } of unusual) {
  test(`unusual options: ${name}`, async () => {
    const directory = join(scratch, `unusual-${line.replace(/\W/g, "-")}`);
    cpSync(still, directory, { recursive: true });
    const options = readdirSync(directory).find((file) => file.startsWith("OPTIONS-")) as string;
    const text = readFileSync(join(directory, options), "utf8");
    writeFileSync(join(directory, options), text.replace("[DBOptions]\n", `[DBOptions]\n  ${line}\n`));
    if (removeLogs)
      for (const file of readdirSync(directory)) if (file.endsWith(".log")) rmSync(join(directory, file));
    const freezing = snapshot(rocksdbPolicy(directory), collectingSink());
    if (outcome === "taken") await freezing;
    else
      await assert.rejects(
        freezing,
        (error) => isFailure(error, "source/failed") && outcome.test(error.message),
      );
  });
}

// ---- mode stopped

const stopped = (more: Partial<RocksdbPolicy> = {}) =>
  rocksdbPolicy(still, { mode: "stopped", unit: "db.service", ...more });

test("stopped: the return is armed first, then stop, link, start, disarm", async () => {
  using systemd = fakeSystemd({ running: true });
  const sink = collectingSink();
  await using frozen = await freezeRocksdb(stopped(), captureContext(systemd.wrap(host)));
  assert.ok(systemd.running(), "the unit waits for the upload");
  await frozen.ship(sink, { signal });
  const calls = systemd.calls().filter((call) => !call.startsWith("systemctl show"));
  assert.equal(calls.length, 4, calls.join("\n"));
  assert.match(calls[0] ?? "", /^systemd-run .*--on-active=15min -- \/.*systemctl start -- db\.service$/);
  assert.deepEqual(calls.slice(1, 3), ["systemctl stop -- db.service", "systemctl start -- db.service"]);
  assert.match(calls[3] ?? "", /^systemctl stop -- drops-start-again-\d+\.timer$/);
  const copy = join(scratch, "stopped-copy");
  materialise(sink, copy);
  await openAndCheck(copy, { families: FAMILIES, published: 0 });
});

test("stopped: a unit that does not run is left alone", async () => {
  using systemd = fakeSystemd({ running: false });
  await snapshot(stopped(), collectingSink(), { on: systemd.wrap(host) });
  assert.ok(!systemd.running());
  assert.ok(systemd.calls().every((call) => call.startsWith("systemctl show")));
});

const troubles: readonly { failing: "start" | "stop" | "arm"; runsAfter: boolean; says: RegExp }[] = [
  { failing: "arm", runsAfter: true, says: /could not arm/ },
  { failing: "stop", runsAfter: true, says: /could not be stopped/ },
  { failing: "start", runsAfter: false, says: /did not start again.*timer will try/ },
];
for (const { failing, runsAfter, says } of troubles) {
  test(`stopped: ${failing} fails`, async () => {
    using systemd = fakeSystemd({ running: true, failing });
    await assert.rejects(
      freezeRocksdb(stopped(), captureContext(systemd.wrap(host))),
      (error) => isFailure(error, "source/failed") && says.test(error.message),
    );
    assert.equal(systemd.running(), runsAfter);
    const disarmed = systemd.calls().some((call) => /stop -- drops-start-again/.test(call));
    assert.equal(disarmed, failing === "stop", "the timer stays armed exactly when the unit is down");
    assert.deepEqual(staging(scratch), []);
  });
}

test("stopped: when linking fails the unit runs again", async () => {
  using systemd = fakeSystemd({ running: true });
  const directory = join(scratch, "broken-manifest");
  cpSync(still, directory, { recursive: true });
  writeFileSync(join(directory, "CURRENT"), "MANIFEST-999999\n");
  await assert.rejects(
    freezeRocksdb(stopped({ path: directory }), captureContext(systemd.wrap(host))),
    (error) => isFailure(error, "source/failed") && /2 attempts/.test(error.message),
  );
  assert.ok(systemd.running());
  assert.ok(existsSync(directory));
});
