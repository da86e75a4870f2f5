import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { describe, test } from "node:test";
import { type FailureCode, isFailure } from "../../src/lib/errors.ts";
import { mapLimit } from "../../src/lib/map-limit.ts";
import type { BlobInfo, BlobStore } from "../../src/store/blob-store.ts";

const MiB = 1024 * 1024;
const how = { signal: new AbortController().signal };
const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
const text = (words: string): Uint8Array => new TextEncoder().encode(words);

/** What a store's server does not do, so that the adapter cannot promise it. */
export interface Lacks {
  /** It keeps none. */
  readonly checksums?: boolean;
  /** It takes If-None-Match and does not heed it: a key that is taken is told only when it was taken before. */
  readonly createOnly?: boolean;
}

/** What every BlobStore promises. `open` answers an empty store each time. */
export function storeContract(name: string, open: () => Promise<BlobStore>, lacks: Lacks = {}): void {
  describe(name, () => {
    blobs(open, lacks);
    listings(open);
    races(open, lacks);
    cancels(open);
  });
}

/** A lock that was asked for is never left out silently. */
export function lockless(name: string, open: () => Promise<BlobStore>): void {
  test(`${name}: what cannot be locked is not put`, async () => {
    await using store = await open();
    const lock = { mode: "governance", until: new Date(Date.now() + 86_400_000) } as const;
    await fails("store/refused", store.put("p/a", text("a"), { ...how, lock }));
    assert.deepEqual(await keys(store, ""), []);
    await store.put("p/a", text("a"), how);
  });
}

function blobs(open: () => Promise<BlobStore>, lacks: Lacks): void {
  test("a blob comes back byte for byte, of any size", async () => {
    await using store = await open();
    const sizes = [0, 1, 255, 65_536, 3 * MiB + 1, 32 * MiB];
    for (const size of sizes) {
      const bytes = randomBytes(size);
      const hash = sha256(bytes);
      await store.put(`p/packs/${hash.slice(0, 2)}/${hash}`, bytes, { ...how, sha256: hash });
      const back = await store.get(`p/packs/${hash.slice(0, 2)}/${hash}`, { ...how, maxSize: size });
      assert.equal(back.length, size);
      assert.ok(bytes.equals(back), `${size} bytes are the same`);
    }
  });

  test("what is given to put may be a window of a larger buffer, and may change afterwards", async () => {
    await using store = await open();
    const buffer = Buffer.from("...middle...");
    await store.put("p/window", buffer.subarray(3, 9), how);
    buffer.fill("x");
    assert.equal(Buffer.from(await store.get("p/window", { ...how, maxSize: 99 })).toString(), "middle");
  });

  test("what get answers belongs to the caller", async () => {
    await using store = await open();
    await store.put("p/a", text("abc"), how);
    (await store.get("p/a", { ...how, maxSize: 3 })).fill(0);
    assert.equal(Buffer.from(await store.get("p/a", { ...how, maxSize: 3 })).toString(), "abc");
  });

  test("a blob may be read into memory that is given, shared memory too; nothing behind it is touched", async () => {
    await using store = await open();
    await store.put("p/into", text("0123456789"), how);
    for (const memory of [new ArrayBuffer(16), new SharedArrayBuffer(16), new ArrayBuffer(4)]) {
      const into = new Uint8Array(memory).fill(0x2e);
      const back = await store.get("p/into", { ...how, maxSize: 10, into });
      assert.equal(Buffer.from(back).toString(), "0123456789");
      assert.match(Buffer.from(into).toString(), /^(0123456789|\.{10})?\.*$/);
    }
  });

  test("a blob's checksum is the SHA-256 of its bytes, of any size", async () => {
    await using store = await open();
    for (const size of [0, 1, 65_536, 3 * MiB + 1]) {
      const bytes = randomBytes(size);
      await store.put(`p/sized-${size}`, bytes, how);
      const wanted = lacks.checksums ? undefined : sha256(bytes);
      assert.equal(await store.checksum(`p/sized-${size}`, how), wanted, `${size} bytes`);
    }
    await fails("store/missing", store.checksum("p/nothing", how));
  });

  test("a key that is not there is missing", async () => {
    await using store = await open();
    await fails("store/missing", store.get("p/nothing/here", { ...how, maxSize: 9 }));
    await store.put("p/nothing/beside", text("x"), how);
    await fails("store/missing", store.get("p/nothing/here", { ...how, maxSize: 9 }));
  });

  test("a blob longer than maxSize is refused, one as long is not", async () => {
    await using store = await open();
    await store.put("p/ten", text("0123456789"), how);
    await fails("data/damaged", store.get("p/ten", { ...how, maxSize: 9 }));
    assert.equal((await store.get("p/ten", { ...how, maxSize: 10 })).length, 10);
  });

  test("a taken key is not overwritten", async () => {
    await using store = await open();
    await store.put("p/record.json", text("first"), how);
    await fails("store/exists", store.put("p/record.json", text("second"), how));
    assert.equal(Buffer.from(await store.get("p/record.json", { ...how, maxSize: 9 })).toString(), "first");
  });

  test("bytes that are not what sha256 announced do not land", async () => {
    await using store = await open();
    const announced = sha256(text("what was meant"));
    await fails("data/damaged", store.put("p/wrong", text("what was sent"), { ...how, sha256: announced }));
    assert.deepEqual(await keys(store, ""), []);
  });

  test("removing is final, and removing what is gone succeeds", async () => {
    await using store = await open();
    await store.put("p/a", text("a"), how);
    await store.put("p/ab", text("ab"), how);
    await store.remove("p/a", how);
    await store.remove("p/a", how);
    await store.remove("q/never", how);
    assert.deepEqual(await keys(store, ""), ["p/ab"]);
    await store.put("p/a", text("again"), how);
    assert.equal((await store.get("p/a", { ...how, maxSize: 9 })).length, 5);
  });

  test("many are removed at once: all of them, nothing else, gone ones too", async () => {
    await using store = await open();
    const named = Array.from({ length: 1203 }, (_, at) => `p/packs/${String(at).padStart(5, "0")}`);
    const puts = mapLimit(each(named), 16, (key) => store.put(key, text(key), how), how.signal);
    for await (const _ of puts);
    const spared = named.filter((_, at) => at % 401 === 7);
    const removed = named.filter((key) => !spared.includes(key));
    await store.removeAll([], how);
    await store.removeAll([...removed, "p/packs/never", "q/never"], how);
    assert.deepEqual(await keys(store, ""), spared);
    await store.removeAll(removed, how);
    assert.deepEqual(await keys(store, ""), spared);
  });

  test("a key that leads out of the repository is a bug, not a request", async () => {
    await using store = await open();
    for (const key of ["../x", "a/../../x", "/etc/passwd", "", "a//b", "a/./b", "a b"]) {
      await assert.rejects(store.put(key, text("x"), how), TypeError, key);
      await assert.rejects(store.get(key, { ...how, maxSize: 1 }), TypeError, key);
      await assert.rejects(store.remove(key, how), TypeError, key);
      await assert.rejects(store.removeAll(["p/fine", key], how), TypeError, key);
    }
  });

  test("the store's clock is about right", async () => {
    await using store = await open();
    assert.ok(Math.abs((await store.now(how)).getTime() - Date.now()) < 60_000);
  });
}

