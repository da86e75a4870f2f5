import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { after, test } from "node:test";
import { commitRecord } from "../../src/backup/commit.ts";
import { isFailure } from "../../src/lib/errors.ts";
import type { PruneParts } from "../../src/retention/prune.ts";
import { newSigningKey } from "../../src/seal/keygen.ts";
import { type Signer, signerFromText } from "../../src/seal/sshsig.ts";
import { type Condemned, putMark } from "../../src/snapshot/condemned.ts";
import { putNote } from "../../src/snapshot/pin.ts";
import type { SnapshotRecord } from "../../src/snapshot/record.ts";
import type { BlobStore } from "../../src/store/blob-store.ts";
import { keyTime, listKey, pinKey, recordKey, signatureKey } from "../../src/store/keys.ts";
import { trusting } from "../../src/trust/trust.ts";
import { fixedBytes } from "../support/fixed-bytes.ts";
import { copyOf, DAY, HOUR, keysOf, nights } from "../support/nights.ts";

const HOW = { signal: new AbortController().signal };
const GARBAGE = Buffer.from("not a record\n");
const stranger = signerFromText(newSigningKey("stranger").privateKey, "a stranger's key");
const janitor = signerFromText(newSigningKey("janitor").privateKey, "the janitor's key");

/** Five nights, of which the rules keep the last three; the first two are forgotten, their objects gone. */
const site = await nights({
  sources: `  - { name: db, kind: command, argv: [cat, "@DIR@/db"] }\n`,
  rules: { daily: 3, weekly: 0, monthly: 0 },
  limits: { maxShare: 100, rpoSeconds: 100 * 86_400 },
});
after(() => site[Symbol.asyncDispose]());
const asJanitor: Partial<PruneParts> = {
  signer: janitor,
  trust: trusting(site.rehearsal.parts.trust, "note", [janitor.publicKey]),
};
const forgotten: { key: string; bytes: Uint8Array; signature: Uint8Array }[] = [];
for (let day = 0; day < 5; day++) {
  site.sleep();
  await site.write("db", fixedBytes(`night ${day}`, 50_000));
  await site.backup();
  const newest = (await site.survey()).snapshots.at(-1)?.listed.key ?? "";
  forgotten.push({
    key: newest,
    bytes: await bytesOf(site.store, newest),
    signature: await bytesOf(site.store, signatureKey(newest)),
  });
}
for (let visit = 0; visit < 5; visit++) {
  await site.prune(asJanitor);
  site.sleep(visit < 4 ? 25 : 0);
}
const good = (await site.survey()).snapshots.map(({ listed }) => listed);
const [oldest, , newest] = good;
assert.ok(oldest && newest && good.length === 3);
const packs = [...(await keysOf(site.store, "rehearsal/packs/")).keys()];
assert.equal(packs.length, 3);

async function bytesOf(store: BlobStore, key: string): Promise<Uint8Array> {
  return store.get(key, { ...HOW, maxSize: 1_000_000 });
}

async function overwrite(store: BlobStore, key: string, bytes: Uint8Array): Promise<void> {
  await store.remove(key, HOW);
  await store.put(key, bytes, HOW);
}

/** A record like the newest, with another id. Answers its id. */
async function forge(
  store: BlobStore,
  change: Partial<SnapshotRecord>,
  signer: Signer = site.rehearsal.signer,
): Promise<string> {
  assert.ok(newest);
  const record = { ...newest.record, id: "f".repeat(16), ...change };
  await commitRecord(store, record, signer, HOW);
  return record.id;
}

const ahead = (ms: number) => new Date(site.clock.now.getTime() + ms).toISOString();
/** What a thief of the backup host's key would like to be kept instead. */
const empty = (source: SnapshotRecord["sources"][number]) => ({ ...source, bytes: 1 });

interface Attack {
  readonly name: string;
  /** Answers what has to be named. */
  readonly act: (store: BlobStore) => Promise<string>;
  /** Nothing is done: exit 22. Otherwise what is wrong is left out, and the prune goes on. */
  readonly refused: boolean;
}

