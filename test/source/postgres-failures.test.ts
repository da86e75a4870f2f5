import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, chown, mkdir, mkdtemp, readdir, readFile, rm, stat, utimes } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import type { Host } from "../../src/host/host.ts";
import { openLocalHost } from "../../src/host/local.ts";
import { openSshHost } from "../../src/host/ssh.ts";
import type { DropsError } from "../../src/lib/errors.ts";
import type { PostgresPolicy } from "../../src/policy/schema.ts";
import { freezePostgres } from "../../src/source/postgres/capture.ts";
import { seedBridge } from "../support/bridge-database.ts";
import { collectingSink } from "../support/collecting-sink.ts";
import { type Postgres, startPostgres } from "../support/postgres.ts";
import { capture, captureContext, toolbox } from "../support/postgres-captures.ts";
import { type Sshd, startSshd } from "../support/sshd.ts";
import { until } from "../support/until.ts";

let pg: Postgres;
let host: Host;
/** Where spools are made; readable by the server's user. */
let spools: string;
before(async () => {
  pg = await startPostgres();
  await seedBridge(pg);
  const local = await openLocalHost();
  spools = await mkdtemp(join(tmpdir(), "drops-spools-"));
  await chmod(spools, 0o777);
  host = withEnvironment(local, { TMPDIR: spools });
});
after(async () => {
  await host[Symbol.asyncDispose]();
  await pg[Symbol.asyncDispose]();
  await rm(spools, { recursive: true });
});
beforeEach(async () => assert.deepEqual(await readdir(spools), []));

