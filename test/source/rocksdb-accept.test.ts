import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { isFailure } from "../../src/lib/errors.ts";
import { LogReader } from "../../src/source/rocksdb/formats/log-file.ts";
import {
  type Accepted,
  type CaptureEvidence,
  FreezeJudge,
  Rejection,
} from "../../src/source/rocksdb/verify/accept.ts";
import { checkRocksdbDirectory } from "../../src/source/rocksdb/verify/check-directory.ts";
import { edit, LogBuilder, prefixed, tableField } from "../support/rocksdb-bytes.ts";
import { openAndCheck } from "../support/rocksdb-library.ts";
import { startRocksdbWriter } from "../support/rocksdb-writer.ts";

/** What a real database left when it was killed: a state as a snapshot holds it. */
const FAMILIES = 8;
/** Where the record ends that says how a log is compressed. */
const ASIDE = 11;
let scratch = "";
let real: State;
let published = 0;

before(async () => {
  scratch = mkdtempSync(join(tmpdir(), "drops-rocksdb-judge-"));
  await using writer = await startRocksdbWriter({ families: FAMILIES });
  await writer.reached(4000); // many times what its memtables hold
  await writer.kill();
  published = writer.published();
  cpSync(writer.directory, join(scratch, "db"), { recursive: true });
  real = stateOf(join(scratch, "db"));
});
after(() => rmSync(scratch, { recursive: true, force: true }));

interface State {
  evidence: CaptureEvidence;
  manifest: Buffer;
  tail: Buffer;
  logs: Map<string, Buffer>;
}

function stateOf(directory: string): State {
  const names = readdirSync(directory).filter((name) => statSync(join(directory, name)).isFile());
  const manifest = readFileSync(join(directory, "CURRENT"), "utf8").trim();
  const logs = names.filter((name) => name.endsWith(".log"));
  return {
    evidence: {
      manifest,
      firstLogs: logs.map((name) => Number.parseInt(name, 10)),
      sizes: new Map(names.map((name) => [name, statSync(join(directory, name)).size])),
      recyclesLogs: false,
      chained: true,
    },
    manifest: readFileSync(join(directory, manifest)),
    tail: Buffer.alloc(0),
    logs: new Map(logs.map((name) => [name, readFileSync(join(directory, name))])),
  };
}

function judge(state: State): Accepted {
  const sizes = new Map(state.evidence.sizes);
  for (const [name, bytes] of state.logs) sizes.set(name, bytes.length);
  for (const name of sizes.keys()) if (name.endsWith(".log") && !state.logs.has(name)) sizes.delete(name);
  const judgement = new FreezeJudge({ ...state.evidence, sizes });
  judgement.manifest(state.manifest);
  const { wanted } = judgement.manifestEnd();
  judgement.tail(state.tail);
  judgement.tailEnd();
  for (const name of wanted) {
    const log = judgement.wal(name);
    log.push(state.logs.get(name) as Buffer);
    log.end();
  }
  return judgement.verdict();
}

function copy(): State {
  return {
    ...real,
    evidence: { ...real.evidence, sizes: new Map(real.evidence.sizes) },
    logs: new Map(real.logs),
  };
}

/** Logs that hold records and are needed, old to new. */
function fullLogs(): readonly string[] {
  const { minLog } = judge(real).live;
  return [...real.logs.keys()]
    .sort()
    .filter((name) => Number.parseInt(name, 10) >= minLog && (real.logs.get(name)?.length ?? 0) > 2000);
}

function recordEnds(bytes: Buffer): readonly number[] {
  const ends: number[] = [];
  const reader = new LogReader("a log", { record: (_bytes, end) => ends.push(end) });
  reader.push(bytes);
  return ends;
}

test("a killed database is one state, as the library says too", async () => {
  const accepted = judge(real);
  assert.equal(accepted.live.families.length, FAMILIES);
  assert.ok(accepted.live.tables.length > 0 && fullLogs().length >= 3);
  const directory = join(scratch, "opened");
  cpSync(join(scratch, "db"), directory, { recursive: true });
  const opened = await openAndCheck(directory, { families: FAMILIES, published });
  assert.equal(opened.sequence, accepted.sequence);
});

test("the directory check finds the same state and every block right", async () => {
  const signal = AbortSignal.timeout(600_000);
  const report = await checkRocksdbDirectory(join(scratch, "db"), { signal, tables: true });
  const accepted = judge(real);
  assert.equal(report.sequence, String(accepted.sequence));
  assert.deepEqual(report.formatVersions, { 6: accepted.live.tables.length });
});