const attacks: readonly Attack[] = [
  {
    name: "garbage where a record belongs",
    refused: true,
    act: async (store) => {
      const key = recordKey("rehearsal", "20260103T013000Z", "deadbeefdeadbeef");
      await store.put(key, GARBAGE, HOW);
      return key;
    },
  },
  {
    name: "something among the records that is none",
    refused: true,
    act: async (store) => {
      await store.put("rehearsal/snapshots/README", GARBAGE, HOW);
      return "rehearsal/snapshots/README";
    },
  },
  {
    name: "garbage where a pin belongs",
    refused: true,
    act: async (store) => {
      await store.put(pinKey("rehearsal", "deadbeefdeadbeef"), GARBAGE, HOW);
      return pinKey("rehearsal", "deadbeefdeadbeef");
    },
  },
  {
    name: "a kept record overwritten with garbage",
    refused: true,
    act: async (store) => {
      await overwrite(store, oldest.key, GARBAGE);
      return oldest.key;
    },
  },
  {
    name: "a kept record overwritten with another one",
    refused: true,
    act: async (store) => {
      await overwrite(store, oldest.key, await bytesOf(store, newest.key));
      return oldest.key;
    },
  },
  {
    name: "the signature of a kept record overwritten",
    refused: false,
    act: async (store) => {
      await overwrite(store, signatureKey(oldest.key), GARBAGE);
      return oldest.record.id;
    },
  },
  {
    name: "a record copied to another name",
    refused: true,
    act: async (store) => {
      const key = recordKey("rehearsal", "20260103T013000Z", oldest.record.id);
      await store.put(key, await bytesOf(store, oldest.key), HOW);
      await store.put(signatureKey(key), await bytesOf(store, signatureKey(oldest.key)), HOW);
      return key;
    },
  },
  {
    name: "future-dated records, rightly signed",
    refused: false,
    act: async (store) => {
      for (const days of [1, 7, 400])
        await forge(store, { id: `${days}`.padStart(16, "f"), ended: ahead(days * DAY) });
      return "400".padStart(16, "f");
    },
  },
  {
    name: "back-dated records, rightly signed",
    refused: false,
    act: async (store) => {
      for (let back = 1; back < 9; back++)
        await forge(store, { id: `b${back}`.padEnd(16, "0"), ended: ahead(-back * DAY + 2 * HOUR) });
      return "b8".padEnd(16, "0");
    },
  },
  {
    name: "a forgotten record put back, after what it needs is gone",
    refused: false,
    act: async (store) => {
      const [{ key, bytes, signature } = { key: "", bytes: GARBAGE, signature: GARBAGE }] = forgotten;
      await store.put(signatureKey(key), signature, HOW);
      await store.put(key, bytes, HOW);
      return key;
    },
  },
  {
    name: "a record signed by somebody else",
    refused: false,
    act: (store) => forge(store, { ended: ahead(0) }, stranger),
  },
  {
    name: "a record signed by somebody else, with the id of a kept one",
    refused: false,
    act: (store) => forge(store, { id: oldest.record.id, ended: ahead(-60_000) }, stranger),
  },
  {
    name: "a record that nobody signed",
    refused: false,
    act: async (store) => {
      const id = await forge(store, { ended: ahead(0) });
      await store.remove(signatureKey(recordKey("rehearsal", keyTime(new Date(ahead(0))), id)), HOW);
      return id;
    },
  },
  {
    name: "an emptied snapshot, rightly signed",
    refused: true,
    act: async (store) => {
      await forge(store, { ended: ahead(0), sources: newest.record.sources.map(empty) });
      return "source db shrank";
    },
  },
  {
    name: "a stranger's record that refers to a list of garbage",
    refused: true,
    act: async (store) => {
      const sha256 = hash("sha256", GARBAGE, "hex");
      await store.put(listKey("rehearsal", sha256), GARBAGE, HOW);
      const list = { sha256, size: GARBAGE.length };
      const sources = newest.record.sources.map((source) => ({ ...source, list }));
      await forge(store, { ended: ahead(0), sources }, stranger);
      return sha256;
    },
  },
  {
    name: "a kept list overwritten",
    refused: true,
    act: async (store) => {
      const sha256 = oldest.record.sources[0]?.list?.sha256 ?? "";
      await overwrite(store, listKey("rehearsal", sha256), GARBAGE);
      return sha256;
    },
  },
  {
    name: "a kept list removed",
    refused: true,
    act: async (store) => {
      const sha256 = oldest.record.sources[0]?.list?.sha256 ?? "";
      await store.remove(listKey("rehearsal", sha256), HOW);
      return sha256;
    },
  },
  ...[janitor, stranger].map(
    (signer): Attack => ({
      name: `a mark of ${signer === janitor ? "the janitor's own key" : "somebody else"} that names what is needed, and other keys`,
      refused: false,
      act: async (store) => {
        const live = packs.map((key) => ({ kind: "pack", name: key.slice(-64) }) as const);
        const places = ["../../repository.json", "snapshots/x", newest.key].map(
          (name) => ({ kind: "pack", name }) as const,
        );
        const records = [oldest, newest].map(({ key }) => {
          return { kind: "signature", name: key.slice("rehearsal/snapshots/".length) } as const;
        });
        const mark: Condemned = {
          drops: "condemned",
          format: 1,
          repository: newest.record.repository,
          policy: "rehearsal",
          at: ahead(-10 * DAY),
          objects: [...live, ...places, ...records],
        } as const;
        const key = await putMark(store, mark, { ...HOW, id: "ffffffff", signer });
        return signer === janitor ? "" : key;
      },
    }),
  ),
  {
    name: "garbage where a mark belongs",
    refused: false,
    act: async (store) => {
      await store.put("rehearsal/condemned/20260101T000000Z-ffffffff.json", GARBAGE, HOW);
      return "rehearsal/condemned/20260101T000000Z-ffffffff.json";
    },
  },
  {
    name: "withdrawals by the backup host's key, which is not the janitor's",
    refused: false,
    act: async (store) => {
      for (const { record } of good) {
        const note = {
          drops: "withdrawn",
          format: 1,
          repository: record.repository,
          policy: "rehearsal",
        } as const;
        const said = { snapshot: record.id, at: ahead(0), why: "all of them" };
        await putNote(store, { ...note, ...said }, { ...HOW, signer: site.rehearsal.signer });
      }
      return `rehearsal/withdrawn/${newest.record.id}.json`;
    },
  },
];

