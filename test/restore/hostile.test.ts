import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { generateX25519Identity } from "age-encryption";
import { type FailureCode, isFailure } from "../../src/lib/errors.ts";
import type { RestoreParts } from "../../src/restore/restore-run.ts";
import { newSigningKey } from "../../src/seal/keygen.ts";
import { signerFromText } from "../../src/seal/sshsig.ts";
import { keyTime, listKey, manifestKey, packKey, recordKey, signatureKey } from "../../src/store/keys.ts";
import { fixedBytes } from "../support/fixed-bytes.ts";
import { restoring } from "../support/restoring.ts";
import { scratchDirectory } from "../support/scratch.ts";
import { POLICY, type TinyEntry, TinyRepository } from "../support/tiny-repository.ts";

const HOW = { signal: new AbortController().signal };

interface Attack {
  readonly name: string;
  readonly code: FailureCode;
  /** What the sentence must name. */
  readonly says?: RegExp;
  /** Make a repository whose newest snapshot must not be believed; answers what the restore is given. */
  readonly make: (
    tiny: TinyRepository,
    outside: string,
  ) => Promise<Partial<RestoreParts> & { choice?: { id: string } }>;
}

/** Manifests that were signed, and lie: a stolen signing key, or a bug. */
const manifests: readonly {
  name: string;
  entries: (outside: string) => readonly TinyEntry[];
  says: RegExp;
}[] = [
  {
    name: "a file below a symlink",
    entries: (outside) => [
      { path: "door", type: "symlink", target: outside },
      { path: "door/canary", type: "file" },
    ],
    says: /door\/canary lies below door, which is a symlink/,
  },
  {
    name: "a directory deep below a symlink",
    entries: (outside) => [
      { path: "a", type: "dir" },
      { path: "a/door", type: "symlink", target: outside },
      { path: "a/door/b/c", type: "dir" },
    ],
    says: /lies below a\/door/,
  },
  { name: "a file below a file", entries: () => [{ path: "f" }, { path: "f/g" }], says: /lies below f/ },
  { name: "a path that climbs", entries: () => [{ path: "../canary" }], says: /leaves its directory/ },
  {
    name: "a path that climbs in its middle",
    entries: () => [{ path: "a/../../canary" }],
    says: /leaves its directory/,
  },
  {
    name: "an absolute path",
    entries: (outside) => [{ path: `${outside}/canary` }],
    says: /leaves its directory/,
  },
  { name: "a path with a zero byte", entries: () => [{ path: "a\0b" }], says: /leaves its directory/ },
  {
    name: "a hard link that climbs",
    entries: () => [{ path: "h", type: "hardlink", target: "../../canary" }],
    says: /links outside/,
  },
  {
    name: "a hard link to what is outside by way of a symlink",
    entries: (outside) => [
      { path: "door", type: "symlink", target: outside },
      { path: "h", type: "hardlink", target: "door/canary" },
    ],
    says: /hard link to door\/canary, which is no file/,
  },
  {
    name: "a hard link to a directory",
    entries: () => [
      { path: "d", type: "dir" },
      { path: "h", type: "hardlink", target: "d" },
    ],
    says: /hard link to d/,
  },
  {
    name: "hard links to each other",
    entries: () => [
      { path: "a", type: "hardlink", target: "b" },
      { path: "b", type: "hardlink", target: "a" },
    ],
    says: /hard link to b/,
  },
  {
    name: "a file that claims a size without content",
    entries: () => [{ path: "f", size: 5 }],
    says: /do not add up/,
  },
];

