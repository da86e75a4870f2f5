import assert from "node:assert/strict";
import { test } from "node:test";
import { isFailure } from "../src/lib/errors.ts";
import { faultyStore } from "./support/faulty-store.ts";
import { openMemoryStore } from "./support/memory-store.ts";

const how = { signal: new AbortController().signal };
const one = new Uint8Array([1]);

test("a call that fails before its effect has none, one that fails after has it", async () => {
  const inner = openMemoryStore();
  const store = faultyStore(inner, [
    { call: "put", nth: 2, when: "before" },
    { call: "put", nth: 3, when: "after" },
  ]);
  await store.put("a", one, how);
  await assert.rejects(store.put("b", one, how), (error) => isFailure(error, "store/unavailable"));
  await assert.rejects(store.put("c", one, how), (error) => isFailure(error, "store/unavailable"));
  await store.put("d", one, how);
  const keys: string[] = [];
  for await (const { key } of store.list("", how)) keys.push(key);
  assert.deepEqual(keys, ["a", "c", "d"]);
  assert.deepEqual(store.calls, ["put a", "put b", "put c", "put d", "list "]);
});

test("a fault is for the keys and calls that it names, may stay, and may throw what it likes", async () => {
  const store = faultyStore(openMemoryStore(), [
    { call: "get", key: /^p\/packs\//, nth: 2, stays: true, when: "before", error: () => new Error("gone") },
    { nth: 6, when: "before", error: () => undefined },
  ]);
  await store.put("p/packs/x", one, how);
  await store.put("p/list", one, how);
  await store.get("p/packs/x", { ...how, maxSize: 1 });
  for (let round = 0; round < 3; round++) {
    await assert.rejects(store.get("p/packs/x", { ...how, maxSize: 1 }), /gone/);
    await store.get("p/list", { ...how, maxSize: 1 });
  }
});