for (const { name, act, refused } of attacks) {
  test(`${name}: ${refused ? "nothing is done" : "it is left out"}, and nothing that is kept is lost`, async () => {
    const began = site.clock.now;
    const store = await copyOf(site.store, site.clock);
    const before = new Set((await keysOf(store)).keys());
    const named = await act(store);
    const attacked = [...(await keysOf(store)).keys()];
    try {
      for (let visit = 0; visit < 5; visit++) {
        const { survey, plan } = await site.plan({ ...asJanitor, store });
        const quarantined = plan.decisions.filter(({ standing }) => !standing.fills && standing.quarantined);
        const said = [
          ...plan.refusals.map(({ why }) => why),
          ...quarantined.map(({ snapshot }) => `${snapshot.id} ${snapshot.key}`),
          ...survey.notes,
        ].join("\n");
        assert.ok(said.includes(named), `${named} is not in: ${said}`);
        const outcome = await site.prune({ ...asJanitor, store }).catch((error: unknown) => error);
        assert.equal(isFailure(outcome, "safety/refused"), refused, String(outcome));
        site.sleep(25);
      }
    } finally {
      site.clock.now = began;
    }
    const left = new Set((await keysOf(store)).keys());
    if (refused) assert.deepEqual([...left], attacked);
    const lost = attacked.filter((key) => before.has(key) && !left.has(key));
    assert.deepEqual(lost, []);
  });
}