const controls: readonly { name: string; change: (state: State) => void; reason: string }[] = [
  {
    name: "a live table is missing",
    change: ({ evidence }) => (evidence.sizes as Map<string, number>).delete(aTable(evidence)),
    reason: "table-missing",
  },
  {
    name: "a live table is one byte short",
    change: ({ evidence }) => {
      const name = aTable(evidence);
      (evidence.sizes as Map<string, number>).set(name, (evidence.sizes.get(name) ?? 0) - 1);
    },
    reason: "table-size",
  },
  {
    name: "a log in the middle is missing",
    change: ({ logs }) => logs.delete(fullLogs()[1] as string),
    reason: "chain",
  },
  {
    name: "a log in the middle was read before its end was written",
    change: ({ logs }) => {
      const name = fullLogs()[1] as string;
      const bytes = logs.get(name) as Buffer;
      const ends = recordEnds(bytes);
      logs.set(name, bytes.subarray(0, ends[Math.floor(ends.length / 2)]));
    },
    reason: "chain",
  },
  {
    name: "a log in the middle is torn inside a record",
    change: ({ logs }) => {
      const name = fullLogs()[1] as string;
      const bytes = logs.get(name) as Buffer;
      logs.set(name, bytes.subarray(0, bytes.length - 5));
    },
    reason: "chain",
  },
  {
    name: "a byte of a log is flipped",
    change: ({ logs }) => {
      const name = fullLogs()[0] as string;
      logs.set(name, flip(logs.get(name) as Buffer, 1000));
    },
    reason: "damaged",
  },
  {
    name: "a byte of the MANIFEST is flipped",
    change: (state) => {
      state.manifest = flip(state.manifest, Math.floor(state.manifest.length / 2));
    },
    reason: "damaged",
  },
  {
    name: "the MANIFEST is empty",
    change: (state) => {
      state.manifest = Buffer.alloc(0);
    },
    reason: "manifest",
  },
  {
    name: "logs came and went between the listings",
    change: (state) => {
      state.evidence = { ...state.evidence, firstLogs: [judge(real).live.minLog - 2] };
    },
    reason: "guard",
  },
];
for (const { name, change, reason } of controls) {
  test(`not one state: ${name}`, () => {
    const state = copy();
    change(state);
    assert.throws(
      () => judge(state),
      (error) => error instanceof Rejection && error.reason === reason && error.message.length > 20,
    );
  });
}

test("without the chain a missing log in the middle would pass, and the library opens it with a hole", async () => {
  const state = copy();
  const lost = fullLogs().at(-2) as string; // recent enough for the ring to remember
  state.logs.delete(lost);
  state.evidence = { ...state.evidence, chained: false };
  assert.ok(judge(state).live.tables.length > 0);
  const directory = join(scratch, "with-a-hole");
  cpSync(join(scratch, "db"), directory, { recursive: true });
  rmSync(join(directory, lost));
  await assert.rejects(openAndCheck(directory, { families: FAMILIES, published: 0 }), /hole|another batch/);
});

test("the newest log may be torn: it is cut to its last whole record, and opens", async () => {
  const full = [...real.logs].filter(([, bytes]) => recordEnds(bytes).length > 0).map(([name]) => name);
  const newest = full.sort().at(-1) as string;
  const state = copy();
  const bytes = real.logs.get(newest) as Buffer;
  state.logs.set(newest, bytes.subarray(0, bytes.length - 5));
  for (const name of state.logs.keys()) if (name > newest) state.logs.delete(name);
  const accepted = judge(state);
  const kept = accepted.keep.get(newest) as number;
  assert.ok(kept < bytes.length - 5 && [...recordEnds(bytes), ASIDE].includes(kept));
  const directory = join(scratch, "torn");
  cpSync(join(scratch, "db"), directory, { recursive: true });
  truncateSync(join(directory, newest), kept);
  const opened = await openAndCheck(directory, { families: FAMILIES, published: 0 });
  assert.equal(opened.sequence, accepted.sequence);
});

test("a MANIFEST that ends mid-record is cut after its last whole group", () => {
  const state = copy();
  const whole = judge(real).keep.get(real.evidence.manifest);
  state.manifest = Buffer.concat([state.manifest, Buffer.from([1, 2, 3, 4, 200, 0, 1, 9, 9])]);
  assert.equal(judge(state).keep.get(real.evidence.manifest), whole);
});