const attacks: readonly Attack[] = [
  ...manifests.map(
    ({ name, entries, says }): Attack => ({
      name,
      code: "data/damaged",
      says,
      make: async (tiny, outside) => {
        await tiny.snapshot({ name: "data", entries: entries(outside) });
        return {};
      },
    }),
  ),
  {
    name: "a file whose chunk is longer than the manifest says",
    code: "data/damaged",
    says: /has 1000 bytes and not 900/,
    make: async (tiny) => {
      const [chunk] = await tiny.pack(fixedBytes("x", 1000));
      assert.ok(chunk);
      await tiny.snapshot({ name: "data", entries: [{ path: "f", chunks: [{ ...chunk, size: 900 }] }] });
      return {};
    },
  },
  {
    name: "a chunk that its pack does not hold",
    code: "data/damaged",
    says: /lacks 1 of the chunks.*loses f$/,
    make: async (tiny) => {
      const [chunk] = await tiny.pack(fixedBytes("x", 1000));
      assert.ok(chunk);
      const other = { ...chunk, id: hash("sha256", "another", "hex") };
      await tiny.snapshot({ name: "data", entries: [{ path: "f", chunks: [other] }] });
      return {};
    },
  },
  {
    name: "a pack in the place of another",
    code: "data/damaged",
    says: /loses f$/,
    make: async (tiny) => {
      const [one] = await tiny.pack(fixedBytes("one", 1000));
      const [two] = await tiny.pack(fixedBytes("two", 1000));
      assert.ok(one && two);
      await tiny.snapshot({ name: "data", entries: [{ path: "f", chunks: [one] }] });
      const bytes = await tiny.get(packKey(POLICY, tiny.packName(two)));
      await tiny.replace(packKey(POLICY, tiny.packName(one)), bytes);
      return {};
    },
  },
  ...([0, 100, -1] as const).map(
    (at): Attack => ({
      name: `a pack with byte ${at} changed`,
      code: "data/damaged",
      says: /loses f$/,
      make: async (tiny) => {
        const [chunk] = await tiny.pack(fixedBytes("x", 100_000));
        assert.ok(chunk);
        await tiny.snapshot({ name: "data", entries: [{ path: "f", chunks: [chunk] }] });
        await damage(tiny, packKey(POLICY, tiny.packName(chunk)), at);
        return {};
      },
    }),
  ),
  {
    name: "a pack cut short",
    code: "data/damaged",
    says: /loses f$/,
    make: async (tiny) => {
      const [chunk] = await tiny.pack(fixedBytes("x", 100_000));
      assert.ok(chunk);
      await tiny.snapshot({ name: "data", entries: [{ path: "f", chunks: [chunk] }] });
      const key = packKey(POLICY, tiny.packName(chunk));
      await tiny.replace(key, (await tiny.get(key)).subarray(0, 50_000));
      return {};
    },
  },
  {
    name: "a list in the place of another",
    code: "data/damaged",
    make: async (tiny) => {
      const { one, two } = await twoSources(tiny);
      await tiny.replace(listKey(POLICY, one.list.sha256), await tiny.get(listKey(POLICY, two.list.sha256)));
      return {};
    },
  },
  {
    name: "a manifest in the place of another",
    code: "data/damaged",
    make: async (tiny) => {
      const { one, two } = await twoSources(tiny);
      const bytes = await tiny.get(manifestKey(POLICY, two.manifest.sha256));
      await tiny.replace(manifestKey(POLICY, one.manifest.sha256), bytes);
      return {};
    },
  },
  {
    name: "a manifest cut short",
    code: "data/damaged",
    make: async (tiny) => {
      const { one } = await twoSources(tiny);
      const key = manifestKey(POLICY, one.manifest.sha256);
      await tiny.replace(key, (await tiny.get(key)).subarray(0, -20));
      return {};
    },
  },
  {
    name: "a manifest that is gone",
    code: "data/missing",
    make: async (tiny) => {
      const { one } = await twoSources(tiny);
      await tiny.store.remove(manifestKey(POLICY, one.manifest.sha256), HOW);
      return {};
    },
  },
  ...(["source", "policy", "repository"] as const).map(
    (field): Attack => ({
      name: `a signed record that names a manifest of another ${field}`,
      code: "data/damaged",
      says: /is that of/,
      make: async (tiny) => {
        await tiny.snapshot({ name: "data", entries: [{ path: "f" }], head: { [field]: "other" } });
        return {};
      },
    }),
  ),
  {
    name: "a record with one byte changed",
    code: "signature/untrusted",
    make: async (tiny) => {
      const { record, key } = await tiny.snapshot({ name: "data", entries: [{ path: "f" }] });
      await damage(tiny, key, 300);
      return { choice: { id: record.id } };
    },
  },
  {
    name: "a record without a signature",
    code: "signature/untrusted",
    says: /is not signed/,
    make: async (tiny) => {
      const { record, key } = await tiny.snapshot({ name: "data", entries: [{ path: "f" }] });
      await tiny.store.remove(signatureKey(key), HOW);
      return { choice: { id: record.id } };
    },
  },
  {
    name: "a record signed by somebody else",
    code: "signature/untrusted",
    says: /not trusted/,
    make: async (tiny) => {
      const signer = signerFromText(newSigningKey("thief").privateKey, "a thief's key");
      const { record } = await tiny.commit([await tiny.source({ name: "data", entries: [{ path: "f" }] })], {
        signer,
      });
      return { choice: { id: record.id } };
    },
  },
  {
    name: "a record with the signature of another",
    code: "signature/untrusted",
    make: async (tiny) => {
      const source = await tiny.source({ name: "data", entries: [{ path: "f" }] });
      const first = await tiny.commit([source]);
      const second = await tiny.commit([source], { ended: "2026-11-21T00:00:00.000Z" });
      await tiny.replace(signatureKey(second.key), await tiny.get(signatureKey(first.key)));
      return { choice: { id: second.record.id } };
    },
  },
  {
    name: "a record copied to a later name",
    code: "data/damaged",
    says: /belongs to another place/,
    make: async (tiny) => {
      const { record, key } = await tiny.snapshot({ name: "data", entries: [{ path: "f" }] });
      const copy = recordKey(POLICY, keyTime(new Date("2026-11-22T00:00:00Z")), "f".repeat(16));
      await copyRecord(tiny, key, copy);
      assert.notEqual(record.id, "f".repeat(16));
      return { choice: { id: "f".repeat(16) } };
    },
  },
  {
    name: "a record copied to another policy",
    code: "data/damaged",
    says: /belongs to another place/,
    make: async (tiny) => {
      const { record, key } = await tiny.snapshot({ name: "data", entries: [{ path: "f" }] });
      await copyRecord(tiny, key, key.replace(POLICY, "other"));
      return { policyName: "other", choice: { id: record.id } };
    },
  },
  {
    name: "a record of another repository",
    code: "data/damaged",
    says: /belongs to another place/,
    make: async (tiny) => {
      const source = await tiny.source({ name: "data", entries: [{ path: "f" }] });
      const { record } = await tiny.commit([source], { repository: "0".repeat(32) });
      return { choice: { id: record.id } };
    },
  },
  {
    name: "a repository description signed by somebody else",
    code: "signature/untrusted",
    make: async (tiny) => {
      await tiny.snapshot({ name: "data", entries: [{ path: "f" }] });
      const other = await TinyRepository.create();
      await tiny.replace("repository.json", await other.get("repository.json"));
      await tiny.replace("repository.json.sig", await other.get("repository.json.sig"));
      return {};
    },
  },
  {
    name: "another identity",
    code: "key/wrong",
    make: async (tiny) => {
      await tiny.snapshot({ name: "data", entries: [{ path: "f" }] });
      return { identities: [await generateX25519Identity()] };
    },
  },
  {
    name: "no identity",
    code: "key/missing",
    make: async (tiny) => {
      await tiny.snapshot({ name: "data", entries: [{ path: "f" }] });
      return { identities: [] };
    },
  },
];

