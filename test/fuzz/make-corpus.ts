import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openLocalHost } from "../../src/host/local.ts";
import { findArguments } from "../../src/source/files/find.ts";
import { FIND_FORMAT } from "../../src/source/files/find-output.ts";
import { PostgresClient } from "../../src/source/postgres/client.ts";
import { readFacts } from "../../src/source/postgres/read-facts.ts";
import { PsqlSession } from "../../src/source/postgres/session.ts";
import { startPostgres } from "../support/postgres.ts";
import { openFamilies } from "../support/rocksdb-library.ts";

/** Writes test/fuzz/corpus/ anew, with the real programs. Its files are small, and seeds mean other inputs afterwards. */
const CORPUS = new URL("./corpus/", import.meta.url).pathname;
const scratch = mkdtempSync(join(tmpdir(), "drops-corpus-"));
const signal = new AbortController().signal;
const run = (program: string, ...args: string[]) =>
  execFileSync(program, args, { env: { PATH: process.env["PATH"], LC_ALL: "C" }, maxBuffer: 2 ** 26 });
const save = (name: string, bytes: Buffer | string) => writeFileSync(join(CORPUS, name), bytes);

rmSync(CORPUS, { recursive: true, force: true });
mkdirSync(CORPUS);
files();
await rocksdb();
await postgres();
keys();
rmSync(scratch, { recursive: true });

function files(): void {
  const root = join(scratch, "files");
  const deep = join(root, "d".repeat(90), "e".repeat(90));
  mkdirSync(deep, { recursive: true });
  writeFileSync(join(deep, "long name"), "content");
  writeFileSync(join(root, "line\nbreak"), "x".repeat(600));
  writeFileSync(join(root, "empty"), "");
  run("truncate", "-s", "1M", join(root, "sparse"));
  run("sh", "-c", `printf data | dd of='${root}/sparse' bs=1 seek=500000 conv=notrunc 2>/dev/null`);
  run("setfattr", "-n", "user.drops", "-v", "0x00ff0a", join(root, "empty"));
  run("ln", join(root, "empty"), join(root, "hard"));
  run("ln", "-s", `../${"t".repeat(120)}`, join(root, "link"));
  run("mkfifo", join(root, "fifo"));
  run("touch", "-d", "@-1.5", join(root, "empty"));
  const tar = (...how: string[]) => run("tar", "-cf", "-", "--blocking-factor=2", ...how, "-C", root, ".");
  save("posix.tar", tar("--format=posix", "--sparse", "--xattrs", "--xattrs-include=*"));
  save("gnu.tar", tar("--format=gnu", "--exclude=sparse"));
  const source = { name: "files", kind: "files" as const, paths: [root], exclude: [], optional: false };
  save(
    "find",
    run(
      "find",
      ...findArguments({ ...source, paths: [root], one_file_system: false }, ["-printf", FIND_FORMAT]),
    ),
  );
}

async function rocksdb(): Promise<void> {
  const directory = join(scratch, "rocksdb");
  const names = ["default", "other"];
  const db = await openFamilies(directory, names, { create: true });
  const write = (from: number, to: number) => {
    for (let count = from; count < to; count++) {
      const batch = db.batch();
      for (const column of Object.values(db.columns)) {
        batch._put(Buffer.from(`key ${count}`), Buffer.alloc(90, `${count} `), { column });
        if (count % 7 === 0) batch._del(Buffer.from(`key ${count - 3}`), { column });
      }
      batch._writeSync({});
      batch._closeSync();
    }
  };
  write(0, 60);
  await db.close();
  const again = await openFamilies(directory, names, {});
  await again.close();
  const last = await openFamilies(directory, names, {});
  const batch = last.batch();
  for (const column of Object.values(last.columns))
    batch._put(Buffer.from("late"), Buffer.from("value"), { column });
  batch._writeSync({});
  batch._closeSync();
  mkdirSync(join(CORPUS, "rocksdb"));
  for (const name of readdirSync(directory)) {
    const isWanted = /^(MANIFEST-\d+|CURRENT|\d+\.(sst|log))$/.test(name);
    if (name.startsWith("OPTIONS-")) copyFileSync(join(directory, name), join(CORPUS, "rocksdb", "OPTIONS"));
    else if (isWanted && statSync(join(directory, name)).size > 0)
      copyFileSync(join(directory, name), join(CORPUS, "rocksdb", name));
  }
  await last.close();
}