test("a directory that lost a log is damaged, one without CURRENT is incomplete", async () => {
  const directory = join(scratch, "damaged");
  cpSync(join(scratch, "db"), directory, { recursive: true });
  rmSync(join(directory, fullLogs()[1] as string));
  const how = { signal: AbortSignal.timeout(600_000), tables: false };
  await assert.rejects(checkRocksdbDirectory(directory, how), (error) => isFailure(error, "data/damaged"));
  rmSync(join(directory, "CURRENT"));
  await assert.rejects(checkRocksdbDirectory(directory, how), (error) => isFailure(error, "data/missing"));
});

// ---- states written by hand, for what the library at hand does not write

interface Drawn {
  manifest: LogBuilder;
  tail?: Buffer;
  firstLogs?: readonly number[];
  recyclesLogs?: boolean;
  chained?: boolean;
  logs: Readonly<Record<string, LogBuilder>>;
  sizes?: Readonly<Record<string, number>>;
}

function judgeDrawn(drawn: Drawn): Accepted {
  const logs = new Map(Object.entries(drawn.logs).map(([name, log]) => [name, log.bytes()]));
  const manifest = drawn.manifest.bytes();
  return judge({
    evidence: {
      manifest: "MANIFEST-000001",
      firstLogs: drawn.firstLogs ?? Object.keys(drawn.logs).map((name) => Number.parseInt(name, 10)),
      sizes: new Map(Object.entries({ "MANIFEST-000001": manifest.length, ...drawn.sizes })),
      recyclesLogs: drawn.recyclesLogs ?? false,
      chained: drawn.chained ?? true,
    },
    manifest,
    tail: drawn.tail ?? Buffer.alloc(0),
    logs,
  });
}

const base = () => new LogBuilder().record(edit(10, 5, 2, 5)).record(tableField(1, 3, 300));
const sizes = { "000003.sst": 300 };
const five = () => new LogBuilder().batch(100n, 4).batch(104n, 1);
const six = () => new LogBuilder().batch(105n, 2);
/** What `grown` has more than `start`: a MANIFEST's tail. */
const tailOf = (start: LogBuilder, grown: LogBuilder) => grown.bytes().subarray(start.size);

test("logs in a chain, some of them empty, some compressed", () => {
  const zstd = new LogBuilder().physical(9, Buffer.from([7, 0, 0, 0])).batch(105n, 2, { zstd: true });
  const logs = { "000005.log": five(), "000006.log": new LogBuilder(), "000008.log": zstd };
  const accepted = judgeDrawn({ manifest: base(), logs, sizes });
  assert.equal(accepted.sequence, 106n);
  assert.deepEqual(
    accepted.wals.map((wal) => [wal.number, wal.records, wal.first, wal.next]),
    [
      [5, 2, 100n, 105n],
      [6, 0, undefined, undefined],
      [8, 1, 105n, 107n],
    ],
  );
});

test("logs below the lowest needed one are neither read nor kept, tables that are not live neither", () => {
  const garbage = new LogBuilder().raw(Buffer.alloc(100, "not a log"));
  const logs = { "000004.log": garbage, "000005.log": five() };
  const accepted = judgeDrawn({ manifest: base(), logs, sizes: { ...sizes, "000009.sst": 1 } });
  assert.deepEqual([...accepted.keep.keys()].sort(), ["000003.sst", "000005.log", "MANIFEST-000001"]);
});

test("numbers skipped inside a log belong to the database; between logs they are a loss", () => {
  const ingested = new LogBuilder().batch(100n, 4).batch(110n, 1);
  const accepted = judgeDrawn({ manifest: base(), logs: { "000005.log": ingested }, sizes });
  assert.equal(accepted.wals[0]?.innerGaps, 1);
  const logs = { "000005.log": ingested, "000006.log": six() };
  assert.throws(() => judgeDrawn({ manifest: base(), logs, sizes }), rejects("chain"));
  assert.equal(judgeDrawn({ manifest: base(), logs, sizes, chained: false }).sequence, 110n);
});

