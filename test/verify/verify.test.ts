import assert from "node:assert/strict";
import { test } from "node:test";
import { generateX25519Identity } from "age-encryption";
import { PackPool } from "../../src/pack/pool.ts";
import { listKey, manifestKey, packKey, signatureKey } from "../../src/store/keys.ts";
import { type VerifyParts, type VerifyResult, verifyRepository } from "../../src/verify/verify.ts";
import { fixedBytes } from "../support/fixed-bytes.ts";
import { POLICY, readPartsOf, TinyRepository } from "../support/tiny-repository.ts";

const HOW = { signal: new AbortController().signal };

async function verified(
  tiny: TinyRepository,
  readShare = 0,
  change: Partial<VerifyParts> & { choice?: { id: string } } = {},
): Promise<VerifyResult> {
  const { choice, ...parts } = change;
  await using pool = new PackPool(1);
  const whole = { ...readPartsOf(tiny), pool, random: () => 0.5, ...parts };
  return await verifyRepository(whole, { choice, readShare }, HOW);
}

/** Two nights; the second shares one source and one pack with the first. */
async function twoNights() {
  const tiny = await TinyRepository.create();
  const [a] = await tiny.pack(fixedBytes("a", 1000));
  const [b] = await tiny.pack(fixedBytes("b", 2000));
  const [c] = await tiny.pack(fixedBytes("c", 3000));
  assert.ok(a && b && c);
  const shared = await tiny.source({ name: "shared", entries: [{ path: "f", chunks: [a] }] });
  const old = await tiny.source({ name: "changing", entries: [{ path: "f", chunks: [b] }] });
  const young = await tiny.source({
    name: "changing",
    entries: [
      { path: "f", chunks: [c] },
      { path: "g", chunks: [b] },
    ],
  });
  const first = await tiny.commit([shared, old], { ended: "2026-11-19T01:30:00.000Z" });
  const second = await tiny.commit([shared, young], { ended: "2026-11-20T01:30:00.000Z" });
  const key = (ref: typeof a) => packKey(POLICY, tiny.packName(ref));
  return { tiny, first, second, shared, old, young, packs: { a: key(a), b: key(b), c: key(c) } };
}

type Nights = Awaited<ReturnType<typeof twoNights>>;

test("a whole repository is intact, without a key and with one", async () => {
  const { tiny } = await twoNights();
  const named = await verified(tiny, 0, { identities: [] });
  assert.deepEqual(named.damage, []);
  assert.deepEqual([named.objects, named.packsRead, named.opened], [9, 0, false]);
  assert.deepEqual(
    named.snapshots.map(({ intact }) => intact),
    [true, true],
  );
  const hashed = await verified(tiny, 1, { identities: [] });
  assert.deepEqual([hashed.damage.length, hashed.packsRead, hashed.opened], [0, 3, false]);
  const read = await verified(tiny, 1);
  assert.deepEqual([read.damage.length, read.packsRead, read.opened, read.notes.length], [0, 3, true, 0]);
  const locked = await verified(tiny, 1, { identities: [await generateX25519Identity()] });
  assert.deepEqual(
    [locked.damage.length, locked.packsRead, locked.opened, locked.notes.length],
    [0, 3, false, 2],
  );
});

test("a share of the packs, at least one of them", async () => {
  const { tiny } = await twoNights();
  assert.equal((await verified(tiny, 0.01)).packsRead, 1);
  assert.equal((await verified(tiny, 0.5)).packsRead, 2);
  const { packsRead, damage } = await verified(tiny, 0.5, { random: () => 0.999 });
  assert.deepEqual([packsRead, damage.length], [2, 0]);
});

