import assert from "node:assert/strict";
import { cp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { drillNewest } from "../support/drillable.ts";
import { rehearse } from "../support/rehearsal.ts";

/** Written by `ldb load --compression_type=lz4` of Debian's RocksDB 7.8.3; the library from npm is built without LZ4. */
const LZ4 = fileURLToPath(new URL("../golden/rocksdb-lz4", import.meta.url));
const LIBRARY = "homeserver-db/library";

async function drill({ requireLibrary = false, tear = false }) {
  await using rehearsal = await rehearse({
    sources: `  - { name: homeserver-db, kind: rocksdb, path: "@DIR@/db", min_free: 1MiB }`,
  });
  const directory = join(rehearsal.directory, "db");
  await cp(LZ4, directory, { recursive: true });
  await writeFile(join(directory, "000009.log"), "");
  if (tear) {
    const table = join(directory, "000013.sst");
    const bytes = await readFile(table);
    bytes[100] = (bytes[100] ?? 0) ^ 1;
    await writeFile(table, bytes);
  }
  await rehearsal.night();
  return await drillNewest({ rehearsal, postgres: { bin: "/nonexistent" } }, { requireLibrary });
}

test("LZ4 that the library was built without: it could not run, and drops' own readers decide", async () => {
  const { verdict, book } = await drill({});
  assert.deepEqual(
    book.checks.filter(({ outcome }) => outcome !== "passed"),
    [],
  );
  assert.equal(verdict, "proven");
  const why = book.notTested.find(({ what }) => /real RocksDB library/.test(what))?.why ?? "";
  assert.match(
    why,
    /cannot read it: .*Unsupported compression method for this build: LZ4; drops' own readers/,
  );
});

test("LZ4 with --require-library: the check with the library could not run, and nothing is damaged", async () => {
  const { verdict, book } = await drill({ requireLibrary: true });
  assert.equal(verdict, "unproven");
  const bad = book.checks.filter(({ outcome }) => outcome !== "passed");
  assert.deepEqual(
    bad.map(({ id, outcome }) => [id, outcome]),
    [[LIBRARY, "could-not-run"]],
  );
  assert.match(bad[0]?.found ?? "", /Unsupported compression method for this build: LZ4$/);
  assert.match(bad[0]?.hint ?? "", /without --require-library/);
});

test("a torn LZ4 block is damage, whatever the library can read", async () => {
  const { book } = await drill({ tear: true });
  const bad = book.checks.filter(({ outcome }) => outcome !== "passed");
  assert.deepEqual(
    bad.map(({ id, outcome }) => [id, outcome]),
    [["homeserver-db/blocks", "damaged"]],
  );
});
