import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { openLocalHost } from "../../src/host/local.ts";
import { PackPool } from "../../src/pack/pool.ts";
import type { ReadParts } from "../../src/restore/choose.ts";
import type { SourceVerdict } from "../../src/verify/report.ts";
import { verifySources } from "../../src/verify/verify-sources.ts";
import { rehearse } from "../support/rehearsal.ts";
import { startRocksdbWriter } from "../support/rocksdb-writer.ts";
import { readPartsOf, TinyRepository } from "../support/tiny-repository.ts";
import { until } from "../support/until.ts";

const HOW = { signal: new AbortController().signal };

/** The verdicts of the newest snapshot; nothing may be left in the scratch directory. */
async function verdicts(parts: ReadParts): Promise<SourceVerdict[]> {
  const scratch = mkdtempSync(join(tmpdir(), "drops-test-verify-"));
  try {
    await using pool = new PackPool(1);
    const found = await verifySources(
      { ...parts, pool, openHost: openLocalHost },
      { choice: { date: "latest" }, scratch },
      HOW,
    );
    assert.deepEqual(readdirSync(scratch), []);
    return found;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Change one byte of every table, live or not. */
function hurtTables(database: string): void {
  for (const name of readdirSync(database).filter((each) => each.endsWith(".sst"))) {
    const bytes = readFileSync(join(database, name));
    const at = Math.floor(bytes.length / 3);
    bytes.writeUInt8((bytes[at] ?? 0) ^ 1, at);
    writeFileSync(join(database, name), bytes);
  }
}

for (const hurt of [false, true]) {
  test(`every block of a real RocksDB is read: one that was ${hurt ? "damaged" : "whole"} when it was backed up`, async () => {
    await using writer = await startRocksdbWriter({ families: 3 });
    const tables = () => readdirSync(writer.directory).filter((name) => name.endsWith(".sst")).length;
    await until("so many tables that not all are on their way into the MANIFEST", () => tables() >= 4);
    await writer.reached(writer.published() + 500);
    await writer.kill();
    if (hurt) hurtTables(writer.directory);
    await using rehearsal = await rehearse({
      sources: `  - { name: db, kind: rocksdb, path: ${writer.directory} }\n  - { name: words, kind: command, argv: [echo, some] }\n`,
    });
    await rehearsal.night();
    const [database, ...others] = await verdicts({
      ...readPartsOf(await TinyRepository.create()),
      store: rehearsal.store,
      trust: rehearsal.parts.trust,
      identities: [rehearsal.recovery.identity],
      now: () => new Date(),
    });
    assert.deepEqual(others, [], "a source without a check of its own has no verdict");
    assert.deepEqual([database?.name, database?.ok], ["db", !hurt]);
    const says = hurt
      ? /sst is damaged: the checksum/
      : /^sequence \d+; every block of [1-9]\d* tables and \d+ logs$/;
    assert.match(database?.detail ?? "", says);
  });
}

const dumps: readonly { says: string; dump: string; ok: boolean }[] = [
  { says: "an archive", dump: "PGDMP\x01\x0e\x00\x04\x08\x01and more of it", ok: true },
  { says: "a dump in another format", dump: "-- PostgreSQL database dump", ok: false },
  { says: "nothing at all", dump: "", ok: false },
];
for (const { says, dump, ok } of dumps) {
  test(`a PostgreSQL source whose dump is ${says}`, async () => {
    const tiny = await TinyRepository.create();
    const chunks = dump === "" ? [] : await tiny.pack(Buffer.from(dump, "latin1"));
    const source = await tiny.source({
      name: "db",
      kind: "postgres",
      entries: [{ path: "database.dump", chunks }],
    });
    await tiny.commit([source], { ended: "2026-11-20T01:30:00.000Z" });
    const found = await verdicts(readPartsOf(tiny));
    assert.deepEqual(
      found.map((verdict) => verdict.ok),
      [ok],
    );
  });
}
