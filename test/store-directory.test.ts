import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import {
  chmod,
  chown,
  mkdir,
  mkdtemp,
  readdir,
  rename,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, test } from "node:test";
import { DropsError, type FailureCode } from "../src/lib/errors.ts";
import type { BlobStore } from "../src/store/blob-store.ts";
import { openDirectoryStore } from "../src/store/directory.ts";

const how = { signal: new AbortController().signal };
const bytes = Buffer.from("some bytes");
const scratch = await mkdtemp(join(tmpdir(), "drops-directory-"));
after(() => rm(scratch, { recursive: true }));
let counter = 0;
const freshPath = (): string => join(scratch, `repository-${counter++}`);

test("opening what is not there is store/unavailable, unless it is to be made", async () => {
  const path = freshPath();
  await fails("store/unavailable", /is not there/, openDirectoryStore(path));
  await using store = await openDirectoryStore(path, { create: true });
  assert.equal(store.label, path);
  assert.equal((await stat(path)).mode & 0o777, 0o700);
  await using again = await openDirectoryStore(path, { create: true });
  assert.deepEqual(await listed(again), []);
});

test("a file is no repository", async () => {
  const path = freshPath();
  await writeFile(path, "");
  await fails("store/refused", /not a directory/, openDirectoryStore(path));
  await fails("store/refused", /not a directory/, openDirectoryStore(path, { create: true }));
  await fails("store/refused", /not a directory/, openDirectoryStore(join(path, "below"), { create: true }));
});

test("only its owner may read what lands", async () => {
  const path = freshPath();
  await using store = await openDirectoryStore(path, { create: true });
  await store.put("p/packs/00/x", bytes, how);
  for (const directory of ["p", "p/packs", "p/packs/00"]) {
    assert.equal((await stat(join(path, directory))).mode & 0o777, 0o700, directory);
  }
  assert.equal((await stat(join(path, "p/packs/00/x"))).mode & 0o777, 0o600);
});

test("symlinks below the repository are neither followed nor listed", async () => {
  const path = freshPath();
  const outside = freshPath();
  await mkdir(outside);
  await writeFile(join(outside, "secret"), "not ours");
  await using store = await openDirectoryStore(path, { create: true });
  await store.put("p/a", bytes, how);
  await symlink(outside, join(path, "p/away"));
  await symlink(join(outside, "secret"), join(path, "p/link"));
  await symlink("a", join(path, "p/inner"));
  assert.deepEqual(await listed(store), ["p/a"]);
  for (const key of ["p/away/secret", "p/link", "p/inner"]) {
    await fails(
      "data/damaged",
      /never holds|does not belong in a repository/,
      store.get(key, { ...how, maxSize: 99 }),
    );
  }
  await fails("data/damaged", /does not belong in a repository/, store.put("p/away/new", bytes, how));
  await fails("data/damaged", /does not belong in a repository/, store.put("p/away/deep/new", bytes, how));
  await fails("data/damaged", /does not belong in a repository/, store.remove("p/away/secret", how));
  await fails("store/exists", /exists already/, store.put("p/link", bytes, how));
  assert.deepEqual(await readdir(outside), ["secret"]);
});

test("the repository's own path may be a symlink", async () => {
  const path = freshPath();
  await using store = await openDirectoryStore(path, { create: true });
  await store.put("p/a", bytes, how);
  const link = freshPath();
  await symlink(path, link);
  await using linked = await openDirectoryStore(link);
  assert.ok(bytes.equals(await linked.get("p/a", { ...how, maxSize: 99 })));
});

test("a FIFO or a directory where a blob belongs is damage, and holds nobody up", async () => {
  const path = freshPath();
  await using store = await openDirectoryStore(path, { create: true });
  await mkdir(join(path, "p/dir"), { recursive: true });
  execFileSync("mkfifo", [join(path, "p/fifo")]);
  await fails("data/damaged", /not a file/, store.get("p/fifo", { ...how, maxSize: 99 }));
  await fails("data/damaged", /not a file/, store.get("p/dir", { ...how, maxSize: 99 }));
  assert.deepEqual(await listed(store), []);
});

test("what a killed run left is never listed, and swept by the first put when it is older than a day", async () => {
  const path = freshPath();
  await using first = await openDirectoryStore(path, { create: true });
  await first.put("p/a", bytes, how);
  const incoming = join(path, "+incoming");
  const [old, young] = ["0", "f"].map((digit) => digit.repeat(32)) as [string, string];
  assert.deepEqual(await readdir(incoming), []);
  await writeFile(join(incoming, old), "half a pack");
  await writeFile(join(incoming, young), "half a pack");
  const twoDaysAgo = new Date(Date.now() - 48 * 3_600_000);
  await utimes(join(incoming, old), twoDaysAgo, twoDaysAgo);
  // whoever owns the directory could have put a link to another one in this place: what drops did not make stays
  await writeFile(join(incoming, "passwd"), "");
  await utimes(join(incoming, "passwd"), twoDaysAgo, twoDaysAgo);
  await using store = await openDirectoryStore(path);
  assert.deepEqual(await listed(store), ["p/a"]);
  assert.deepEqual((await readdir(incoming)).sort(), [old, young, "passwd"]);
  await store.put("p/b", bytes, how);
  assert.deepEqual((await readdir(incoming)).sort(), [young, "passwd"]);
});

