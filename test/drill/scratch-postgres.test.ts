import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { rolesMissingIn } from "../../src/drill/load-dump.ts";
import { findPrograms, packageOf } from "../../src/drill/postgres-programs.ts";
import { Scratch } from "../../src/drill/scratch.ts";
import { openLocalHost } from "../../src/host/local.ts";
import { parseRolesFile } from "../../src/source/postgres/restore/roles-file.ts";
import { startPostgres } from "../support/postgres.ts";
import { scratchDirectory } from "../support/scratch.ts";
import { until } from "../support/until.ts";

const CHILD = fileURLToPath(new URL("../support/scratch-server-child.ts", import.meta.url));

test("the scratch server is gone, and its cluster with it, when the drill is killed outright", async () => {
  let bin: string;
  {
    await using postgres = await startPostgres();
    bin = postgres.bin;
  }
  await using work = await scratchDirectory();
  await chmod(work.path, 0o755);
  const child = spawn(process.execPath, [CHILD, work.path, bin], { stdio: ["ignore", "pipe", "inherit"] });
  await once(child.stdout, "data");
  assert.ok((await linesNaming(work.path)).some((line) => /postgres/.test(line)));
  child.kill("SIGKILL");
  await once(child, "exit");
  await until("all of it ends", async () => (await linesNaming(work.path)).length === 0);
  const [left = ""] = await readdir(work.path);
  const cluster = await readdir(join(work.path, left, "cluster"));
  assert.equal(cluster.includes("data"), false);
});

test("every server of a drill has sockets of its own, wherever the drill works", async () => {
  await using host = await openLocalHost();
  await using work = await scratchDirectory();
  await chmod(work.path, 0o755);
  const deep = join(work.path, "d".repeat(80));
  await mkdir(deep);
  const { uid } = host.user;
  for (const at of [work.path, deep]) {
    await using scratch = await Scratch.make(host, { uid, gid: 0 }, { work: at, keep: false, say: () => {} });
    const made = [await scratch.makeForSockets(), await scratch.makeForSockets()];
    assert.equal(new Set(made).size, 2);
    for (const path of made) assert.ok(`${path}/.s.PGSQL.5432`.length <= 107, path);
  }
});

test("the oldest server that is new enough is taken, and those that are not are told of", async () => {
  await using postgres = await startPostgres();
  await using host = await openLocalHost();
  const how = { signal: AbortSignal.timeout(600_000) };
  const { fit, found } = await findPrograms(host, ["/nonexistent", postgres.bin, postgres.bin], 10, how);
  assert.equal(fit?.directory, postgres.bin);
  assert.equal(found.length, 1);
  const none = await findPrograms(host, [postgres.bin], 99, how);
  assert.deepEqual([none.fit, none.found.length], [undefined, 1]);
});

test("an extension's package is named as Debian names it", () => {
  const named = ["hstore", "vector", "postgis", "plpython3u", "my_thing"].map((name) => packageOf(name, 16));
  assert.deepEqual(named, [
    "postgresql-contrib",
    "postgresql-16-pgvector",
    "postgresql-16-postgis-3",
    "postgresql-plpython3-16",
    "postgresql-16-my-thing",
  ]);
});

test("roles that roles.sql makes are found whatever their names", () => {
  const sql =
    'CREATE ROLE plain;\nALTER ROLE plain WITH LOGIN;\nCREATE ROLE "two words ""quoted""";\n-- CREATE ROLE not;\n';
  const facts = { owner: "plain", roles: ["plain", 'two words "quoted"', "not"] };
  assert.deepEqual(rolesMissingIn(parseRolesFile(sql), facts), ["not"]);
});

/** Command lines of processes that name a path. */
async function linesNaming(path: string): Promise<string[]> {
  const lines: string[] = [];
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const line = await readFile(`/proc/${name}/cmdline`, "utf8").catch(() => "");
    if (line.includes(path)) lines.push(line.replaceAll("\0", " "));
  }
  return lines;
}