for (const { name, code, says, make } of attacks) {
  test(`${name}: ${code}, and nothing is written`, async () => {
    const tiny = await TinyRepository.create();
    await using scratch = await scratchDirectory();
    await writeFile(join(scratch.path, "canary"), "alive");
    const { choice, ...change } = await make(tiny, scratch.path);
    const to = join(scratch.path, "to");
    await assert.rejects(restoring(tiny, to, { ...change, ...(choice ? { choice } : {}) }), (error) => {
      assert.ok(isFailure(error, code), String(error));
      if (says) assert.match(error.message, says);
      assert.doesNotMatch(`${error.message} ${error.hint}`, /AGE-SECRET-KEY/);
      return true;
    });
    assert.deepEqual(await readdir(to).catch(() => []), []);
    assert.deepEqual(
      (await readdir(scratch.path)).filter((each) => each !== "to"),
      ["canary"],
    );
  });
}

test("what is hurt after others were written takes them along", async () => {
  const tiny = await TinyRepository.create();
  const [good] = await tiny.pack(fixedBytes("good", 3_000_000));
  const [bad] = await tiny.pack(fixedBytes("bad", 3_000_000));
  assert.ok(good && bad);
  await tiny.snapshot({
    name: "data",
    entries: [
      { path: "a", chunks: [good] },
      { path: "b", chunks: [bad] },
    ],
  });
  await damage(tiny, packKey(POLICY, tiny.packName(bad)), 5000);
  await using to = await scratchDirectory();
  await assert.rejects(
    restoring(tiny, to.path),
    (error) => isFailure(error, "data/damaged") && error.exitCode === 20,
  );
  assert.deepEqual(await readdir(to.path), []);
});

async function twoSources(tiny: TinyRepository) {
  const [x] = await tiny.pack(fixedBytes("x", 1000));
  const [y] = await tiny.pack(fixedBytes("y", 1000));
  assert.ok(x && y);
  const one = await tiny.source({ name: "one", entries: [{ path: "f", chunks: [x] }] });
  const two = await tiny.source({ name: "two", entries: [{ path: "f", chunks: [y] }] });
  await tiny.commit([one]);
  assert.ok(one.manifest && one.list && two.manifest && two.list);
  return { one: { manifest: one.manifest, list: one.list }, two: { manifest: two.manifest, list: two.list } };
}

async function damage(tiny: TinyRepository, key: string, at: number): Promise<void> {
  const bytes = Buffer.from(await tiny.get(key));
  const index = at < 0 ? bytes.length + at : at;
  bytes[index] = (bytes[index] ?? 0) ^ 1;
  await tiny.replace(key, bytes);
}

async function copyRecord(tiny: TinyRepository, from: string, to: string): Promise<void> {
  await tiny.store.put(signatureKey(to), await tiny.get(signatureKey(from)), HOW);
  await tiny.store.put(to, await tiny.get(from), HOW);
}
