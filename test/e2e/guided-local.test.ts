import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { BootstrapReport, FinishReport, GuidedReport, RollbackReport } from "../../src/guided/report.ts";
import { seedBridge } from "../support/bridge-database.ts";
import { COMPILE_CACHE } from "../support/compile-cache.ts";
import { fixedBytes } from "../support/fixed-bytes.ts";
import { type Postgres, startPostgres } from "../support/postgres.ts";
import { dropsArgv, dropsPrivately } from "../support/private-state.ts";
import { openAndCheck } from "../support/rocksdb-library.ts";
import { startRocksdbWriter } from "../support/rocksdb-writer.ts";
import { runTool, scratchDirectory } from "../support/scratch.ts";
import { openSite, type Site } from "../support/site.ts";

// Restores onto this machine, without units: files, a RocksDB database with media in it, and PostgreSQL.

let stack: AsyncDisposableStack;
let site: Site;
let postgres: Postgres;
let scratch: string;
let state: string;
let database: string;

/** What was in place when the backup was made, and what is there after it went wrong. */
let precious: string;
let broken: string;

before(async () => {
  await using opening = new AsyncDisposableStack();
  scratch = opening.use(await scratchDirectory()).path;
  await chmod(scratch, 0o755); // the database's user must reach its socket
  state = join(scratch, "state");
  postgres = opening.use(await startPostgres());
  await seedBridge(postgres, "bridge", { messages: 200 });
  const writer = opening.use(await startRocksdbWriter({ families: 4 }));
  await writer.reached(20);
  await writer.kill();
  database = writer.directory;
  // A kill amid a flush leaves a table that the MANIFEST does not name: opening it once sweeps what no restore brings back.
  await openAndCheck(database, { families: writer.families, published: writer.published() });
  await mkdir(join(database, "media"));
  await writeFile(join(database, "media", "picture"), fixedBytes("picture", 700_000));
  await writeFile(join(scratch, "app.conf"), "precious\n", { mode: 0o600 });
  await writeFile(join(scratch, "ssh_host_ed25519_key"), "PRIVATE\n", { mode: 0o600 });
  await mkdir(join(scratch, "app", "deep"), { recursive: true });
  await writeFile(join(scratch, "app", "deep", "words"), fixedBytes("words", 300_000), { mode: 0o640 });
  await symlink("deep/words", join(scratch, "app", "link"));
  const pg = postgres.policyFor("bridge");
  site = opening.use(
    await openSite({
      sources: `
  - { name: bridge-db, kind: postgres, database: bridge, run_as: ${pg.run_as}, host: ${pg.host}, port: ${pg.port}, user: ${pg.user}, bin: ${postgres.bin} }
  - { name: hs, kind: rocksdb, path: ${database}, min_free: 1MiB }
  - { name: media, kind: files, paths: [${database}/media] }
  - { name: app, kind: files, paths: [${scratch}/app, ${scratch}/app.conf] }
  - { name: host-keys, kind: files, paths: [${scratch}/ssh_host_ed25519_key] }
`,
      more: `restore:
  bootstrap: [host-keys]
  checks:
    - { name: messages are there, source: bridge-db, sql: SELECT count(*) = 200 FROM message }
    - { name: words are there, source: app, command: [test, -s, deep/words] }
`,
    }),
  );
  precious = await everything();
  await postgres.psql("bridge", "DELETE FROM reaction; CREATE TABLE later AS SELECT 1");
  await rm(join(database, "media", "picture"));
  await writeFile(join(database, "CURRENT"), "nonsense");
  await rm(join(scratch, "app", "deep"), { recursive: true });
  await writeFile(join(scratch, "app", "fresh"), "started empty\n");
  await rm(join(scratch, "app.conf"));
  broken = await everything();
  assert.notEqual(broken, precious);
  stack = opening.move();
});
after(() => stack.disposeAsync());