function listings(open: () => Promise<BlobStore>): void {
  test("a listing is in key order, holds sizes and times, and is bounded by its prefix", async () => {
    await using store = await open();
    const began = Date.now();
    const all = [
      "p/a",
      "p/a-b/c",
      "p/a.b",
      "p/a/b",
      "p/a0",
      "p/b/packs/00/x",
      "p/b/packs/ff/y",
      "pq/z",
      "repository.json",
    ];
    // A file system has no room for both a file and a directory of one name, and no repository needs it.
    const stored = all.filter((key) => key !== "p/a");
    for (const key of [...stored].reverse()) await store.put(key, text(key), how);
    const listed = await infos(store, "");
    assert.deepEqual(
      listed.map(({ key, size }) => [key, size]),
      stored.map((key) => [key, key.length]),
    );
    for (const { modified } of listed) {
      assert.ok(modified.getTime() > began - 60_000 && modified.getTime() < Date.now() + 60_000);
    }
    const table: readonly [prefix: string, found: readonly string[]][] = [
      ["p/", stored.filter((key) => key.startsWith("p/"))],
      ["p", stored.filter((key) => key.startsWith("p"))],
      ["p/a", ["p/a-b/c", "p/a.b", "p/a/b", "p/a0"]],
      ["p/a/", ["p/a/b"]],
      ["p/b/packs/", ["p/b/packs/00/x", "p/b/packs/ff/y"]],
      ["p/b/packs/f", ["p/b/packs/ff/y"]],
      ["repository.json", ["repository.json"]],
      ["nothing/", []],
      ["../", []],
    ];
    for (const [prefix, found] of table) assert.deepEqual(await keys(store, prefix), found, prefix);
  });

  test("a listing of more than two pages is whole", async () => {
    await using store = await open();
    const blobs = new Map<string, Uint8Array>();
    for (let at = 0; at < 2010; at++) {
      const hash = sha256(text(String(at)));
      blobs.set(`p/packs/${hash.slice(0, 1)}/${hash}`, text(String(at)));
    }
    const wanted = [...blobs.keys()].sort();
    const puts = mapLimit(each([...blobs]), 16, ([key, bytes]) => store.put(key, bytes, how), how.signal);
    for await (const _ of puts);
    assert.deepEqual(await keys(store, "p/packs/"), wanted);
    let seen = 0;
    for await (const _ of store.list("p/", how)) if (++seen === 1500) break; // a reader may stop early
    assert.equal(seen, 1500);
  });
}