test("the guard looks at the MANIFEST's end: a later log may have come and gone", () => {
  const logs = { "000005.log": five() };
  const grown = (minLog: number) => tailOf(base(), base().record(edit(10, minLog)));
  assert.equal(judgeDrawn({ manifest: base(), tail: grown(6), logs, sizes }).sequence, 104n);
  assert.throws(() => judgeDrawn({ manifest: base(), tail: grown(7), logs, sizes }), rejects("guard"));
  const late = { "000005.log": five(), "000009.log": six() };
  assert.equal(judgeDrawn({ manifest: base(), tail: grown(7), logs: late, sizes }).sequence, 106n);
  assert.throws(
    () => judgeDrawn({ manifest: base(), tail: grown(7), logs: late, firstLogs: [5], sizes }),
    rejects("guard"),
  );
});

test("with recycling nothing at all may have become obsolete", () => {
  const logs = { "000005.log": five() };
  const recycling = { manifest: base(), logs, sizes, recyclesLogs: true };
  assert.equal(judgeDrawn(recycling).sequence, 104n);
  assert.throws(
    () => judgeDrawn({ ...recycling, tail: tailOf(base(), base().record(edit(10, 6))) }),
    rejects("guard"),
  );
});

test("the tail changes the guard alone, never the state", () => {
  const tail = tailOf(
    base(),
    base()
      .record(edit(6, 1, 3))
      .record(tableField(2, 77, 7)),
  );
  const accepted = judgeDrawn({ manifest: base(), tail, logs: { "000005.log": five() }, sizes });
  assert.deepEqual(
    accepted.live.tables.map((table) => table.number),
    [3],
  );
  assert.equal(accepted.keep.get("MANIFEST-000001"), base().size);
});

test("a MANIFEST copied in the middle of a record goes on in its tail", () => {
  const grown = base().record(edit(10, 6));
  const whole = grown.bytes();
  for (let cut = base().size; cut <= whole.length; cut++) {
    const manifest = new LogBuilder().raw(whole.subarray(0, cut));
    const accepted = judgeDrawn({
      manifest,
      tail: whole.subarray(cut),
      logs: { "000006.log": six() },
      sizes,
    });
    assert.equal(accepted.live.minLog, cut === whole.length ? 6 : 5);
  }
});

test("tracked logs must be there, and long enough", () => {
  const tracking = (number: number, size: number) =>
    base().record(edit(8199, prefixed(edit(number, 2, size, 1))));
  const logs = { "000005.log": five() };
  assert.equal(judgeDrawn({ manifest: tracking(5, five().size), logs, sizes }).sequence, 104n);
  assert.equal(judgeDrawn({ manifest: tracking(4, 999), logs, sizes }).sequence, 104n); // below the lowest needed
  assert.throws(
    () => judgeDrawn({ manifest: tracking(5, five().size + 1), logs, sizes }),
    rejects("wal-short"),
  );
  assert.throws(() => judgeDrawn({ manifest: tracking(6, 10), logs, sizes }), rejects("wal-missing"));
});

test("a table in another directory is refused for good", () => {
  const manifest = base().record(edit(102, 1, 9, 1, 100, prefixed("a"), prefixed("b"), 1, 2));
  assert.throws(
    () => judgeDrawn({ manifest, logs: { "000005.log": five() }, sizes }),
    (error) => isFailure(error, "source/failed") && /db_paths/.test(error.message),
  );
});

test("hostile logs: records that are no batches", () => {
  const table: readonly [string, LogBuilder][] = [
    ["too short", new LogBuilder().record(Buffer.alloc(11))],
    ["numbers that go back", five().batch(50n, 1)],
    ["no zstd", new LogBuilder().physical(9, Buffer.from([7, 0, 0, 0])).batch(100n, 1)],
    ["unknown compression", new LogBuilder().physical(9, Buffer.from([4, 0, 0, 0])).batch(100n, 1)],
  ];
  for (const [name, log] of table) {
    assert.throws(
      () => judgeDrawn({ manifest: base(), logs: { "000005.log": log }, sizes }),
      rejects("damaged"),
      name,
    );
  }
});

function rejects(reason: string): (error: unknown) => boolean {
  return (error) => error instanceof Rejection && error.reason === reason;
}

function aTable(evidence: CaptureEvidence): string {
  const live = new Set(judge(real).keep.keys());
  return [...evidence.sizes.keys()]
    .filter((name) => name.endsWith(".sst") && live.has(name))
    .sort()[0] as string;
}

function flip(bytes: Buffer, at: number): Buffer {
  const changed = Buffer.from(bytes);
  changed[at] = (changed[at] as number) ^ 4;
  return changed;
}
