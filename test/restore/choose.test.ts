import assert from "node:assert/strict";
import { test } from "node:test";
import { isFailure } from "../../src/lib/errors.ts";
import { listEntries, listSnapshots, showSnapshot } from "../../src/restore/browse.ts";
import { chooseSnapshot } from "../../src/restore/choose.ts";
import { newSigningKey } from "../../src/seal/keygen.ts";
import { signerFromText } from "../../src/seal/sshsig.ts";
import { signatureKey } from "../../src/store/keys.ts";
import { readPartsOf, TinyRepository } from "../support/tiny-repository.ts";

const HOW = { signal: new AbortController().signal };
const thief = signerFromText(newSigningKey("thief").privateKey, "a thief's key");

/** Three good days, a checkpoint, a partial one, an unsigned and a forged record. */
async function history() {
  const tiny = await TinyRepository.create();
  const source = await tiny.source({ name: "data", entries: [{ path: "f" }, { path: Buffer.from([0xff]) }] });
  const at = (ended: string, more: object = {}) => tiny.commit([source], { ended, started: ended, ...more });
  const days = {
    first: await at("2026-11-18T01:30:00.000Z"),
    second: await at("2026-11-19T01:30:00.000Z"),
    checkpoint: await at("2026-11-20T01:00:00.000Z", { state: "checkpoint" }),
    third: await at("2026-11-20T01:30:00.000Z"),
    partial: await at("2026-11-21T01:30:00.000Z", { state: "partial" }),
    unsigned: await at("2026-11-22T01:30:00.000Z"),
    forged: await at("2026-11-22T02:30:00.000Z", { signer: thief }),
  };
  await tiny.store.remove(signatureKey(days.unsigned.key), HOW);
  return { tiny, days };
}

test("latest is the newest complete one that can be believed, and what is newer is said", async () => {
  const { tiny, days } = await history();
  const said: string[] = [];
  const parts = { ...readPartsOf(tiny), say: (line: string) => void said.push(line) };
  const chosen = await chooseSnapshot(parts, { date: "latest" }, HOW);
  assert.equal(chosen.snapshot.record.id, days.third.record.id);
  assert.equal(chosen.signature, "trusted");
  assert.equal(chosen.later, 0);
  assert.equal(chosen.ageSeconds, (3 * 24 + 10.5) * 3600);
  assert.equal(said.filter((line) => line.startsWith("WARNING")).length, 2);
  assert.equal(chosen.notes.length, 2);
});

test("a day of the zone; how many came after it", async () => {
  const { tiny, days } = await history();
  const chosen = await chooseSnapshot(readPartsOf(tiny), { date: "2026-11-19" }, HOW);
  assert.equal(chosen.snapshot.record.id, days.second.record.id);
  assert.equal(chosen.later, 1);
  assert.deepEqual(chosen.notes, []);
});

test("a day without a snapshot is exit 10, and the nearest ones are named", async () => {
  const { tiny, days } = await history();
  for (const date of ["2026-11-01", "2026-11-21", "2026-11-25"]) {
    await assert.rejects(chooseSnapshot(readPartsOf(tiny), { date }, HOW), (error) => {
      assert.ok(isFailure(error, "snapshot/missing"));
      assert.equal(error.exitCode, 10);
      const nearest = date === "2026-11-01" ? days.first : days.third;
      assert.match(error.hint ?? "", new RegExp(nearest.record.id));
      return true;
    });
  }
});

test("a checkpoint or a partial one only by its id, and then it is said", async () => {
  const { tiny, days } = await history();
  for (const day of ["checkpoint", "partial"] as const) {
    const { record } = days[day];
    const chosen = await chooseSnapshot(readPartsOf(tiny), { id: record.id }, HOW);
    assert.equal(chosen.snapshot.record.id, record.id);
    assert.match(chosen.notes.join(), new RegExp(`is a ${day}`));
  }
});

test("what cannot be believed is refused by its id, unless the operator takes the risk", async () => {
  const { tiny, days } = await history();
  for (const [day, signature] of [
    ["unsigned", "missing"],
    ["forged", "untrusted"],
  ] as const) {
    const { id } = days[day].record;
    for (const choice of [{ id }, { date: id }, { id: id.slice(0, 12) }]) {
      await assert.rejects(chooseSnapshot(readPartsOf(tiny), choice, HOW), (error) => {
        return isFailure(error, "signature/untrusted") && error.exitCode === 13;
      });
    }
    const parts = { ...readPartsOf(tiny), trust: { ...tiny.trust, allowUnsigned: true } };
    const chosen = await chooseSnapshot(parts, { id }, HOW);
    assert.equal(chosen.signature, signature);
  }
});

