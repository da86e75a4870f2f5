import assert from "node:assert/strict";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import { Shipper } from "../../src/backup/shipper.ts";
import { ChunkIndex } from "../../src/chunk/chunk-index.ts";
import { ContentCutter } from "../../src/chunk/fastcdc.ts";
import { openLocalHost } from "../../src/host/local.ts";
import { isFailure } from "../../src/lib/errors.ts";
import { TAR_AT } from "../../src/pack/pack-buffer.ts";
import { PackTable } from "../../src/pack/pack-table.ts";
import { PackPool } from "../../src/pack/pool.ts";
import type { SnapshotRecord } from "../../src/snapshot/record.ts";
import type { BlobStore } from "../../src/store/blob-store.ts";
import { listKey, manifestKey } from "../../src/store/keys.ts";
import { setPrefix } from "../support/altered-header.ts";
import { alteredHost } from "../support/altered-host.ts";
import { fixedBytes } from "../support/fixed-bytes.ts";
import { type Forgery, forgeSnapshot } from "../support/forgery.ts";
import { openMemoryStore } from "../support/memory-store.ts";
import { type Rehearsal, rehearse } from "../support/rehearsal.ts";
import { readWhole } from "../support/whole-repository.ts";

const MiB = 1024 * 1024;
const TWO_SOURCES = `  - { name: first, kind: command, argv: [cat, "@DIR@/first"] }
  - { name: second, kind: command, argv: [cat, "@DIR@/second"] }
`;

async function twoSources(
  store?: BlobStore,
  checkpoint?: { afterBytes: number; afterMs: number },
): Promise<Rehearsal> {
  const rehearsal = await rehearse({
    sources: TWO_SOURCES,
    ...(store ? { store } : {}),
    ...(checkpoint ? { checkpoint } : {}),
  });
  await writeFile(join(rehearsal.directory, "first"), fixedBytes("first", 20 * MiB));
  await writeFile(join(rehearsal.directory, "second"), fixedBytes("second", 3 * MiB));
  return rehearsal;
}

function whole({ store, recovery, signer }: Rehearsal) {
  return readWhole(store, { identity: recovery.identity, signer: signer.publicKey, policy: "rehearsal" });
}

test("a night is stored whole and comes back byte for byte", async () => {
  await using rehearsal = await twoSources();
  const run = await rehearsal.night();
  assert.equal(run.record.state, "complete");
  const [snapshot] = await whole(rehearsal);
  assert.deepEqual(snapshot?.sources.get("first")?.get("output"), fixedBytes("first", 20 * MiB));
  assert.deepEqual(snapshot?.sources.get("second")?.get("output"), fixedBytes("second", 3 * MiB));
});

test("the second night stores what changed and no more", async () => {
  await using rehearsal = await twoSources();
  await rehearsal.night();
  const bytes = fixedBytes("first", 20 * MiB);
  bytes.fill(7, 10 * MiB, 10 * MiB + 1000);
  await writeFile(join(rehearsal.directory, "first"), bytes);
  const run = await rehearsal.night();
  const stored = run.sources.map(({ storedBytes }) => storedBytes);
  assert.ok((stored[0] ?? 0) > 0 && (stored[0] ?? 0) < 5 * MiB, `${stored[0]} bytes`);
  assert.equal(stored[1], 0);
  const snapshots = await whole(rehearsal);
  assert.deepEqual(
    snapshots.map(({ record }) => record.sequence),
    [1, 2],
  );
  assert.deepEqual(snapshots[1]?.sources.get("first")?.get("output"), bytes);
  assert.deepEqual(
    snapshots[1]?.record.seen.map(({ id }) => id),
    [snapshots[0]?.record.id],
  );
});

test("one dead source makes the night partial, and the others are stored", async () => {
  await using rehearsal = await twoSources();
  await rehearsal.night();
  await writeFile(join(rehearsal.directory, "second"), fixedBytes("other", 3 * MiB));
  const dead = rehearsal.parts.policy.sources.map((source) =>
    source.name === "first" && source.kind === "command"
      ? { ...source, argv: ["sh", "-c", "head -c 5000000 /dev/zero; exit 7"] }
      : source,
  );
  const run = await rehearsal.night({ policy: { ...rehearsal.parts.policy, sources: dead } });
  assert.equal(run.record.state, "partial");
  assert.deepEqual(
    run.record.sources.map(({ name, outcome }) => [name, outcome]),
    [
      ["first", "failed"],
      ["second", "stored"],
    ],
  );
  assert.match(run.record.sources[0]?.error?.message ?? "", /7/);
  const again = await rehearsal.night();
  assert.equal(again.record.state, "complete");
  assert.deepEqual(
    again.sources.map(({ storedBytes }) => storedBytes),
    [0, 0],
  );
});

