import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { isFailure } from "../../src/lib/errors.ts";
import { mapLimit } from "../../src/lib/map-limit.ts";
import type { BlobVersion, Lock, VersionedStore } from "../../src/store/blob-store.ts";

const HOW = { signal: new AbortController().signal };
const DAY = 86_400_000;
const text = (words: string): Uint8Array => new TextEncoder().encode(words);
/** In whole seconds, as servers keep them. */
const inDays = (days: number): Date => new Date(Math.ceil((Date.now() + days * DAY) / 1000) * 1000);
const governed = (days: number): Lock => ({ mode: "governance", until: inDays(days) });

export interface Versioned {
  readonly store: VersionedStore;
  /** Past drops: what was there is hidden. */
  putOver(key: string, bytes: Uint8Array): Promise<void>;
  /** Past drops, as the owner, who does not bypass governance. */
  removeVersion(key: string, version: string): Promise<void>;
}

/** What every VersionedStore promises in a bucket with Object Lock. `open` answers an empty one each time. */
export function versionsContract(name: string, open: () => Promise<Versioned>): void {
  describe(name, () => {
    hidden(open);
    locks(open);
  });
}

function hidden(open: () => Promise<Versioned>): void {
  test("what was put over or removed is there still, those that landed last first", async () => {
    const { store, putOver } = await open();
    await using _ = store;
    await store.put("p/a", text("first"), HOW);
    await putOver("p/a", text("second!"));
    await store.put("p/b", text("b"), HOW);
    await store.remove("p/b", HOW);
    await store.put("p/b-c", text("beside"), HOW);
    const found = await versions(store, "p/");
    assert.deepEqual(
      found.map(({ key, size, isMarker, isLatest }) => [key, size, isMarker, isLatest]),
      [
        ["p/a", 7, false, true],
        ["p/a", 5, false, false],
        ["p/b", 0, true, true],
        ["p/b", 1, false, false],
        ["p/b-c", 6, false, true],
      ],
    );
    assert.deepEqual(
      (await all(store.list("", HOW))).map(({ key }) => key),
      ["p/a", "p/b-c"],
    );
    assert.deepEqual(
      (await versions(store, "p/b-")).map(({ key }) => key),
      ["p/b-c"],
    );
    const read = async ({ key, version, size }: BlobVersion): Promise<string> =>
      Buffer.from(await store.getVersion(key, version, { ...HOW, maxSize: size })).toString();
    const blobs = found.filter(({ isMarker }) => !isMarker);
    assert.deepEqual(await Promise.all(blobs.map(read)), ["second!", "first", "b", "beside"]);
    const [, first] = found;
    assert.ok(first);
    await assert.rejects(store.getVersion("p/a", first.version, { ...HOW, maxSize: 4 }), (error) =>
      isFailure(error, "data/damaged"),
    );
  });

  test("a version that is gone is missing", async () => {
    const { store, removeVersion } = await open();
    await using _ = store;
    await store.put("p/a", text("a"), HOW);
    const [only] = await versions(store, "p/a");
    assert.ok(only);
    await removeVersion("p/a", only.version);
    assert.deepEqual(await versions(store, ""), []);
    const gone = (error: unknown): boolean => isFailure(error, "store/missing");
    await assert.rejects(store.getVersion("p/a", only.version, { ...HOW, maxSize: 9 }), gone);
    await assert.rejects(store.lockOf("p/a", only.version, HOW), gone);
    await assert.rejects(store.extendLock("p/a", only.version, governed(1), HOW), gone);
  });

  test("a listing of more than a page is whole, though a name has more versions than a page holds", async () => {
    const { store, putOver } = await open();
    await using _ = store;
    await store.put("p/a", text("a"), HOW);
    const many = Array.from({ length: 1100 }, (_, at) => text(String(at)));
    for await (const _ of mapLimit(many, 16, (bytes) => putOver("p/m", bytes), HOW.signal));
    await store.put("p/z", text("z"), HOW);
    const found = await versions(store, "");
    assert.equal(found.length, 1102);
    assert.equal(new Set(found.map(({ key, version }) => `${key} ${version}`)).size, 1102);
    assert.deepEqual(
      [found.at(0)?.key, found.at(1)?.key, found.at(1)?.isLatest, found.at(-1)?.key],
      ["p/a", "p/m", true, "p/z"],
    );
  });
}

function locks(open: () => Promise<Versioned>): void {
  test("what is put with a lock is locked, what is put without is not", async () => {
    const { store, removeVersion } = await open();
    await using _ = store;
    const lock = governed(2);
    await store.put("p/locked", text("x"), { ...HOW, lock });
    await store.put("p/plain", text("x"), HOW);
    const [locked, plain] = await versions(store, "");
    assert.ok(locked && plain);
    assert.deepEqual(await store.lockOf("p/locked", locked.version, HOW), lock);
    assert.equal(await store.lockOf("p/plain", plain.version, HOW), undefined);
    await assert.rejects(removeVersion("p/locked", locked.version));
    await removeVersion("p/plain", plain.version);
    await store.remove("p/locked", HOW);
    assert.deepEqual(
      (await versions(store, "")).map(({ isMarker }) => isMarker),
      [true, false],
    );
    await assert.rejects(removeVersion("p/locked", locked.version), "hidden, and locked still");
  });

  test("a lock is extended, twice as once, and never shortened; only the version that was named", async () => {
    const { store, putOver } = await open();
    await using _ = store;
    await store.put("p/a", text("first"), HOW);
    await putOver("p/a", text("second"));
    const [second, first] = await versions(store, "");
    assert.ok(first && second);
    for (const days of [1, 3, 3]) await store.extendLock("p/a", first.version, governed(days), HOW);
    const reached = await store.lockOf("p/a", first.version, HOW);
    assert.ok(reached && reached.until >= inDays(2.9));
    await assert.rejects(store.extendLock("p/a", first.version, governed(2), HOW), (error) =>
      isFailure(error, "store/refused"),
    );
    assert.deepEqual(await store.lockOf("p/a", first.version, HOW), reached);
    assert.equal(await store.lockOf("p/a", second.version, HOW), undefined);
  });

  test("every call that is handed an aborted signal throws its reason", async () => {
    const { store } = await open();
    await using _ = store;
    await store.put("p/a", text("a"), HOW);
    const reason = new Error("the operator pressed Ctrl-C");
    const how = { signal: AbortSignal.abort(reason) };
    const isReason = (error: unknown): boolean => error === reason;
    await assert.rejects(all(store.listVersions("", how)), isReason);
    await assert.rejects(store.getVersion("p/a", "v", { ...how, maxSize: 1 }), isReason);
    await assert.rejects(store.lockOf("p/a", "v", how), isReason);
    await assert.rejects(store.extendLock("p/a", "v", governed(1), how), isReason);
  });
}

function versions(store: VersionedStore, prefix: string): Promise<BlobVersion[]> {
  return all(store.listVersions(prefix, HOW));
}

async function all<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const found: Item[] = [];
  for await (const item of items) found.push(item);
  return found;
}
