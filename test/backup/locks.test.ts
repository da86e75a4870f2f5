import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { DropsError, isFailure } from "../../src/lib/errors.ts";
import { decodeRecord } from "../../src/snapshot/record.ts";
import type { Lock } from "../../src/store/blob-store.ts";
import { listKey, manifestKey, signatureKey } from "../../src/store/keys.ts";
import { fixedBytes } from "../support/fixed-bytes.ts";
import { rehearse } from "../support/rehearsal.ts";
import { VersionedMemory } from "../support/versioned-memory.ts";

const HOW = { signal: new AbortController().signal };
const until = (year: number): Lock => ({ mode: "governance", until: new Date(`${year}-01-01T00:00:00Z`) });
const LOCKS = { snapshot: until(2101), passing: until(2100) };
const SOURCES = `  - { name: first, kind: files, paths: ["@DIR@/first"] }
  - { name: second, kind: command, argv: [cat, "@DIR@/second"] }
`;

async function lockedRehearsal(store: VersionedMemory) {
  const rehearsal = await rehearse({
    sources: SOURCES,
    store,
    checkpoint: { afterBytes: 1_500_000, afterMs: 2 ** 40 },
  });
  await writeFile(join(rehearsal.directory, "first"), fixedBytes("first", 6_000_000));
  await writeFile(join(rehearsal.directory, "second"), fixedBytes("second", 100_000));
  return rehearsal;
}

/** By key: until which year it is locked. */
async function years(store: VersionedMemory): Promise<Map<string, number | undefined>> {
  const found = new Map<string, number | undefined>();
  for await (const { key, version } of store.listVersions("rehearsal/", HOW))
    found.set(key, (await store.lockOf(key, version, HOW))?.until.getUTCFullYear());
  return found;
}

test("what the snapshot needs is locked for it; checkpoints and what only they refer to, for the margin", async () => {
  const store = new VersionedMemory();
  await using rehearsal = await lockedRehearsal(store);
  const { key, checkpoints } = await rehearsal.night({ locks: () => LOCKS });
  assert.ok(checkpoints > 0);
  const { sources } = decodeRecord(await store.get(key, { ...HOW, maxSize: 1e6 }), key);
  const needed = new Set([key, signatureKey(key)]);
  for (const { list, manifest } of sources) {
    needed.add(listKey("rehearsal", list?.sha256 ?? ""));
    needed.add(manifestKey("rehearsal", manifest?.sha256 ?? ""));
  }
  const passing: string[] = [];
  for (const [name, year] of await years(store)) {
    const isLasting = /\/(packs|lists)\//.test(name) || needed.has(name);
    assert.equal(year, isLasting ? 2101 : 2100, name);
    if (!isLasting) passing.push(name.split("/")[1] ?? "");
  }
  assert.deepEqual([...new Set(passing)].sort(), ["manifests", "snapshots"]);
});

test("a partial snapshot is locked for the margin", async () => {
  const store = new VersionedMemory();
  await using rehearsal = await lockedRehearsal(store);
  const { key, record } = await rehearsal.night({ locks: () => LOCKS }, { only: ["second"] });
  assert.equal(record.state, "partial");
  assert.equal((await years(store)).get(key), 2100);
});

test("without the wish nothing is locked", async () => {
  const store = new VersionedMemory();
  await using rehearsal = await lockedRehearsal(store);
  await rehearsal.night();
  assert.deepEqual([...new Set((await years(store)).values())], [undefined]);
});

test("a store that does not lock what it took commits nothing", async () => {
  const store = new VersionedMemory();
  await using rehearsal = await lockedRehearsal(store);
  const refusing = new Proxy(store, {
    get: (target, name) => {
      if (name !== "put") return Reflect.get(target, name).bind?.(target) ?? Reflect.get(target, name);
      return async (key: string, bytes: Uint8Array, how: { signal: AbortSignal; lock?: Lock }) => {
        await target.put(key, bytes, { signal: how.signal });
        if (how.lock) throw new DropsError("store/refused", `${key} is not locked as requested: not at all`);
      };
    },
  });
  await assert.rejects(rehearsal.night({ store: refusing, locks: () => LOCKS }), (error) =>
    isFailure(error, "store/refused"),
  );
  assert.deepEqual(
    [...(await years(store)).keys()].filter((key) => key.includes("/snapshots/")),
    [],
  );
});
