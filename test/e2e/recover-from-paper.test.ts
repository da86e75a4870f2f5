/**
 * Everything is gone but the recovery sheet and the bucket: what the sheet's text says is typed, with drops uninstalled and an
 * empty home directory, and every source is back byte for byte.
 */
import assert from "node:assert/strict";
import { chmod, cp, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { seedBridge } from "../support/bridge-database.ts";
import { buildHostileTree, walkTree } from "../support/hostile-tree.ts";
import { drops, type Outcome } from "../support/in-process.ts";
import { type Postgres, startPostgres } from "../support/postgres.ts";
import { startRocksdbWriter } from "../support/rocksdb-writer.ts";
import { startS3, type TestS3 } from "../support/s3.ts";
import { runTool, scratchDirectory } from "../support/scratch.ts";
import { type Answer, StandardTools } from "../support/standard-tools.ts";

describe("from the paper sheet's facts alone", () => {
  const stack = new AsyncDisposableStack();
  let scratch = "";
  let s3: TestS3;
  let source: Postgres;
  let target: Postgres;
  let tools: StandardTools;
  let sheet = "";
  let runbook = "";
  let originals = "";
  let environment: Record<string, string> = {};

  before(async () => {
    scratch = stack.use(await scratchDirectory()).path;
    await chmod(scratch, 0o755);
    s3 = stack.use(await startS3());
    source = stack.use(await startPostgres());
    target = stack.use(await startPostgres());
    await seedBridge(source);
    await source.psql(
      "bridge",
      "CREATE SEQUENCE counter; SELECT nextval('counter') FROM generate_series(1, 7)",
    );
    originals = join(scratch, "originals");
    await mkdir(originals);
    await buildHostileTree(join(originals, "tree"));
    const writer = stack.use(await startRocksdbWriter({ families: 3 }));
    // until it has tables that it will keep, beside one that it may be writing when it is killed
    const tables = async () =>
      (await readdir(writer.directory)).filter((name) => name.endsWith(".sst")).length;
    for (let batches = 200; (await tables()) < 4; batches += 200) await writer.reached(batches);
    await writer.kill();
    await cp(writer.directory, join(originals, "db"), { recursive: true });
    environment = {
      AWS_ACCESS_KEY_ID: s3.credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: s3.credentials.secretAccessKey,
    };
    await backUp();
    tools = await StandardTools.gather(scratch, {
      curl: ["curl"],
      "util-linux": ["runuser"],
      "postgresql-client": ["psql", "pg_restore"].map((program) => join(source.bin, program)),
    });
  });
  after(() => stack.disposeAsync());

  /** A repository of all three, and its sheet; then nothing that drops knows is left on this machine. */
  async function backUp(): Promise<void> {
    const keys = join(scratch, "keys");
    const file = join(scratch, "policy.yaml");
    const bucket = await s3.makeBucket();
    const { name: _, ...postgres } = source.policyFor("bridge");
    await writeFile(
      file,
      `name: ops
zone: Europe/Berlin
host: local
store:
  s3: { bucket: ${bucket}, prefix: backups/ops, endpoint: "${s3.tlsEndpoint}", region: us-east-1, ca_file: ${s3.caFile} }
keys:
  recovery_recipients_file: ${keys}/recovery-recipients.txt
  metadata_identity_file: ${keys}/metadata-identity.txt
  signing_key_file: ${keys}/signing-key
sources:
  - { name: bridge-db, ${Object.entries(postgres)
    .map(([field, value]) => `${field}: ${JSON.stringify(value)}`)
    .join(", ")} }
  - { name: homeserver-db, kind: rocksdb, path: ${originals}/db, min_free: 1MiB }
  - { name: files, kind: files, paths: [${originals}/tree] }
`,
    );
    const say = async (...args: string[]): Promise<Outcome> => {
      const outcome = await drops(["--policy", file, ...args], { env: environment });
      assert.equal(outcome.exit, 0, `${args.join(" ")}: ${outcome.stderr}`);
      return outcome;
    };
    await say("keygen", "--to", keys);
    await say("init");
    await say("backup");
    const { stdout } = await say("keygen", "--recovery", "--to", join(scratch, "sheet"), "--json");
    assert.deepEqual(
      { ...JSON.parse(stdout), files: [], signers: [], repositoryId: "", script: "" },
      { policy: "ops", files: [], signers: [], repositoryId: "", script: "", scriptInStore: true, notes: [] },
    );
    sheet = await readFile(join(scratch, "sheet/recovery-sheet.txt"), "utf8");
    ({ stdout: runbook } = await say("runbook", "--markdown"));
    await say(
      "restore",
      "--date",
      "latest",
      "--to",
      join(scratch, "by-drops"),
      "--identity",
      `${keys}/recovery-identity.txt`,
    );
    for (const gone of [keys, file, join(scratch, "sheet")]) await rm(gone, { recursive: true });
  }

  /** The commands below a heading of the sheet, as somebody types them. */
  const commandsBelow = (heading: RegExp): string => {
    const [, section = ""] = sheet.split(new RegExp(`^${heading.source}.*\n-+\n`, "m"));
    const lines = section.split(/\n[^\n]+\n---+\n/)[0]?.split("\n") ?? [];
    return lines
      .filter((line) => line.startsWith("    ") && !/apt-get|nano/.test(line))
      .map((line) => line.slice(4))
      .join("\n");
  };
  const type = async (
    change: (commands: string) => string,
    env: Record<string, string> = {},
  ): Promise<Answer> => {
    const cwd = join(scratch, `desk-${Math.random().toString(36).slice(2)}`);
    await mkdir(cwd);
    const [identity = ""] = /AGE-SECRET-KEY-1[A-Z0-9]+/.exec(sheet) ?? [];
    await writeFile(join(cwd, "recovery-identity.txt"), `${identity}\n`);
    const typed = `${commandsBelow(/5\. /)}\n${commandsBelow(/7\. /)}`;
    const input = `${s3.credentials.accessKeyId}\n${s3.credentials.secretAccessKey}\n`;
    const answer = await tools.run(["bash", "-c", change(typed)], { cwd, env, input });
    return { ...answer, stdout: `${answer.stdout}${cwd}` };
  };
  const digest = (pg: Postgres) =>
    pg.psql(
      "bridge",
      "SELECT count(*), sum(hashtext(m::text)), max(id) FROM message m; SELECT last_value FROM counter",
    );

  test("files, RocksDB and PostgreSQL are the same, and the home directory is empty", async () => {
    const { PGHOST, PGPORT, PGUSER } = connection(target);
    const load = (typed: string) =>
      typed.replace("bash recover.sh", "bash recover.sh --load-databases --postgres-user postgres");
    const answer = await type(load, { PGHOST, PGPORT, PGUSER });
    assert.equal(answer.exit, 0, answer.stderr);
    assert.match(answer.stdout, /^recover\.sh: OK$/m);
    assert.match(answer.stdout, /^loaded bridge-db into database bridge: \d\d tables have the rows/m);
    const restored = join(answer.stdout.split("\n").at(-1) ?? "", "restored");
    assert.match(
      answer.stderr,
      /^recover\.sh: what comes next is in \/.*\/restored\/RUNBOOK\.md, under By hand$/m,
    );
    assert.equal((await readFile(join(restored, "RUNBOOK.md"), "utf8")).trim(), runbook.trim());

    assert.deepEqual(
      await walkTree(join(restored, "files", originals, "tree")),
      await walkTree(join(originals, "tree")),
    );
    for (const name of ["bridge-db", "homeserver-db"])
      assert.deepEqual(
        await contentOf(join(restored, name)),
        await contentOf(join(scratch, "by-drops", name)),
        name,
      );
    const captured = await walkTree(join(originals, "db"));
    const back = [...(await walkTree(join(restored, "homeserver-db")))].filter(([path]) =>
      path.endsWith(".sst"),
    );
    assert.ok(back.length > 0);
    for (const [path, { content }] of back) assert.equal(content, captured.get(path)?.content, path);

    assert.equal(await digest(target), await digest(source));
    const owners = "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public' ORDER BY 1";
    assert.equal(await target.psql("bridge", owners), await source.psql("bridge", owners));
    assert.deepEqual(await tools.homeEntries(), []);
  });

  test("a database that is there is not touched", async () => {
    const before = await digest(target);
    const only = (typed: string) =>
      typed
        .replace("bash recover.sh", "bash recover.sh --load-databases")
        .replace("./restored", "./restored bridge-db");
    const { exit, stderr } = await type(only, connection(target));
    assert.equal(exit, 1);
    assert.match(stderr, /database bridge exists already; nothing is written over/);
    assert.equal(await digest(target), before);
  });

  test("a loaded database that differs is told, table by table", async () => {
    await target.psql("postgres", "DROP DATABASE bridge");
    const program = join(scratch, "bin/pg_restore");
    const real = (await runTool("readlink", "-f", program)).toString().trim();
    const change =
      "DELETE FROM message WHERE rowid IN (SELECT min(rowid) FROM message); UPDATE portal SET name = 'x' WHERE id = (SELECT min(id) FROM portal); SELECT setval('counter', 2)";
    await rm(program);
    await writeFile(
      program,
      `#!/bin/sh\n"${real}" "$@" || exit\ncase $* in *--use-list=*) psql -qX -d bridge -c "${change}" >/dev/null ;; esac\n`,
    );
    await chmod(program, 0o755);
    const only = (typed: string) =>
      typed
        .replace("bash recover.sh", "bash recover.sh --load-databases")
        .replace("./restored", "./restored bridge-db");
    const { exit, stderr } = await type(only, connection(target));
    assert.equal(exit, 1);
    assert.match(stderr, /database bridge is not what was captured/);
    assert.match(stderr, /table public\.message has \d+ rows instead of \d+/);
    assert.match(stderr, /table public\.portal has other rows than captured/);
    assert.match(stderr, /sequence public\.counter is behind/);
  });

  test("another script than the sheet's is not run", async () => {
    const other = (typed: string) => typed.replace(/^echo "/m, 'echo x >> recover.sh; echo "');
    const { exit, stdout, stderr } = await type(other);
    assert.notEqual(exit, 0);
    assert.match(stdout + stderr, /recover\.sh: FAILED/);
    assert.doesNotMatch(stdout, /recovering/);
  });

  const connection = (pg: Postgres) => ({ PGHOST: pg.socketDir, PGPORT: String(pg.port), PGUSER: pg.user });
});

/** Directories that the restore made itself have the time of the restore. */
async function contentOf(directory: string): Promise<unknown[]> {
  const tree = [...(await walkTree(directory))];
  return tree.map(([path, seen]) => [path, seen.type === "dir" ? { ...seen, mtime: 0n } : seen]);
}