/** Every byte, mode, owner and time of what is backed up, but for what RocksDB writes of no consequence; and the tables' rows. */
async function everything(): Promise<string> {
  const script = `cd "$1" && find app app.conf "$2" ! -name LOCK ! -name 'LOG*' ! -name 'IDENTITY' ! -path '*/archive*' -printf '%p %y %m %U %G %l\\n' 2>/dev/null | sort
    find app app.conf "$2" -type f ! -name LOCK ! -name 'LOG*' ! -path '*/archive*' -exec sha256sum {} + 2>/dev/null | sort`;
  const files = (await runTool("sh", "-c", script, "sh", scratch, database)).toString();
  const tables = await postgres.psql(
    "bridge",
    "SELECT relname, (xpath('/row/n/text()', query_to_xml(format('SELECT md5(string_agg(t::text, chr(10) ORDER BY t::text)) AS n FROM %I t', relname), false, true, '')))[1] FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY 1",
  );
  return `${files}\n${tables}`;
}

/** What restores leave beside the data, and databases that are not the service's. */
async function leftOvers(): Promise<string[]> {
  const files = (await runTool("find", scratch, join(database, ".."), "-name", ".drops-*")).toString();
  const databases = await postgres.psql(
    "postgres",
    "SELECT datname FROM pg_database WHERE datname LIKE 'bridge\\_%'",
  );
  return `${files}${databases}`.split("\n").filter((line) => line !== "");
}

async function drops(...args: readonly string[]) {
  return dropsPrivately(
    state,
    join(scratch, "home"),
    "--policy",
    join(site.directory, "policy.yaml"),
    ...args,
  );
}

async function report<Report>(...args: readonly string[]): Promise<Report> {
  const { exit, stdout, stderr } = await drops(...args, "--json");
  assert.equal(exit, 0, stderr);
  return JSON.parse(stdout) as Report;
}

const restoring = () => ["restore", "--date", "latest", "--identity", site.identity];

describe("a machine whose data went wrong", () => {
  test("--dry-run shows the commands, the bytes and what is lost, and changes nothing", async () => {
    const plan = await report<GuidedReport>(...restoring(), "--dry-run");
    assert.equal(plan.dryRun, true);
    const [rocksdb] = plan.steps.filter(({ id }) => id === "rocksdb");
    assert.match(rocksdb?.actions.map(({ command }) => command).join() ?? "", /^,?mv .*\/db /);
    assert.ok(plan.bytes > 1_000_000 && plan.expectedSeconds > 0);
    assert.equal(await everything(), broken);
    assert.deepEqual(await leftOvers(), []);
    assert.deepEqual(await readdir(state), []);
  });

  test("the store, an identity and a signer are enough to plan it", async () => {
    const { stdout } = await dropsPrivately(
      state,
      join(scratch, "home"),
      ...[
        "restore",
        "--date",
        "latest",
        "--dry-run",
        "--store",
        site.repository,
        "--identity",
        site.identity,
      ],
      ...["--trusted-signer", join(site.keys, "signing-key.pub")],
    );
    assert.match(stdout, /site onto this machine[\s\S]*LOST: all data after/);
    assert.match(stdout, /left out: host-keys: a machine needs it before its first boot/);
  });

  test("what a machine needs before its first boot needs no host", async () => {
    const to = join(scratch, "extra");
    const made = await report<BootstrapReport>(...restoring(), "--only", "bootstrap", "--to", to);
    assert.deepEqual(
      made.files.map(({ path, mode }) => `${mode} ${path}`).toSorted(),
      [`0600 ${scratch}/ssh_host_ed25519_key`, "0644 /var/lib/drops/restore-in-progress"].toSorted(),
    );
    assert.match(
      made.choices.flatMap(({ commands }) => commands).join(),
      /restore .*--host root@NEW-ADDRESS/,
    );
    await rm(to, { recursive: true });
  });

  test("without a terminal nothing is begun unless it was agreed beforehand, and the fence is never", async () => {
    const silent = await drops(...restoring());
    assert.equal(silent.exit, 22, silent.stderr);
    assert.match(silent.stderr, /no terminal to ask.*\nhint: add --yes/);
    const unfenced = await drops(...restoring(), "--yes");
    assert.equal(unfenced.exit, 22, unfenced.stderr);
    assert.match(unfenced.stderr, /step 1, .*--yes does not include it\nhint: .*--fenced/);
    assert.equal(await everything(), broken);
    const asked = await drops("restore", "--resume", "--yes", "--identity", site.identity);
    assert.equal(asked.exit, 22, "the fence is asked about by a resume too");
    const back = await report<RollbackReport>("rollback", "--yes");
    assert.deepEqual([back.putBack, back.started], [[], []]);
  });

  test("what is not there cannot be resumed, finished or rolled back", async () => {
    const nothing = [
      ["restore", "--resume", "--identity", site.identity],
      ["restore", "--finish"],
      ["rollback"],
    ];
    for (const args of nothing) {
      const { exit, stderr } = await drops(...args, "--yes");
      assert.equal(exit, 10, stderr);
      assert.match(stderr, /there is no unfinished restore on this machine/);
    }
    const strange = ["--resume", "20200101T000000-abcdef", "--yes", "--identity", site.identity];
    const { exit, stderr } = await drops("restore", ...strange);
    assert.equal(exit, 10, stderr);
    const unknown = await drops(...restoring(), "--only", "nonsense", "--yes");
    assert.equal(unknown.exit, 2, unknown.stderr);
  });

  test("everything comes back, a rollback brings back what was, and a second restore is finished", async () => {
    const done = await report<GuidedReport>(...restoring(), "--yes", "--fenced");
    assert.ok(done.secondsToStarted !== undefined && done.secondsToStarted < done.rtoSeconds);
    assert.equal(await everything(), precious);
    assert.deepEqual(
      done.steps.at(-1)?.checks.map(({ name, ok }) => [name, ok]),
      [
        ["messages are there", true],
        ["words are there", true],
      ],
    );
    const again = await drops(...restoring(), "--yes", "--fenced");
    assert.equal(again.exit, 22, "one restore at a time");
    assert.match(
      again.stderr,
      /is not finished on .*\nhint: continue: drops restore .*--resume .*\n {2}undo: drops rollback/,
    );
    const back = await report<RollbackReport>("rollback", "--yes");
    assert.equal(back.putBack.length, 3);
    assert.equal(await everything(), broken);
    assert.deepEqual(await leftOvers(), []);

    await report<GuidedReport>(...restoring(), "--yes", "--fenced");
    const { removed } = await report<FinishReport>("restore", "--finish", "--yes");
    assert.equal(removed.length, 3);
    assert.equal(await everything(), precious);
    assert.deepEqual(await leftOvers(), []);
    const gone = await drops("rollback", "--yes");
    assert.equal(gone.exit, 10, "a finished run is closed");
  });
});