async function postgres(): Promise<void> {
  await using server = await startPostgres();
  await using host = await openLocalHost();
  await server.psql("postgres", "CREATE DATABASE corpus");
  await server.psql(
    "corpus",
    `CREATE ROLE synapse LOGIN PASSWORD 'secret' CONNECTION LIMIT 5 VALID UNTIL '2030-01-01';
     CREATE ROLE "Odd ""name""" NOLOGIN; COMMENT ON ROLE synapse IS 'a ''quoted'' \\ comment';
     ALTER ROLE synapse SET search_path TO 'a', "$user"; GRANT "Odd ""name""" TO synapse WITH ADMIN OPTION;
     ALTER DATABASE corpus SET work_mem = '8MB'; ALTER ROLE synapse IN DATABASE corpus SET jit = off;
     GRANT CONNECT ON DATABASE corpus TO synapse WITH GRANT OPTION; COMMENT ON DATABASE corpus IS 'what it is';
     CREATE EXTENSION pg_trgm; CREATE SCHEMA app AUTHORIZATION synapse; CREATE TABLE app.message (id bigserial PRIMARY KEY, body text);
     ALTER TABLE app.message OWNER TO synapse; CREATE INDEX ON app.message USING gin (body gin_trgm_ops);
     CREATE VIEW app.shown AS SELECT body FROM app.message; CREATE MATERIALIZED VIEW app.kept AS SELECT 1 AS one;
     GRANT SELECT ON app.shown TO PUBLIC; ALTER DEFAULT PRIVILEGES FOR ROLE synapse GRANT SELECT ON TABLES TO "Odd ""name""";`,
  );
  const connect = ["-h", server.socketDir, "-p", String(server.port), "-U", server.user];
  save("roles.sql", run(join(server.bin, "pg_dumpall"), ...connect, "--roles-only"));
  const dump = run(join(server.bin, "pg_dump"), ...connect, "-Fc", "corpus");
  writeFileSync(join(scratch, "dump"), dump);
  save("toc", run(join(server.bin, "pg_restore"), "--list", join(scratch, "dump")));
  save("dump-head", dump.subarray(0, 600));
  const client = new PostgresClient(host, server.policyFor("corpus"));
  await using session = await PsqlSession.open(client, { signal });
  const facts = await readFacts(session);
  const tables = [{ schema: "app", name: "message", rows: "0", digest: `v1:${"0".repeat(32)}` }];
  const sequences = [{ schema: "app", name: "message_id_seq", last_value: null }];
  const measured = { digest_version: "v1", tables, uncounted: [], sequences, large_objects: "0" };
  save("facts.json", JSON.stringify({ kind: "postgres", ...facts, ...measured, pg_dump: "15.13" }));
}

function keys(): void {
  const key = join(scratch, "key");
  run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "corpus", "-f", key);
  copyFileSync(key, join(CORPUS, "ssh-key"));
  copyFileSync(`${key}.pub`, join(CORPUS, "ssh-key.pub"));
  const [type, base64] = run("cat", `${key}.pub`).toString().split(" ");
  const hosts = join(scratch, "known_hosts");
  const plain = [
    "example.org,192.0.2.7",
    "[example.org]:2222",
    "*.example.org,!bad.example.org",
    "@revoked old",
  ];
  writeFileSync(hosts, plain.map((names) => `${names} ${type} ${base64}\n`).join(""));
  copyFileSync(hosts, join(CORPUS, "known_hosts"));
  run("ssh-keygen", "-q", "-H", "-f", hosts);
  copyFileSync(hosts, join(CORPUS, "known_hosts.hashed"));
}