test("a failed put leaves nothing behind", async () => {
  const path = freshPath();
  await using store = await openDirectoryStore(path, { create: true });
  await store.put("p/a", bytes, how);
  await fails("store/exists", /exists already/, store.put("p/a", bytes, how));
  await fails("data/damaged", /SHA-256/, store.put("p/b", bytes, { ...how, sha256: "0".repeat(64) }));
  await fails(
    "data/damaged",
    /a file is where a directory belongs|never holds/,
    store.put("p/a/below", bytes, how),
  );
  assert.deepEqual(await readdir(join(path, "+incoming")), []);
  assert.deepEqual(await listed(store), ["p/a"]);
});

test("an unmounted disk is store/unavailable, not an empty repository", async () => {
  const path = freshPath();
  await using store = await openDirectoryStore(path, { create: true });
  await store.put("p/a", bytes, how);
  await rename(path, `${path}-away`);
  await fails("store/unavailable", /is not there/, store.get("p/a", { ...how, maxSize: 99 }));
  await fails("store/unavailable", /is not there/, listed(store));
  await fails("store/unavailable", /is not there/, store.put("p/b", bytes, how));
  await fails("store/unavailable", /is not there/, store.remove("p/a", how));
});

test("a full disk is space/low, and the disk holds no half pack", async () => {
  assert.equal(process.getuid?.(), 0, "mounting a small file system takes root");
  const path = freshPath();
  await mkdir(path);
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=2m,mode=0700", "tmpfs", path]);
  try {
    await using store = await openDirectoryStore(path);
    await store.put("p/fits", Buffer.alloc(1_000_000), how);
    await fails("space/low", /full/, store.put("p/too-large", Buffer.alloc(4_000_000), how));
    assert.deepEqual(await listed(store), ["p/fits"]);
    assert.deepEqual(await readdir(join(path, "+incoming")), []);
    await store.put("p/fits-too", Buffer.alloc(500_000), how);
    execFileSync("mount", ["-o", "remount,ro", path]);
    await fails("store/refused", /read-only/, store.put("p/late", bytes, how));
    await fails("store/refused", /read-only/, store.remove("p/fits", how));
    assert.equal((await store.get("p/fits", { ...how, maxSize: 1_000_000 })).length, 1_000_000);
  } finally {
    execFileSync("umount", [path]);
  }
});

test("a user without permission is store/refused", async () => {
  const path = freshPath();
  await using store = await openDirectoryStore(path, { create: true });
  await store.put("p/a", bytes, how);
  await chmod(scratch, 0o711);
  // Another process, as root may do anything here.
  const script = `
    import { openDirectoryStore } from ${JSON.stringify(new URL("../src/store/directory.ts", import.meta.url).href)};
    process.setgid(65534); process.setuid(65534);
    const how = { signal: new AbortController().signal };
    const said = [];
    const note = (error) => said.push(error.code);
    const store = await openDirectoryStore(${JSON.stringify(path)}).catch(note);
    if (typeof store === "object") await use(store);
    async function use(store) {
      await store.get("p/a", { ...how, maxSize: 99 }).catch(note);
      await store.put("p/b", new Uint8Array(1), how).catch(note);
      try { for await (const _ of store.list("", how)); } catch (error) { note(error); }
    }
    console.log(JSON.stringify(said));`;
  const said = (): unknown =>
    JSON.parse(
      execFileSync(process.execPath, ["--input-type=module-typescript", "-e", script], { encoding: "utf8" }),
    );
  assert.deepEqual(said(), ["store/refused", "store/refused", "store/refused"]);
  await chown(path, 65534, 65534);
  await chmod(join(path, "p"), 0o700);
  assert.deepEqual(said(), ["store/refused", "store/refused", "store/refused"]);
});

test("kill -9 at any moment: what is listed is whole", async () => {
  const path = freshPath();
  const url = (file: string): string => JSON.stringify(new URL(file, import.meta.url).href);
  const script = `
    import { createHash, randomBytes } from "node:crypto";
    import { openDirectoryStore } from ${url("../src/store/directory.ts")};
    const how = { signal: new AbortController().signal };
    const store = await openDirectoryStore(${JSON.stringify(path)}, { create: true });
    console.log("ready");
    for (;;) {
      const bytes = randomBytes(300_000);
      const hash = createHash("sha256").update(bytes).digest("hex");
      await store.put("p/packs/" + hash.slice(0, 2) + "/" + hash, bytes, { ...how, sha256: hash });
      console.log("put");
    }`;
  for (let round = 0; round < 8; round++) {
    const child = spawn(process.execPath, ["--input-type=module-typescript", "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    for (let puts = 0; puts <= round; puts++) await lines.next(); // the first line says that it is ready
    setTimeout(() => child.kill("SIGKILL"), 20 + round * 13);
    await once(child, "close");
  }
  await using store = await openDirectoryStore(path);
  const keys = await listed(store);
  assert.ok(keys.length > 0, "some blobs were stored");
  for (const key of keys) {
    const found = await store.get(key, { ...how, maxSize: 300_000 });
    assert.equal(createHash("sha256").update(found).digest("hex"), key.slice(-64));
  }
});

async function listed(store: BlobStore): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list("", how)) keys.push(key);
  return keys;
}

async function fails(code: FailureCode, says: RegExp, work: Promise<unknown>): Promise<void> {
  await assert.rejects(work, (error) => {
    assert.ok(error instanceof DropsError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, says);
    return true;
  });
}