test("a store with two policies wants to know which", async () => {
  const { tiny } = await history();
  await tiny.store.put("other/snapshots/20261120T013000Z-0123456789abcdef.json", Buffer.from("{}"), HOW);
  await assert.rejects(chooseSnapshot(readPartsOf(tiny), { date: "latest" }, HOW), (error) => {
    return isFailure(error, "usage/invalid") && error.hint === "--policy other  or  --policy tiny";
  });
  const empty = await TinyRepository.create();
  await assert.rejects(chooseSnapshot(readPartsOf(empty), { date: "latest" }, HOW), (error) => {
    return isFailure(error, "snapshot/missing") && error.exitCode === 10;
  });
});

test("listing hides nothing, marks what is not believed, and needs no key", async () => {
  const { tiny } = await history();
  const { snapshots, unreadable } = await listSnapshots({ ...readPartsOf(tiny), trust: tiny.trust }, HOW);
  assert.deepEqual(unreadable, []);
  assert.deepEqual(
    snapshots.map(({ snapshot, signature }) => `${snapshot.record.state} ${signature}`),
    [
      "complete trusted",
      "complete trusted",
      "checkpoint trusted",
      "complete trusted",
      "partial trusted",
      "complete missing",
      "complete untrusted",
    ],
  );
});

test("showing needs no key, and tells more with one", async () => {
  const { tiny } = await history();
  const parts = readPartsOf(tiny);
  const [bare] = (await showSnapshot({ ...parts, identities: [] }, { date: "2026-11-19" }, HOW)).sources;
  assert.deepEqual([bare?.packs, bare?.head], [0, undefined]);
  const [known] = (await showSnapshot(parts, { date: "2026-11-19" }, HOW)).sources;
  assert.equal(known?.head?.source, "data");
  const other = await TinyRepository.create();
  const [locked] = (
    await showSnapshot({ ...parts, identities: [other.identity] }, { date: "2026-11-19" }, HOW)
  ).sources;
  assert.equal(locked?.head, undefined);
  assert.equal(locked?.notes.length, 1);
});

test("entries are listed by source and path, raw", async () => {
  const { tiny } = await history();
  const { entries } = await listEntries(
    readPartsOf(tiny),
    { choice: { date: "latest" }, source: undefined },
    HOW,
  );
  const found = [];
  for await (const { source, entry } of entries) found.push([source, entry.path.toString("hex")]);
  assert.deepEqual(found, [
    ["data", "66"],
    ["data", "ff"],
  ]);
});

test("a store that knows nothing of the expected head is refused; one that has it, or a record that saw it, is not", async () => {
  const { tiny, days } = await history();
  const newest = days.third.record;
  const seen = { id: "00000000000000ff", sha256: "0".repeat(64) };
  const forged = { id: "00000000000000ee", sha256: "0".repeat(64) };
  const source = await tiny.source({ name: "data", entries: [{ path: "f" }] });
  await tiny.commit([source], { ended: "2026-11-20T01:40:00.000Z", started: newest.started, seen: [seen] });
  await tiny.commit([source], { ended: "2026-11-22T03:30:00.000Z", signer: thief, seen: [forged] });
  const table: readonly { head: string; known: boolean }[] = [
    { head: newest.id, known: true },
    { head: newest.id.slice(0, 8), known: true },
    { head: days.first.record.id, known: true },
    { head: seen.id, known: true },
    { head: forged.id, known: false },
    { head: days.forged.record.id, known: false },
    { head: "123456789abcdef0", known: false },
  ];
  for (const { head, known } of table) {
    const chosen = chooseSnapshot({ ...readPartsOf(tiny), expectHead: head }, { date: "latest" }, HOW);
    if (known) await chosen;
    else
      await assert.rejects(chosen, (error) => {
        assert.ok(isFailure(error, "safety/refused"), head);
        assert.match(error.message, new RegExp(`the expected snapshot ${head}`));
        return true;
      });
  }
});