const hurts: readonly {
  readonly name: string;
  readonly hurt: (nights: Nights) => Promise<string>;
  /** Which of the two snapshots are hurt. */
  readonly intact: readonly [boolean, boolean];
  readonly sources: readonly string[];
  readonly problem: RegExp;
  /** 0 when names and sizes tell. */
  readonly readShare: number;
  readonly identities?: readonly string[];
}[] = [
  {
    name: "a pack that is gone",
    hurt: ({ tiny, packs }) => remove(tiny, packs.c),
    intact: [true, false],
    sources: ["changing"],
    problem: /is missing/,
    readShare: 0,
  },
  {
    name: "a pack of both that is gone",
    hurt: ({ tiny, packs }) => remove(tiny, packs.b),
    intact: [false, false],
    sources: ["changing"],
    problem: /is missing/,
    readShare: 1,
  },
  {
    name: "a pack of another size",
    hurt: async ({ tiny, packs }) => {
      await tiny.replace(packs.a, (await tiny.get(packs.a)).subarray(1));
      return packs.a;
    },
    intact: [false, false],
    sources: ["shared"],
    problem: /has \d+ bytes and not \d+/,
    readShare: 0,
  },
  {
    name: "a manifest that is gone",
    hurt: ({ tiny, old }) => remove(tiny, manifestKey(POLICY, old.manifest?.sha256 ?? "")),
    intact: [false, true],
    sources: ["changing"],
    problem: /is missing/,
    readShare: 0,
  },
  {
    name: "a list with a changed byte",
    hurt: ({ tiny, young }) => flip(tiny, listKey(POLICY, young.list?.sha256 ?? "")),
    intact: [true, false],
    sources: ["changing"],
    problem: /does not hold the bytes/,
    readShare: 0,
  },
  {
    name: "a pack with a changed byte, found with a key",
    hurt: ({ tiny, packs }) => flip(tiny, packs.c),
    intact: [true, false],
    sources: ["changing"],
    problem: /does not hold the bytes/,
    readShare: 1,
  },
  {
    name: "a pack with a changed byte, found without a key",
    hurt: ({ tiny, packs }) => flip(tiny, packs.c),
    intact: [true, false],
    sources: ["changing"],
    problem: /does not hold the bytes/,
    readShare: 1,
    identities: [],
  },
  {
    name: "a manifest with a changed byte",
    hurt: ({ tiny, old }) => flip(tiny, manifestKey(POLICY, old.manifest?.sha256 ?? "")),
    intact: [false, true],
    sources: ["changing"],
    problem: /does not hold the bytes/,
    readShare: 1,
  },
];

for (const { name, hurt, intact, sources, problem, readShare, identities } of hurts) {
  test(`${name} is found, with all that it hurts`, async () => {
    const nights = await twoNights();
    const key = await hurt(nights);
    const result = await verified(nights.tiny, readShare, identities ? { identities } : {});
    assert.deepEqual(
      result.damage.map((each) => each.key),
      [key],
    );
    assert.match(result.damage[0]?.problem ?? "", problem);
    assert.deepEqual(result.damage[0]?.sources, sources);
    assert.deepEqual(
      result.snapshots.map((each) => each.intact),
      intact,
    );
    const ids = [nights.first, nights.second].filter((_, at) => !intact[at]).map(({ record }) => record.id);
    assert.deepEqual([...(result.damage[0]?.snapshots ?? [])].sort(), ids.sort());
  });
}

test("only one snapshot when one is asked for", async () => {
  const nights = await twoNights();
  await remove(nights.tiny, nights.packs.c);
  const first = await verified(nights.tiny, 0, { choice: { id: nights.first.record.id } });
  assert.deepEqual([first.damage.length, first.snapshots.length], [0, 1]);
  const second = await verified(nights.tiny, 0, { choice: { id: nights.second.record.id } });
  assert.equal(second.damage.length, 1);
});

test("a signed manifest that looks for a chunk where it is not", async () => {
  const tiny = await TinyRepository.create();
  const [a, b] = await tiny.pack(fixedBytes("a", 100), fixedBytes("b", 100));
  const [c] = await tiny.pack(fixedBytes("c", 100));
  assert.ok(a && b && c);
  await tiny.snapshot({
    name: "data",
    entries: [
      { path: "f", chunks: [a, { ...b, pack: c.pack }] },
      { path: "g", chunks: [c] },
    ],
  });
  const { damage } = await verified(tiny, 1);
  assert.deepEqual(
    damage.map(({ key }) => key),
    [packKey(POLICY, tiny.packName(c))],
  );
  assert.match(damage[0]?.problem ?? "", /lacks chunk .* of f$/);
});

test("records that are not believed are damage, and so is one that was replaced", async () => {
  const { tiny, first, second } = await twoNights();
  await tiny.store.remove(signatureKey(first.key), HOW);
  const { damage, snapshots } = await verified(tiny);
  assert.deepEqual(
    damage.map(({ key, snapshots }) => [key, snapshots]),
    [[first.key, [first.record.id]]],
  );
  assert.deepEqual(
    snapshots.map(({ snapshot }) => snapshot.record.id),
    [second.record.id],
  );

  const other = await twoNights();
  const seen = [{ id: other.second.record.id, sha256: "0".repeat(64) }];
  const third = await other.tiny.commit(other.second.record.sources, {
    seen,
    ended: "2026-11-21T00:00:00.000Z",
  });
  const replaced = await verified(other.tiny);
  assert.deepEqual(
    replaced.damage.map(({ key }) => key),
    [other.second.key],
  );
  assert.match(replaced.damage[0]?.problem ?? "", new RegExp(third.record.id));
});

async function remove(tiny: TinyRepository, key: string): Promise<string> {
  await tiny.store.remove(key, HOW);
  return key;
}

async function flip(tiny: TinyRepository, key: string): Promise<string> {
  const bytes = Buffer.from(await tiny.get(key));
  const at = bytes.length >> 1;
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  await tiny.replace(key, bytes);
  return key;
}
