import assert from "node:assert/strict";
import { test } from "node:test";
import { generateX25519Identity } from "age-encryption";
import { DropsError } from "../../src/lib/errors.ts";
import { PackPool } from "../../src/pack/pool.ts";
import { EVIDENCE_NAMESPACE, samePublicKey, verifySshsig } from "../../src/seal/sshsig.ts";
import { Damaged } from "../../src/snapshot/damaged.ts";
import type { BlobChecker, BlobReader } from "../../src/store/blob-store.ts";
import { damagedKey, listKey, manifestKey, packKey, signatureKey } from "../../src/store/keys.ts";
import { markDamaged } from "../../src/verify/mark-damaged.ts";
import { type VerifyParts, type VerifyResult, verifyRepository } from "../../src/verify/verify.ts";
import { setBinarySize, setPrefix } from "../support/altered-header.ts";
import { fixedBytes } from "../support/fixed-bytes.ts";
import { POLICY, readPartsOf, TinyRepository } from "../support/tiny-repository.ts";

const HOW = { signal: new AbortController().signal };

async function verified(
  tiny: TinyRepository,
  readShare = 0,
  change: Partial<Omit<VerifyParts, "checker">> & {
    readonly choice?: { id: string };
    readonly objects?: boolean;
    readonly checker?: BlobChecker;
    readonly from?: number;
    readonly independent?: boolean;
  } = {},
): Promise<VerifyResult> {
  const { choice, objects = false, checker = tiny.store, from = 0, independent = false, ...parts } = change;
  await using pool = new PackPool(1);
  const whole = { ...readPartsOf(tiny), pool, ...parts, checker };
  const read = readShare === 0 ? undefined : { share: readShare, from };
  return await verifyRepository(whole, { choice, objects, read, independent }, HOW);
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

test("with --independent a pack is whole when age, zlib and tar read it as drops does", async () => {
  const { tiny } = await twoNights();
  const read = await verified(tiny, 1, { independent: true });
  assert.deepEqual([read.damage, read.packsRead, read.opened, read.independent], [[], 3, true, true]);
  assert.equal((await verified(tiny, 1)).independent, false);
  const locked = await verified(tiny, 1, { independent: true, identities: [await generateX25519Identity()] });
  assert.deepEqual([locked.damage, locked.opened, locked.independent], [[], false, false]);
});

test("what drops reads and others do not, or others and drops does not, is damage of that pack", async () => {
  const tiny = await TinyRepository.create();
  const [good] = await tiny.pack(fixedBytes("good", 1000));
  const [ours] = await tiny.alteredPack(setPrefix, fixedBytes("ours", 1000));
  const [theirs] = await tiny.alteredPack(setBinarySize, fixedBytes("theirs", 1000));
  const [nobodys] = await tiny.alteredPack((tar) => tar.write("!", 512), fixedBytes("nobodys", 1000));
  assert.ok(good && ours && theirs && nobodys);
  const entries = [good, ours, theirs, nobodys].map((ref, at) => ({ path: `f${at}`, chunks: [ref] }));
  await tiny.commit([await tiny.source({ name: "all", entries })]);
  const key = (ref: typeof good) => packKey(POLICY, tiny.packName(ref));
  const problems = async (independent: boolean) => {
    const { damage } = await verified(tiny, 1, { independent });
    return new Map(damage.map((one) => [one.key, one.problem]));
  };
  const alone = await problems(false);
  assert.deepEqual([...alone.keys()].sort(), [key(theirs), key(nobodys)].sort());
  const both = await problems(true);
  assert.deepEqual([...both.keys()].sort(), [key(ours), key(theirs), key(nobodys)].sort());
  assert.match(
    both.get(key(ours)) ?? "",
    /^tar reads the name other\/[0-9a-f]{64} in it instead of [0-9a-f]{64}$/,
  );
  assert.match(both.get(key(theirs)) ?? "", /passes its end at byte 0, though age, zlib and tar read it$/);
  assert.match(
    both.get(key(nobodys)) ?? "",
    /^chunk [0-9a-f]{64} in pack [0-9a-f]{64} does not match its name$/,
  );
});

test("a share of the packs, at least one of them, from the given place on", async () => {
  const { tiny, packs } = await twoNights();
  const places = Object.values(packs)
    .map((key) => Number.parseInt(key.slice(-64, -56), 16))
    .sort((a, b) => a - b);
  for (const [at, place] of places.entries()) {
    const { packsRead, arc } = await verified(tiny, 1e-9, { from: place });
    assert.deepEqual([packsRead, arc], [1, { from: place, span: 5 }], `from pack ${at} on`);
  }
  assert.ok((await verified(tiny, 0.5)).packsRead >= 2);
  const { packsRead, damage } = await verified(tiny, 0.5, { from: (places[2] ?? 0) + 1 });
  assert.ok(packsRead >= 2 && damage.length === 0);
});

test("the store's own checksums, without a key: of lists, manifests and packs", async () => {
  const nights = await twoNights();
  const { tiny, packs, old } = nights;
  const whole = await verified(tiny, 0, { objects: true, identities: [] });
  assert.deepEqual(whole.checked, { compared: 9, sizeOnly: 0, from: "bytes", notes: [] });
  assert.deepEqual(whole.damage, []);
  const manifest = manifestKey(POLICY, old.manifest?.sha256 ?? "");
  await flip(tiny, packs.c);
  await flip(tiny, manifest);
  const named = await verified(tiny, 0, { identities: [] });
  assert.deepEqual(named.damage, [], "names and sizes do not tell");
  const { damage, snapshots, packsRead } = await verified(tiny, 0, { objects: true, identities: [] });
  assert.equal(packsRead, 0);
  assert.deepEqual(
    damage.map(({ key, snapshots, isHidden }) => [key, snapshots, isHidden]),
    [
      [manifest, [nights.first.record.id], true],
      [packs.c, [nights.second.record.id], true],
    ],
  );
  assert.deepEqual(
    snapshots.map(({ intact }) => intact),
    [false, false],
  );
});

test("a server without checksums, and a credential that may not ask, are said and counted as size only", async () => {
  const { tiny, packs } = await twoNights();
  await flip(tiny, packs.c);
  const none = await verified(tiny, 0, {
    objects: true,
    checker: { checksumsFrom: "upload", checksum: async () => undefined },
  });
  assert.deepEqual([none.checked?.compared, none.checked?.sizeOnly, none.damage], [0, 9, []]);
  assert.match(none.notes.join(), /the server keeps no SHA-256 of 9 objects: names and sizes only/);
  let asked = 0;
  const janitor: BlobChecker = {
    checksumsFrom: "upload",
    checksum: async (key, how) => {
      if (key.includes("/lists/")) return tiny.store.checksum(key, how);
      asked++;
      throw new DropsError("store/refused", "access denied");
    },
  };
  const part = await verified(tiny, 0, { objects: true, checker: janitor });
  assert.deepEqual([part.checked?.compared, part.checked?.sizeOnly, part.damage], [3, 6, []]);
  assert.match(part.notes.join(), /may not ask for checksums below tiny\/manifests, tiny\/packs:/);
  assert.ok(asked <= 6);
});

test("a pack that was read wrong once and right the second time is no damage, and is said", async () => {
  const { tiny, packs } = await twoNights();
  let reads = 0;
  const store: BlobReader = {
    label: "unsteady",
    now: (how) => tiny.store.now(how),
    list: (prefix, how) => tiny.store.list(prefix, how),
    async get(key, how) {
      const bytes = Buffer.from(await tiny.store.get(key, how));
      if (key === packs.c && ++reads === 1) bytes[40] = (bytes[40] ?? 0) ^ 1;
      return bytes;
    },
  };
  for (const identities of [undefined, []]) {
    reads = 0;
    const { damage, notes } = await verified(tiny, 1, { store, ...(identities ? { identities } : {}) });
    assert.deepEqual([damage, reads], [[], 2]);
    assert.match(notes.join(), /1 packs were read wrong once and right the second time/);
  }
});

test("what an earlier verify marked stays damaged, until it is whole again and the mark is taken away", async () => {
  const { tiny, packs, second } = await twoNights();
  const { damage, ...result } = await verified(await flipped(tiny, packs.c), 1);
  const how = { ...HOW, signer: tiny.signer, at: new Date("2026-11-23T12:00:00Z") };
  assert.equal(await markDamaged(tiny.store, { ...result, damage }, how), 1);
  assert.equal(await markDamaged(tiny.store, { ...result, damage }, how), 1, "marking twice is marking once");
  const mark = damagedKey(POLICY, packs.c.slice(-64));
  const bytes = await tiny.get(mark);
  const signature = await tiny.get(signatureKey(mark));
  assert.ok(
    samePublicKey(verifySshsig(signature, EVIDENCE_NAMESPACE, bytes).publicKey, tiny.signer.publicKey),
  );
  const { kind, name, repository } = Damaged.parse(JSON.parse(Buffer.from(bytes).toString()));
  assert.deepEqual([kind, name, repository], ["pack", packs.c.slice(-64), tiny.id]);
  await flip(tiny, packs.c); // the owner brought an earlier version back
  const named = await verified(tiny);
  assert.deepEqual(
    named.damage.map(({ key, problem, snapshots }) => [key, problem, snapshots]),
    [[packs.c, "was found damaged by an earlier verify", [second.record.id]]],
  );
  const read = await verified(tiny, 1);
  assert.match(read.notes.join(), new RegExp(`pack ${name} is whole: remove ${mark}, which says otherwise`));
  await tiny.store.remove(mark, HOW);
  assert.deepEqual((await verified(tiny, 1)).damage, []);
});

test("what is missing, has another size or is a record gets no mark: every listing tells", async () => {
  const { tiny, packs, first } = await twoNights();
  await remove(tiny, packs.a);
  await tiny.replace(packs.b, (await tiny.get(packs.b)).subarray(1));
  await flip(tiny, first.key);
  const result = await verified(tiny, 1);
  assert.equal(result.damage.length, 3);
  assert.equal(await markDamaged(tiny.store, result, { ...HOW, signer: tiny.signer, at: new Date() }), 0);
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
    problem: /does not match the hash in its name/,
    readShare: 0,
  },
  {
    name: "a pack with a changed byte, found with a key",
    hurt: ({ tiny, packs }) => flip(tiny, packs.c),
    intact: [true, false],
    sources: ["changing"],
    problem: /does not match the hash in its name/,
    readShare: 1,
  },
  {
    name: "a pack with a changed byte, found without a key",
    hurt: ({ tiny, packs }) => flip(tiny, packs.c),
    intact: [true, false],
    sources: ["changing"],
    problem: /does not match the hash in its name/,
    readShare: 1,
    identities: [],
  },
  {
    name: "a manifest with a changed byte",
    hurt: ({ tiny, old }) => flip(tiny, manifestKey(POLICY, old.manifest?.sha256 ?? "")),
    intact: [false, true],
    sources: ["changing"],
    problem: /does not match the hash in its name/,
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

async function flipped(tiny: TinyRepository, key: string): Promise<TinyRepository> {
  await flip(tiny, key);
  return tiny;
}

async function flip(tiny: TinyRepository, key: string): Promise<string> {
  const bytes = Buffer.from(await tiny.get(key));
  const at = bytes.length >> 1;
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  await tiny.replace(key, bytes);
  return key;
}