test("a first pack that other programs cannot read ends the run, and nothing is committed", async () => {
  await using rehearsal = await twoSources();
  await rehearsal.night();
  const records = async () => (await whole(rehearsal)).map(({ record }) => record.id);
  const before = await records();
  await writeFile(join(rehearsal.directory, "first"), fixedBytes("other", 20 * MiB));
  class SpoilingPool extends PackPool {
    override seal(...[job, how]: Parameters<PackPool["seal"]>) {
      setPrefix(Buffer.from(job.memory, TAR_AT, job.used));
      return super.seal(job, how);
    }
  }
  await using pool = new SpoilingPool(2);
  const said: string[] = [];
  await assert.rejects(rehearsal.night({ pool, say: (line) => said.push(line) }), {
    code: "data/damaged",
    message: /^other programs cannot read the first pack of this backup: tar reads the name other/,
  });
  assert.deepEqual(said, ["source first: shipping"], "no source is to blame");
  assert.deepEqual(await records(), before);
  assert.equal((await rehearsal.night()).record.state, "complete");
});

test("one unreadable file is told, and the rest of its source is stored: the next night goes on from there", async () => {
  await using rehearsal = await rehearse({
    sources: `  - { name: tree, kind: files, paths: ["@DIR@"] }\n  - { name: date, kind: command, argv: [date] }\n`,
  });
  await writeFile(join(rehearsal.directory, "large"), fixedBytes("large", 5 * MiB));
  await writeFile(join(rehearsal.directory, "unreadable"), "x", { mode: 0o600 });
  await chmod(rehearsal.directory, 0o755);
  await sleep(50); // longer than a clock tick: what changed before may be taken for unchanged
  const asNobody = async () => alteredHost(await openLocalHost(), undefined, { as: "nobody" });
  for (const outcome of ["stored", "unchanged"]) {
    const { record } = await rehearsal.night({ openHost: asNobody });
    const [tree] = record.sources;
    assert.deepEqual([record.state, tree?.outcome], ["complete", outcome]);
    assert.deepEqual(tree?.error, {
      code: "source/incomplete",
      message: `1 file of source tree could not be read: ${rehearsal.directory}/unreadable: Cannot open: Permission denied`,
    });
  }
  const [first] = await whole(rehearsal);
  const held = [...(first?.sources.get("tree") ?? [])].map(([path]) => path.split("/").at(-1));
  assert.ok(held.includes("large") && !held.includes("unreadable"), held.join());
  const { record, sources } = await rehearsal.night();
  assert.deepEqual([record.state, record.sources[0]?.error], ["complete", undefined]);
  assert.ok((sources[0]?.newBytes ?? 0) < MiB, `${sources[0]?.newBytes} bytes were sent again`);
});

test("a file that was not read to its end is in no snapshot, and a checkpoint does not take it for good", async () => {
  const head = "sys/devices/virtual/net/lo";
  const stop: { put?: (key: string) => void } = {};
  const store = openMemoryStore();
  await using rehearsal = await rehearse({
    sources: `  - { name: tree, kind: files, paths: ["/${head}", "@DIR@"] }\n`,
    store: {
      ...store,
      put: async (key, bytes, how) => {
        stop.put?.(key);
        await store.put(key, bytes, how);
      },
    },
    checkpoint: { afterBytes: 4 * MiB, afterMs: 2 ** 40 },
  });
  await writeFile(join(rehearsal.directory, "large"), fixedBytes("large", 20 * MiB));
  await sleep(50);
  // sysfs tells a size, and the kernel refuses to give a byte; a sparse tar would take that for a hole
  const openHost = async () =>
    alteredHost(await openLocalHost(), (argv) => argv.filter((word) => word !== "--sparse"));
  let records = 0;
  stop.put = (key) => {
    if (/snapshots\/.*\.json$/.test(key)) records++;
    if (records > 0 && key.includes("/packs/")) throw new Error("killed here");
  };
  await assert.rejects(rehearsal.night({ openHost }), /killed here/);
  delete stop.put;
  const { record } = await rehearsal.night({ openHost });
  assert.deepEqual([record.state, record.sources[0]?.outcome], ["complete", "stored"]);
  assert.match(record.sources[0]?.error?.message ?? "", new RegExp(`/${head}/speed: Read error`));
  const held = [...((await whole(rehearsal)).at(-1)?.sources.get("tree") ?? [])].map(([path]) => path);
  assert.deepEqual(
    held.filter((path) => /^sys.*\/(speed|mtu)$/.test(path)),
    [`${head}/mtu`],
  );
});