describe("a restore that is killed", () => {
  before(async () => {
    await writeFile(join(scratch, "app", "fresh"), "again\n");
    await postgres.psql("bridge", "CREATE TABLE again AS SELECT 2");
    broken = await everything();
  });

  for (const ms of [1000, 2000, 3200]) {
    test(`after ${ms} ms is rolled back`, async () => {
      const wasKilled = await killedAfter(ms, [...restoring(), "--yes", "--fenced"]);
      const { exit, stderr } = await drops("rollback", "--yes");
      assert.ok(exit === 0 || (exit === 10 && wasKilled), stderr); // 10: before it had begun
      assert.equal(await everything(), broken);
      assert.deepEqual(await leftOvers(), []);
    });

    test(`after ${ms} ms is resumed`, async () => {
      await killedAfter(ms, [...restoring(), "--yes", "--fenced"]);
      const resumed = await drops("restore", "--resume", "--yes", "--fenced", "--identity", site.identity);
      if (resumed.exit === 10) await report(...restoring(), "--yes", "--fenced");
      else assert.equal(resumed.exit, 0, resumed.stderr);
      assert.equal(await everything(), precious);
      await report("rollback", "--yes");
      assert.equal(await everything(), broken);
      assert.deepEqual(await leftOvers(), []);
    });
  }

  /** True when it was ended before its end. */
  async function killedAfter(ms: number, args: readonly string[]): Promise<boolean> {
    const [program, ...rest] = await dropsArgv(
      state,
      "--policy",
      join(site.directory, "policy.yaml"),
      ...args,
    );
    const env = { ...COMPILE_CACHE, PATH: process.env["PATH"], HOME: join(scratch, "home") };
    const child = spawn(program, rest, { env, stdio: "ignore" });
    const ended = once(child, "exit");
    await Promise.race([sleep(ms), ended]);
    child.kill("SIGKILL");
    await ended;
    return child.signalCode === "SIGKILL";
  }
});
