import assert from "node:assert/strict";
import { test } from "node:test";
import { trySemantics } from "../../src/doctor/try-store.ts";
import { DropsError } from "../../src/lib/errors.ts";
import type { BlobStore } from "../../src/store/blob-store.ts";
import { openMemoryStore } from "../support/memory-store.ts";

const HOW = { signal: new AbortController().signal };
const refused = () => Promise.reject(new DropsError("store/refused", "access denied", { hint: "ask" }));

/** A store that breaks one of its promises. */
function lying(lie: (real: BlobStore) => Partial<BlobStore>): { store: BlobStore; real: BlobStore } {
  const real = openMemoryStore();
  const honest: BlobStore = {
    label: real.label,
    checksumsFrom: real.checksumsFrom,
    checksum: (key, how) => real.checksum(key, how),
    get: (key, how) => real.get(key, how),
    list: (prefix, how) => real.list(prefix, how),
    now: (how) => real.now(how),
    put: (key, bytes, how) => real.put(key, bytes, how),
    remove: (key, how) => real.remove(key, how),
    removeAll: (keys, how) => real.removeAll(keys, how),
    [Symbol.asyncDispose]: async () => {},
  };
  return { store: { ...honest, ...lie(real) }, real };
}

async function stored(store: BlobStore): Promise<number> {
  let count = 0;
  for await (const _ of store.list("", HOW)) count++;
  return count;
}

const table: readonly {
  readonly name: string;
  readonly lie: (real: BlobStore) => Partial<BlobStore>;
  readonly said: readonly RegExp[];
  readonly left?: number;
}[] = [
  {
    name: "an honest store",
    lie: () => ({}),
    said: [/^ok: read after write, listing, create-only and checksums hold; .* gone again$/],
  },
  {
    name: "one that may not be deleted from",
    lie: () => ({ remove: refused }),
    said: [/^ok: .*; 2 objects stay, as this credential may not delete; a prune removes them$/],
    left: 2,
  },
  {
    name: "one that gives other bytes back",
    lie: (real) => ({
      get: async (key, how) => {
        const bytes = Buffer.from(await real.get(key, how));
        bytes[0] = (bytes[0] ?? 0) ^ 1;
        return bytes;
      },
    }),
    said: [/^fail: \S+ came back as other bytes/, /^fail: \S+ came back as other bytes/],
  },
  {
    name: "one whose listing is late",
    lie: () => ({ async *list() {} }),
    said: [/^fail: \S+ was put and is not listed right after$/, /^fail: \S+ was put and is not listed/],
  },
  {
    name: "one that lists another size",
    lie: (real) => ({
      async *list(prefix, how) {
        for await (const blob of real.list(prefix, how)) yield { ...blob, size: blob.size + 1 };
      },
    }),
    said: [/^fail: \S+ was put and is listed with \d+ bytes right after$/, /^fail: .* is listed with/],
  },
  {
    name: "one that puts over what is there",
    lie: (real) => ({
      put: async (key, bytes, how) => {
        await real.put(key, bytes, how).catch((error: DropsError) => {
          if (error.code !== "store/exists") throw error;
        });
      },
    }),
    said: [/^warn: a put over an object is not refused/],
  },
  {
    name: "one that checks no checksums",
    lie: (real) => ({ put: (key, bytes, { signal }) => real.put(key, bytes, { signal }) }),
    said: [/^warn: bytes that do not have the announced SHA-256 were stored/],
  },
  {
    name: "one that takes nothing",
    lie: () => ({ put: refused }),
    said: [/^fail: access denied$/],
  },
];

for (const { name, lie, said, left = 0 } of table) {
  test(`${name}: ${said.length === 1 ? "one finding" : "every finding"}, and nothing left that could go`, async () => {
    const { store, real } = lying(lie);
    const tried = await trySemantics(store, { name: "ops", zone: "UTC" }, undefined, HOW);
    assert.equal(tried.lines.length, said.length, JSON.stringify(tried.lines));
    for (const [at, { result, what, fix }] of tried.lines.entries()) {
      assert.match(`${result}: ${what}`, said[at] ?? /never/);
      if (result !== "ok") assert.ok((fix ?? "").length > 2, what);
    }
    assert.equal(tried.left.length, left);
    assert.equal(await stored(real), left);
  });
}

test("interrupted in the middle, what was put is taken away all the same", async () => {
  const stop = new AbortController();
  const { store, real } = lying((inner) => ({
    get: async (key, how) => {
      stop.abort(new DropsError("interrupted", "interrupted by SIGINT"));
      return inner.get(key, how);
    },
  }));
  await assert.rejects(trySemantics(store, { name: "ops", zone: "UTC" }, undefined, { signal: stop.signal }));
  assert.equal(await stored(real), 0);
});