test("a night in which every source fails commits nothing", async () => {
  await using rehearsal = await rehearse({ sources: `  - { name: dead, kind: command, argv: ["false"] }\n` });
  await assert.rejects(rehearsal.night(), (error) =>
    isFailure(error, "source/failed", "host/command-failed"),
  );
  assert.deepEqual(await whole(rehearsal), []);
});

test("a night of some sources is partial, and an unknown source is refused", async () => {
  await using rehearsal = await twoSources();
  assert.equal((await rehearsal.night({}, { only: ["second"] })).record.state, "partial");
  await assert.rejects(rehearsal.night({}, { only: ["third"] }), (error) =>
    isFailure(error, "usage/invalid"),
  );
});

const HOUR = 3_600_000;
const clocks: readonly { name: string; ahead: number; refused: boolean }[] = [
  { name: "10 minutes ahead", ahead: HOUR / 6, refused: false },
  { name: "16 minutes ahead", ahead: (16 * HOUR) / 60, refused: true },
  { name: "a year behind", ahead: -8760 * HOUR, refused: true },
];
for (const { name, ahead, refused } of clocks) {
  test(`a clock ${name} of the store's is ${refused ? "refused" : "accepted"}`, async () => {
    await using rehearsal = await rehearse({ sources: `  - { name: date, kind: command, argv: [date] }\n` });
    const night = rehearsal.night({ now: () => new Date(Date.now() + ahead) });
    if (refused)
      await assert.rejects(night, (error) => isFailure(error, "clock/skewed") && error.exitCode === 22);
    else assert.equal((await night).record.state, "complete");
  });
}

test("a checkpoint saves what was sent: the next night does not send it again", async () => {
  const store = openMemoryStore();
  await using rehearsal = await twoSources(store, { afterBytes: 4 * MiB, afterMs: 2 ** 40 });
  const stop = new AbortController();
  let packs = 0;
  const stopping: BlobStore = {
    ...store,
    put: async (key, bytes, how) => {
      if (key.includes("/packs/") && ++packs === 4) throw new Error("killed here");
      await store.put(key, bytes, how);
    },
  };
  await assert.rejects(rehearsal.night({ store: stopping }), /killed here/);
  stop.abort();
  const broken = await whole(rehearsal);
  assert.ok(broken.length > 0 && broken.every(({ record }) => record.state === "checkpoint"));
  const saved = Buffer.concat([...(broken.at(-1)?.sources.get("first")?.values() ?? [])]).length;
  assert.ok(saved >= 8 * MiB, `${saved} bytes were saved`);
  const run = await rehearsal.night();
  assert.equal(run.record.state, "complete");
  assert.ok(
    (run.sources[0]?.newBytes ?? 0) <= 20 * MiB - saved,
    `${run.sources[0]?.newBytes} bytes were sent again`,
  );
});

test("a first backup that is killed every night converges", async () => {
  const store = openMemoryStore();
  await using rehearsal = await twoSources(store, { afterBytes: 4 * MiB, afterMs: 2 ** 40 });
  let nights = 0;
  for (let done = false; !done; nights++) {
    assert.ok(nights < 20, "it does not converge");
    let packs = 0;
    const stopping: BlobStore = {
      ...store,
      put: async (key, bytes, how) => {
        if (key.includes("/packs/") && ++packs === 3) throw new Error("killed");
        await store.put(key, bytes, how);
      },
    };
    done = await rehearsal.night({ store: stopping }).then(
      () => true,
      () => false,
    );
  }
  assert.ok(nights > 2);
  const snapshots = await whole(rehearsal);
  assert.deepEqual(snapshots.at(-1)?.sources.get("first")?.get("output"), fixedBytes("first", 20 * MiB));
});

test("a pack that vanished from the store is stored anew", async () => {
  await using rehearsal = await twoSources();
  await rehearsal.night();
  for await (const { key } of rehearsal.store.list("rehearsal/packs/", {
    signal: AbortSignal.timeout(600_000),
  })) {
    await rehearsal.store.remove(key, { signal: AbortSignal.timeout(600_000) });
    break;
  }
  const run = await rehearsal.night();
  assert.ok(run.packs > 0);
  const newest = (await rehearsal.night()).record;
  assert.equal(newest.state, "complete");
});

test("another recovery key opens the next snapshot whole", async () => {
  await using rehearsal = await twoSources();
  await rehearsal.night();
  await using other = await twoSources();
  const run = await rehearsal.night({ recoveryRecipients: [other.recovery.recipient] });
  assert.equal(run.sources[0]?.newBytes, 20 * MiB);
});

