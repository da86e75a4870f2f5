import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { test } from "node:test";
import { isFailure } from "../src/lib/errors.ts";
import { heldBytes } from "../src/retention/held.ts";
import { belowWhatHides } from "../src/store/version-index.ts";
import { openMemoryStore } from "./support/memory-store.ts";
import { VersionedMemory } from "./support/versioned-memory.ts";

const HOW = { signal: new AbortController().signal };
const text = (words: string): Buffer => Buffer.from(words);
const read = async (store: VersionedMemory, key: string): Promise<string> =>
  Buffer.from(await belowWhatHides(store).get(key, { ...HOW, maxSize: 99 })).toString();

test("what was put over or removed is read as it landed first; a hash is the one that has it", async () => {
  const store = new VersionedMemory();
  const named = `p/packs/${hash("sha256", "right", "hex")}`;
  await store.put("p/record.json", text("first"), HOW);
  store.putOver("p/record.json", text("second"));
  store.putOver(named, text("wrong"));
  store.putOver(named, text("right"));
  store.putOver(named, text("later"));
  await store.put("p/gone", text("gone"), HOW);
  await store.remove("p/gone", HOW);
  assert.deepEqual(await Promise.all(["p/record.json", named, "p/gone"].map((key) => read(store, key))), [
    "first",
    "right",
    "gone",
  ]);
  const keys: string[] = [];
  for await (const { key } of belowWhatHides(store).list("p/", HOW)) keys.push(key);
  assert.deepEqual(keys, ["p/gone", named, "p/record.json"].sort());
});

test("a hash that no version has is answered as it is, for whoever asked to refuse; a name that never was is missing", async () => {
  const store = new VersionedMemory();
  const named = `p/packs/${hash("sha256", "right", "hex")}`;
  store.putOver(named, text("wrong"));
  assert.equal(await read(store, named), "wrong");
  await assert.rejects(read(store, "p/never"), (error) => isFailure(error, "store/missing"));
});

test("held is what is neither current nor a marker; nothing where no versions are kept", async () => {
  const store = new VersionedMemory();
  await store.put("p/a", text("12345"), HOW);
  store.putOver("p/a", text("1"));
  await store.put("p/b", text("123"), HOW);
  await store.remove("p/b", HOW);
  await store.put("p/c", text("current"), HOW);
  await store.put("q/d", text("another policy's"), HOW);
  await store.remove("q/d", HOW);
  assert.deepEqual(await heldBytes(store, "p", HOW), { objects: 2, bytes: 8 });
  assert.deepEqual(await heldBytes(openMemoryStore(), "p", HOW), { objects: 0, bytes: 0 });
});