function races(open: () => Promise<BlobStore>, lacks: Lacks): void {
  test("of many writers of one key exactly one wins, and its bytes are there whole", async () => {
    await using store = await open();
    for (let round = 0; round < 5; round++) {
      const key = `p/snapshots/${round}.json`;
      const bodies = Array.from({ length: 8 }, (_, at) => randomBytes(20_000 + at));
      const results = await Promise.allSettled(bodies.map((body) => store.put(key, body, how)));
      const won = results.flatMap((result, at) => (result.status === "fulfilled" ? [at] : []));
      if (lacks.createOnly) assert.ok(won.length >= 1, `nobody won in round ${round}`);
      else assert.equal(won.length, 1, `one winner in round ${round}`);
      for (const result of results) {
        if (result.status === "rejected")
          assert.ok(isFailure(result.reason, "store/exists"), String(result.reason));
      }
      const back = await store.get(key, { ...how, maxSize: 30_000 });
      assert.ok(won.some((at) => bodies[at]?.equals(back)));
    }
  });

  test("a reader beside a writer sees all of a blob or none", async () => {
    await using store = await open();
    const body = randomBytes(4 * MiB);
    let running = true;
    const reading = (async () => {
      const sizes = new Set<number>();
      while (running) {
        for await (const { size } of store.list("p/", how)) sizes.add(size);
        const got = await store.get("p/big", { ...how, maxSize: body.length }).catch((error: unknown) => {
          assert.ok(isFailure(error, "store/missing"), String(error));
        });
        if (got) assert.ok(body.equals(got));
      }
      return sizes;
    })();
    await store.put("p/big", body, how);
    await store.get("p/big", { ...how, maxSize: body.length });
    running = false;
    for (const size of await reading) assert.equal(size, body.length);
  });
}

function cancels(open: () => Promise<BlobStore>): void {
  const reason = new Error("the operator pressed Ctrl-C");

  test("every call that is handed an aborted signal throws its reason", async () => {
    await using store = await open();
    await store.put("p/a", text("a"), how);
    const aborted = { signal: AbortSignal.abort(reason) };
    const isReason = (error: unknown): boolean => error === reason;
    await assert.rejects(store.get("p/a", { ...aborted, maxSize: 9 }), isReason);
    await assert.rejects(store.put("p/b", text("b"), aborted), isReason);
    await assert.rejects(store.remove("p/a", aborted), isReason);
    await assert.rejects(store.removeAll(["p/a"], aborted), isReason);
    await assert.rejects(store.now(aborted), isReason);
    await assert.rejects(store.checksum("p/a", aborted), isReason);
    await assert.rejects(async () => {
      for await (const _ of store.list("", aborted));
    }, isReason);
    assert.deepEqual(await keys(store, ""), ["p/a"]);
  });

  test("a put that is aborted on its way lands whole or not at all", async () => {
    await using store = await open();
    const body = randomBytes(32 * MiB);
    let stopped = 0;
    for (const delay of [0, 1, 3, 10]) {
      const abort = new AbortController();
      const put = store.put(`p/cut-${delay}`, body, { signal: abort.signal });
      setTimeout(() => abort.abort(reason), delay);
      await put.catch((error: unknown) => {
        assert.equal(error, reason);
        stopped += 1;
      });
    }
    for (const { size } of await infos(store, "")) assert.equal(size, body.length);
    assert.ok(stopped <= 4);
  });
}

async function infos(store: BlobStore, prefix: string): Promise<BlobInfo[]> {
  const found: BlobInfo[] = [];
  for await (const info of store.list(prefix, how)) found.push(info);
  return found;
}

async function keys(store: BlobStore, prefix: string): Promise<string[]> {
  return (await infos(store, prefix)).map(({ key }) => key);
}

async function* each<Item>(items: readonly Item[]): AsyncGenerator<Item> {
  yield* items;
}

async function fails(code: FailureCode, work: Promise<unknown>): Promise<void> {
  await assert.rejects(work, (error) => {
    assert.ok(isFailure(error, code), `${code} was expected, not ${String(error)}`);
    return true;
  });
}