describe("an earlier manifest that cannot be read counts as none, and the night heals the source", () => {
  const SOURCES = `  - { name: words, kind: files, paths: ["@DIR@/words"] }
  - { name: said, kind: command, argv: [cat, "@DIR@/said"] }
`;
  const good = { path: "a", type: "dir", mode: "0755", uid: 0, gid: 0, mtime: "1", size: "0" };
  const table: readonly {
    name: string;
    hurt: (rehearsal: Rehearsal, last: SnapshotRecord) => Promise<unknown>;
  }[] = [
    {
      name: "its first entry is malformed",
      hurt: (by, last) => forgeBoth(by, last, { entries: [{ ...good, mtime: "x" }] }),
    },
    {
      name: "a later entry is malformed",
      hurt: (by, last) => forgeBoth(by, last, { entries: [good, { ...good, path: "b", mode: "9" }] }),
    },
    {
      name: "its entries are out of order",
      hurt: (by, last) => forgeBoth(by, last, { entries: [good, good] }),
    },
    {
      name: "its end is missing",
      hurt: (by, last) => forgeBoth(by, last, { entries: [good], end: { entries: 2 } }),
    },
    {
      name: "its head is malformed",
      hurt: (by, last) => forgeBoth(by, last, { entries: [], head: { kind: "none" } }),
    },
    {
      name: "its list is malformed",
      hurt: (by, last) => forgeBoth(by, last, { entries: [], list: () => "x" }),
    },
    { name: "the manifest holds other bytes", hurt: (by, last) => damageAll(by, last, "manifest") },
    { name: "the list holds other bytes", hurt: (by, last) => damageAll(by, last, "list") },
  ];
  for (const row of table) {
    test(row.name, async () => {
      await using rehearsal = await rehearse({ sources: SOURCES });
      await mkdir(join(rehearsal.directory, "words"));
      for (const name of ["x", "y"]) await writeFile(join(rehearsal.directory, "words", name), name);
      await writeFile(join(rehearsal.directory, "said"), "said");
      const first = await rehearsal.night();
      await row.hurt(rehearsal, first.record);
      const healed = await rehearsal.night();
      assert.equal(healed.record.state, "complete");
      for (const { notes, outcome } of healed.record.sources) {
        assert.equal(outcome, "stored");
        assert.match(notes.join("\n"), /^an earlier manifest is of no use, so what it knew is read again: /);
      }
      const next = await rehearsal.night();
      assert.deepEqual(
        next.record.sources.map(({ notes }) => notes),
        [[], []],
      );
      assert.equal(next.record.sources[0]?.outcome, "unchanged");
    });
  }
});

/** A snapshot like the last one in which the manifests of all sources are so. */
async function forgeBoth(
  by: Rehearsal,
  last: SnapshotRecord,
  forgery: Omit<Forgery, "source">,
): Promise<void> {
  let record = last;
  for (const { name } of last.sources)
    ({ record } = await forgeSnapshot(by, record, { ...forgery, source: name }));
}

async function damageAll(
  { store }: Rehearsal,
  last: SnapshotRecord,
  what: "manifest" | "list",
): Promise<void> {
  const how = { signal: new AbortController().signal };
  for (const source of last.sources) {
    const name = source[what]?.sha256 ?? "";
    const key = what === "list" ? listKey("rehearsal", name) : manifestKey("rehearsal", name);
    const bytes = await store.get(key, { ...how, maxSize: 2 ** 20 });
    bytes.fill(0, -2);
    await store.remove(key, how);
    await store.put(key, bytes, how);
  }
}

test("a stream that is always ready does not keep a signal waiting", async () => {
  const stop = new AbortController();
  const reason = new Error("enough");
  const zeros = Buffer.alloc(MiB);
  async function* endless(): AsyncGenerator<Uint8Array> {
    for (let views = 0; views < 2000; views++) yield zeros; // the only chunk is known after the first
    throw new Error("nothing else had its turn");
  }
  await using pool = new PackPool(1);
  const recipient = await identityToRecipient(await generateX25519Identity());
  const parts = {
    store: openMemoryStore(),
    policyName: "p",
    pool,
    packs: new PackTable(),
    recipients: [recipient],
  };
  const shipper = new Shipper({ ...parts, signal: stop.signal });
  setTimeout(() => stop.abort(reason), 1);
  const shipping = shipper.ship(endless(), new ContentCutter(), new ChunkIndex(), () => {});
  await assert.rejects(shipping, (error) => error === reason);
  await shipper.settle();
});
