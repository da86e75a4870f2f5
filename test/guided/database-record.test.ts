import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { RecordDirectory } from "../../src/guided/database/record.ts";
import { openLocalHost } from "../../src/host/local.ts";
import { isFailure } from "../../src/lib/errors.ts";
import { scratchDirectory } from "../support/scratch.ts";

// root works in a directory of the user that PostgreSQL's programs run as, who may swap what is in it
const how = { signal: AbortSignal.timeout(60_000) };
const stack = new AsyncDisposableStack();
after(() => stack.disposeAsync());
const host = stack.use(await openLocalHost());
const scratch = stack.use(await scratchDirectory());
chmodSync(scratch.path, 0o755);

async function directory(
  name: string,
  script: string,
): Promise<{ made: RecordDirectory; path: string; vault: string }> {
  const above = join(scratch.path, name);
  const vault = join(scratch.path, `${name}-vault`);
  mkdirSync(above);
  mkdirSync(vault, { mode: 0o700 });
  const made = new RecordDirectory(host, { above, name: "database-x", runAs: "nobody" });
  await made.make(how);
  execFileSync("sh", ["-ec", `echo secret >"$1/database.dump"; chmod 600 "$1/database.dump"`, "sh", vault]);
  const words = [
    "--reuid",
    "nobody",
    "--regid",
    "nogroup",
    "--clear-groups",
    "sh",
    "-ec",
    `cd "$1"; ${script}`,
  ];
  execFileSync("setpriv", [...words, "sh", made.path, vault]);
  return { made, path: made.path, vault };
}

test("the dump is given to the one who loads it", async () => {
  const { made, path } = await directory(
    "given",
    "mkdir load; echo dump >load/database.dump; chmod 700 load",
  );
  assert.ok(await made.giveDump("daemon", how));
  const owner = execFileSync("stat", [
    "-c",
    "%U:%a",
    path,
    join(path, "load"),
    join(path, "load/database.dump"),
  ]);
  assert.equal(owner.toString(), "nobody:701\nnobody:755\ndaemon:644\n");
});

test("a link in the place of what is given leads root nowhere", async () => {
  const { made, vault } = await directory("linked", 'ln -s "$2" load');
  assert.equal(await made.giveDump("daemon", how), false);
  const owners = execFileSync("stat", ["-c", "%U:%a", vault, join(vault, "database.dump")]);
  assert.equal(owners.toString(), "root:700\nroot:600\n");

  const dump = await directory("dump", 'mkdir load; ln -s "$2/database.dump" load/database.dump');
  await dump.made.giveDump("daemon", how);
  assert.equal(statSync(join(dump.vault, "database.dump")).uid, 0);
});

test("a link or a FIFO in the place of the record is not read", async () => {
  assert.equal(await (await directory("none", ":")).made.read(how), undefined);
  const linked = await directory("record", 'ln -s "$2/database.dump" database.json');
  // root sees it, and does not follow it
  assert.ok(existsSync(join(linked.path, "database.json")));
  await assert.rejects(linked.made.read(how), (error) => isFailure(error, "host/command-failed"));
  const fifo = await directory("fifo", "mkfifo database.json");
  await assert.rejects(fifo.made.read(how), (error) => isFailure(error, "data/damaged"));
});