/** A host whose commands find other settings in their environment. */
function withEnvironment(inner: Host, more: Readonly<Record<string, string>>): Host {
  return {
    label: inner.label,
    user: inner.user,
    run: (argv, how) => inner.run(argv, { ...how, env: { ...more, ...how.env } }),
    start: (argv, how) => inner.start(argv, { ...how, env: { ...more, ...how.env } }),
    [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
  };
}

/** The failure of a capture that must leave no dump, no session and no spool behind. */
async function failureOf(policy: PostgresPolicy): Promise<DropsError> {
  const sink = collectingSink();
  const error = await capture(policy, { host, sink }).then(
    () => assert.fail("it succeeded"),
    (reason: DropsError) => reason,
  );
  assert.equal(error.name, "DropsError", error.stack);
  assert.deepEqual(sink.entries, []);
  assert.deepEqual(await readdir(spools), []);
  await sessionsEnd();
  return error;
}

const SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE application_name IN ('drops', 'pg_dump')";
const hasSessions = async () => (await pg.psql("postgres", SESSIONS)) !== "0";

/** No capture has a session any more. The server sees some time later that a client is gone. */
const sessionsEnd = () => until("the sessions of captures end", async () => !(await hasSessions()));
const spoolsVanish = () => until("the spools vanish", async () => (await readdir(spools)).length === 0);

describe("what cannot be begun says what to do", () => {
  const rows: readonly {
    readonly name: string;
    readonly policy: () => Promise<AsyncDisposable & { readonly policy: PostgresPolicy }>;
    readonly message: RegExp;
    readonly hint: RegExp;
  }[] = [
    {
      name: "no pg_dump",
      policy: () => withTools({}, ["pg_dump"]),
      message: /^pg_dump of bridge on this machine failed: pg_dump is not installed there$/,
      hint: /apt-get install postgresql-client/,
    },
    {
      name: "no psql",
      policy: () => withTools({}, ["psql"]),
      message: /^the session with bridge on this machine failed: psql is not installed there$/,
      hint: /apt-get install postgresql-client/,
    },
    {
      name: "no pg_dumpall",
      policy: () => withTools({}, ["pg_dumpall"]),
      message: /pg_dumpall is not installed there$/,
      hint: /apt-get install postgresql-client/,
    },
    {
      name: "pg_dump of an older version",
      policy: () => withTools({ pg_dump: "echo 'pg_dump (PostgreSQL) 9.6.24'" }),
      message: /^pg_dump of bridge on this machine is version 9\.6\.24, older than the server's \d+\.\d+/,
      hint: /apt-get install postgresql-client-\d+, or set bin/,
    },
    {
      name: "pg_dump that refuses the server's version",
      policy: () =>
        withTools({
          pg_dump: `[ "$1" = --version ] && exec "$real/pg_dump" "$@"
            echo "pg_dump: error: aborting because of server version mismatch" >&2
            echo "pg_dump: detail: server version: 17.1; pg_dump version: 15.13" >&2
            exit 1`,
        }),
      message: /aborting because of server version mismatch; pg_dump: detail: server version: 17\.1/,
      hint: /install the postgresql-client package of the server's version/,
    },
    {
      name: "no such database",
      policy: () => withTools({}, [], { database: "nowhere" }),
      message: /database "nowhere" does not exist/,
      hint: /psql -l/,
    },
    {
      name: "no such role",
      policy: () => withTools({}, [], { user: "stranger" }),
      message: /role "stranger" does not exist/,
      hint: /run_as/,
    },
    {
      name: "a role that may not read",
      policy: async () => {
        await pg.psql("postgres", "DROP ROLE IF EXISTS blind; CREATE ROLE blind LOGIN");
        return withTools({}, [], { user: "blind" });
      },
      message: /permission denied for (table|schema)/,
      hint: /role that may read everything/,
    },
    {
      name: "no server",
      policy: () => withTools({}, [], { port: 1 }),
      message: /connection to server .* failed/,
      hint: /systemctl status postgresql/,
    },
  ];
  for (const row of rows) {
    test(row.name, async () => {
      await using made = await row.policy();
      const error = await failureOf(made.policy);
      assert.equal(error.code, "source/failed");
      assert.match(error.message, row.message);
      assert.match(error.hint ?? "", row.hint);
    });
  }
});

async function withTools(
  scripts: Readonly<Record<string, string>>,
  missing: readonly string[] = [],
  more: Partial<PostgresPolicy> = {},
): Promise<AsyncDisposable & { readonly policy: PostgresPolicy }> {
  const tools = await toolbox(pg, scripts, missing);
  return {
    policy: pg.policyFor("bridge", { bin: tools.bin, ...more }),
    [Symbol.asyncDispose]: () => tools[Symbol.asyncDispose](),
  };
}

/** A pg_dump that answers `--version` as the real one, and runs `script` for a dump. */
const dumping = (script: string) => ({
  pg_dump: `[ "$1" = --version ] && exec "$real/pg_dump" "$@"\n${script}`,
});

const KILL_EXPORTER = `"$real/psql" -XqAt -d postgres -c "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
  WHERE application_name = 'drops' AND state = 'idle in transaction'" >/dev/null || exit 9`;

for (const spool of [true, false]) {
  describe(`${spool ? "spooled" : "streamed"}: half a dump is none`, () => {
    const rows: readonly { readonly name: string; readonly script: string; readonly message: RegExp }[] = [
      {
        name: "the snapshot's session is ended before pg_dump is",
        script: `"$real/pg_dump" "$@" || exit 8\n${KILL_EXPORTER}`,
        message:
          /^the snapshot of bridge on this machine was lost before pg_dump had ended: .*terminating connection/,
      },
      {
        name: "the snapshot's session is ended before pg_dump begins",
        script: `${KILL_EXPORTER}\nexec "$real/pg_dump" "$@"`,
        message:
          /^pg_dump of bridge on this machine failed \(exit 1\): .*(invalid snapshot identifier|does not exist)/,
      },
      {
        name: "pg_dump is killed",
        script: `"$real/pg_dump" "$@" | head -c 100000\nkill -9 $$`,
        message: /^pg_dump of bridge on this machine was ended by (SIGKILL|signal 9)/,
      },
      {
        name: "pg_dump loses its connection",
        script: `"$real/pg_dump" "$@" | head -c 100000
          echo 'pg_dump: error: Dumping the contents of table "message" failed: PQgetCopyData() failed.' >&2; exit 1`,
        message: /failed \(exit 1\): pg_dump: error: Dumping the contents of table "message" failed/,
      },
      {
        name: "pg_dump succeeds with something else",
        script: "head -c 100000 /dev/zero",
        message: spool
          ? /^reading the archive list of the dump of bridge on this machine failed/
          : /^pg_dump of bridge on this machine did not write an archive in the custom format$/,
      },
      {
        name: "pg_dump succeeds with nothing",
        script: "exit 0",
        message:
          /^(reading the archive list of the dump|pg_dump) of bridge on this machine (failed|did not write an archive)/,
      },
    ];
    for (const row of rows) {
      test(row.name, async () => {
        await using made = await withTools(dumping(row.script), [], { spool });
        const error = await failureOf(made.policy);
        assert.equal(error.code, "source/failed");
        assert.match(error.message, row.message);
      });
    }

    test("an abort in the middle ends all of it", async () => {
      const begun = join(spools, "..", `drops-begun-${process.pid}-${spool}`);
      await using made = await withTools(
        dumping(`touch ${begun}; "$real/pg_dump" "$@" | head -c 100000; exec sleep 600`),
        [],
        { spool },
      );
      const stop = new AbortController();
      const running = capture(made.policy, { host, signal: stop.signal });
      const outcome = running.then(
        () => "it succeeded",
        (error: Error) => error.message,
      );
      await until("the dump begins", () => exists(begun));
      stop.abort(new Error("enough"));
      assert.equal(await outcome, "enough");
      await rm(begun);
      await spoolsVanish();
      await sessionsEnd();
    });

    test("what pg_dump warns of is a note", async () => {
      const script =
        'echo "pg_dump: warning: there are circular foreign-key constraints" >&2\nexec "$real/pg_dump" "$@"';
      await using made = await withTools(dumping(script), [], { spool });
      const { sink } = await capture(made.policy, { host });
      assert.deepEqual(sink.notes, ["pg_dump: warning: there are circular foreign-key constraints"]);
      assert.equal(sink.bytes("database.dump").subarray(0, 5).toString(), "PGDMP");
    });
  });
}

describe("a spool", () => {
  test("is private, and gone when the source is shipped", async () => {
    const seen = join(tmpdir(), `drops-seen-${process.pid}`);
    const script = `"$real/pg_dump" "$@"; ls -lR ${"$TMPDIR"} >${seen}`;
    await using made = await withTools(dumping(script));
    await capture(made.policy, { host });
    const listing = await readFile(seen, "utf8");
    await rm(seen);
    assert.match(listing, /^drwx------ .* drops-postgres-\w+$/m);
    assert.match(listing, /^-rw------- .* database\.dump$/m);
    assert.deepEqual(await readdir(spools), []);
  });

  test("releases the snapshot before the bytes are shipped", async () => {
    await using frozen = await freezePostgres(pg.policyFor("bridge"), captureContext(host));
    assert.equal(await hasSessions(), true);
    const inner = collectingSink();
    let files = 0;
    const sink = {
      ...inner,
      file: async (...[entry, data, how]: Parameters<typeof inner.file>) => {
        files += 1;
        await sessionsEnd();
        return inner.file(entry, data, how);
      },
    };
    await frozen.ship(sink, { signal: AbortSignal.timeout(600_000) });
    assert.equal(files, 3);
  });

  test("that would not fit is not begun: the dump is streamed", async () => {
    await using fake = await toolbox(pg, { df: "echo Filesystem; echo '/dev/x 900000 1 500000 1% /x'" });
    const { sink } = await capture(pg.policyFor("bridge"), { host: withPath(fake.bin) });
    assert.equal(sink.notes.length, 1);
    assert.match(
      sink.notes[0] ?? "",
      /^the dump was not spooled but streamed, .*: 488 MiB are free .*, 52\d MiB wanted$/,
    );
    assert.equal(sink.bytes("database.dump").subarray(0, 5).toString(), "PGDMP");
  });

  test("that fills the disk is given up: the dump is streamed from the same snapshot", async () => {
    // its output is a file only when it is spooled
    const script = `if [ -f /proc/self/fd/1 ]; then
        echo half; echo 'pg_dump: error: could not write to output file: No space left on device' >&2; exit 1
      fi
      exec "$real/pg_dump" "$@"`;
    await using made = await withTools(dumping(script));
    const { sink } = await capture(made.policy, { host });
    assert.deepEqual(sink.notes, [
      "the dump was not spooled but streamed, so its snapshot was held for the upload: the disk filled up",
    ]);
    assert.equal(sink.bytes("database.dump").subarray(0, 5).toString(), "PGDMP");
  });

  test("is given up when others fill the disk", async () => {
    // plenty at first, then less than the floor
    await using fake = await toolbox(pg, {
      df: `echo Filesystem
        if [ -e "$TMPDIR"/drops-postgres-*/database.dump ]; then echo '/dev/x 1 1 500000 1% /x'; else echo '/dev/x 1 1 90000000 1% /x'; fi`,
    });
    const script = `[ -f /proc/self/fd/1 ] && exec sleep 600\nexec "$real/pg_dump" "$@"`;
    await using made = await withTools(dumping(script));
    const { sink } = await capture(made.policy, { host: withPath(fake.bin) });
    assert.deepEqual(sink.notes, [
      "the dump was not spooled but streamed, so its snapshot was held for the upload: less than 512 MiB were left free",
    ]);
  });

  test("cannot be made: the dump is streamed", async () => {
    const { sink } = await capture(pg.policyFor("bridge"), {
      host: withEnvironment(host, { TMPDIR: "/nonexistent" }),
    });
    assert.match(sink.notes[0] ?? "", /cannot make a directory in \/nonexistent$/);
    assert.equal(sink.bytes("database.dump").subarray(0, 5).toString(), "PGDMP");
  });

  test("does not outlive drops itself, not even kill -9", async () => {
    const script = `"$real/pg_dump" "$@"; exec sleep 600`;
    await using made = await withTools(dumping(script));
    const child = spawn(process.execPath, ["--input-type=module-typescript", "-e", CAPTURE_IN_A_CHILD], {
      env: { ...process.env, TMPDIR: spools, POLICY: JSON.stringify(made.policy) },
      stdio: ["ignore", "ignore", "inherit"],
      cwd: new URL("../..", import.meta.url),
    });
    await until("the dump is spooled", async () =>
      (await readdir(spools, { recursive: true })).some((name) => name.endsWith(".dump")),
    );
    const ended = once(child, "close");
    child.kill("SIGKILL");
    await ended;
    await spoolsVanish();
    await sessionsEnd();
  });

  test("sweeps what was left behind, and not what is in use", async () => {
    const stale = join(spools, "drops-postgres-stale");
    const used = join(spools, "drops-postgres-used");
    const young = join(spools, "drops-postgres-young");
    const other = join(spools, "somebody-elses");
    const { uid, gid } = await serverUser();
    for (const directory of [stale, used, young, other]) {
      await mkdir(directory);
      await chown(directory, uid, gid);
    }
    const long = new Date(Date.now() - 3_600_000);
    for (const directory of [stale, used, other]) await utimes(directory, long, long);
    const holder = spawn("flock", [used, "cat"], { stdio: ["pipe", "pipe", "inherit"] });
    holder.stdin.write("held\n");
    await once(holder.stdout, "data");
    try {
      await capture(pg.policyFor("bridge"), { host });
      assert.deepEqual((await readdir(spools)).sort(), [
        "drops-postgres-used",
        "drops-postgres-young",
        "somebody-elses",
      ]);
    } finally {
      holder.stdin.end();
      await once(holder, "close");
      for (const directory of [used, young, other]) await rm(directory, { recursive: true, force: true });
    }
  });

  const withPath = (bin: string) => withEnvironment(host, { PATH: `${bin}:${process.env["PATH"]}` });
  const serverUser = () => stat(join(pg.socketDir, "data"));
});

const CAPTURE_IN_A_CHILD = `
import { openLocalHost } from "./src/host/local.ts";
import { capture } from "./test/support/postgres-captures.ts";
await capture(JSON.parse(process.env.POLICY), { host: await openLocalHost() });
`;

describe("over SSH", () => {
  for (const spool of [true, false]) {
    test(`${spool ? "spooled" : "streamed"}: a capture is the same, and a lost connection leaves nothing behind`, async () => {
      await using sshd = await startSshd();
      const signal = AbortSignal.timeout(600_000);
      const remote = await openSshHost(sshd.policy, { signal, home: "/" });
      await using far = withEnvironment(remote, { TMPDIR: spools });
      const whole = await capture(pg.policyFor("bridge", { spool }), { host: far });
      const here = await capture(pg.policyFor("bridge", { spool }), { host });
      // the server's own files grow and shrink between two captures
      const sizeless = ({ size_bytes: _, ...facts }: typeof here.facts) => facts;
      assert.deepEqual(sizeless(whole.facts), sizeless(here.facts));
      assert.equal(whole.sink.bytes("database.dump").length, here.sink.bytes("database.dump").length);

      const begun = join(tmpdir(), `drops-begun-${process.pid}`);
      const script = `touch ${begun}; "$real/pg_dump" "$@" | head -c 100000; exec sleep 600`;
      await using made = await withTools(dumping(script), [], { spool });
      const sink = collectingSink();
      const outcome = capture(made.policy, { host: far, sink }).then(
        () => "it succeeded",
        (error: DropsError) => error.code,
      );
      await until("the dump begins", () => exists(begun));
      assert.ok((await cutConnections(sshd)) > 0);
      assert.equal(await outcome, "host/unreachable");
      await rm(begun);
      assert.deepEqual(sink.entries, []);
      await spoolsVanish();
      await sessionsEnd();
    });
  }
});

test("the session outlives the server's limits for idle transactions and long statements", async () => {
  await pg.psql(
    "postgres",
    `ALTER DATABASE bridge SET idle_in_transaction_session_timeout TO '300ms';
     ALTER DATABASE bridge SET statement_timeout TO '300ms'`,
  );
  try {
    const { sink } = await capture(pg.policyFor("bridge"), { host, between: () => sleep(1000) });
    assert.equal(sink.entries.length, 3);
  } finally {
    await pg.psql("postgres", "ALTER DATABASE bridge RESET ALL");
  }
});

test("a table cannot be truncated while the snapshot waits for pg_dump", async () => {
  const truncated: { error?: Error } = {};
  const { facts, sink } = await capture(pg.policyFor("bridge"), {
    host,
    between: () =>
      pg.psql("bridge", "SET lock_timeout TO '200ms'; TRUNCATE emoji").catch((error: Error) => {
        truncated.error = error;
      }),
  });
  assert.match(truncated.error?.message ?? "", /lock timeout/);
  assert.equal(facts.tables.find((table) => table.name === "emoji")?.rows, "30");
  assert.equal(sink.entries.length, 3);
});

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** Kill the server's side of every connection, and nothing that runs in it: what a cut cable looks like to a command. */
async function cutConnections(sshd: Sshd): Promise<number> {
  const running = promisify(execFile);
  const { stdout } = await running("ps", ["-e", "-o", "pid=,ppid=,comm=,args="]);
  const all = stdout.split("\n").map((line) => {
    const [, pid, parent, name = "", args = ""] = /^\s*(\d+)\s+(\d+)\s+(\S+)\s+(.*)$/.exec(line) ?? [];
    return { pid: Number(pid), parent: Number(parent), name, args };
  });
  const below = new Set(
    all.filter((one) => one.name === "sshd" && one.args.includes(sshd.directory)).map((one) => one.pid),
  );
  const listeners = new Set(below);
  for (const one of all.sort((a, b) => a.pid - b.pid)) if (below.has(one.parent)) below.add(one.pid);
  const cut = all.filter(
    (one) => below.has(one.pid) && !listeners.has(one.pid) && one.name.startsWith("sshd"),
  );
  for (const { pid } of cut) process.kill(pid, "SIGKILL");
  return cut.length;
}
