import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { operatorTarget } from "../../src/guided/journal/operator-runs.ts";
import { metaOf, type RunOf, type RunTarget, runOf } from "../../src/guided/journal/run-meta.ts";
import type { RunMeta } from "../../src/guided/journal/runs.ts";
import { isFailure } from "../../src/lib/errors.ts";
import { RESTORE, recordsOf, SOURCES } from "../support/guided-run.ts";
import { scratchDirectory } from "../support/scratch.ts";

const RUN: RunOf = {
  run: "20261124T003638-a1b2c3",
  policy: "ops",
  started: "2026-11-24T00:36:38.000Z",
  host: "root@new",
  target: { address: "new", port: 22, user: "root" },
  restore: RESTORE,
  rto: "2h",
  sources: SOURCES,
  snapshot: {
    drops: "snapshot",
    format: 1,
    repository: "0".repeat(32),
    policy: "ops",
    id: "0123456789abcdef",
    sequence: 3,
    state: "complete",
    started: "2026-11-20T01:30:00.000Z",
    ended: "2026-11-20T01:32:00.000Z",
    tool: "drops",
    host: { hostname: "old" },
    skew_ms: 0,
    stored_bytes: 0,
    seen: [],
    sources: recordsOf(SOURCES).sources,
  },
  only: ["media"],
  steps: ["stop", "files"],
  oldMachine: "old",
  oldAddresses: ["old"],
  realPaths: { "/var/lib/hs": "/var/lib/private/hs" },
  capturedPaths: { "/a": "/private/a" },
};

/** As it comes back from the host. */
function overTheWire(meta: RunMeta): RunMeta {
  return JSON.parse(JSON.stringify(meta)) as RunMeta;
}

test("a run is read back as it was written, without what it has no use for", () => {
  assert.deepEqual(runOf(overTheWire(metaOf(RUN))), RUN);
  const [first, ...others] = RUN.snapshot.sources;
  assert.ok(first);
  const noisy = {
    ...RUN.snapshot,
    seen: [{ id: "a", sha256: "0".repeat(64) }],
    sources: [{ ...first, notes: ["x"] }, ...others],
  };
  assert.deepEqual(runOf(overTheWire(metaOf({ ...RUN, snapshot: noisy }))), RUN);
  assert.deepEqual(runOf(overTheWire(metaOf({ ...RUN, target: "local" }))).target, "local");
});

const strange: readonly { name: string; change: object; code: "format/unsupported" | "data/damaged" }[] = [
  { name: "another format", change: { format: 2 }, code: "format/unsupported" },
  { name: "no target", change: { target: undefined }, code: "format/unsupported" },
  {
    name: "a relative path",
    change: { policy_sources: [{ name: "a", kind: "files", paths: ["x"] }] },
    code: "format/unsupported",
  },
  {
    name: "a path upwards",
    change: { policy_sources: [{ name: "a", kind: "files", paths: ["/a/../b"] }] },
    code: "format/unsupported",
  },
  { name: "a gate upwards", change: { restore: { gate: "/a/../b" } }, code: "format/unsupported" },
  {
    name: "a unit that is an option",
    change: { restore: { units: [{ unit: "--now.service" }] } },
    code: "format/unsupported",
  },
  { name: "no record", change: { record: undefined }, code: "format/unsupported" },
  { name: "half a record", change: { record: { drops: "snapshot" } }, code: "data/damaged" },
];
for (const { name, change, code } of strange) {
  test(`a host's run.json with ${name} is refused`, () => {
    const meta = overTheWire({ ...metaOf(RUN), ...change });
    assert.throws(
      () => runOf(meta),
      (error: unknown) => isFailure(error, code),
    );
  });
}

test("the operator's journals tell where a run was begun", async () => {
  await using scratch = await scratchDirectory();
  const folder = join(scratch.path, "restore", "ops");
  await mkdir(folder, { recursive: true });
  const write = (run: string, address: string, ...more: object[]) => {
    const target = { address, port: 22, user: "root" };
    const lines = [{ event: "created", run, target }, ...more];
    const text = lines.map((line, n) => JSON.stringify({ n, at: RUN.started, ...line })).join("\n");
    return writeFile(join(folder, `${run}.jsonl`), `${text}\n`);
  };
  const which = { policy: "ops", run: undefined };
  assert.equal(await operatorTarget(scratch.path, which), undefined);
  await write("20261124T000000-000001", "one");
  await write("20261124T000000-000002", "two");
  await write("20261124T000000-000003", "three", { event: "closed", outcome: "finished" });
  await writeFile(
    join(folder, "20261124T000000-000004.jsonl"),
    '{"n":0,"at":"2026-11-24T00:36:38.000Z","event":"created","target":{"address":""}}\nnonsense\n',
  );
  const addressOf = (target: RunTarget | undefined) =>
    target === undefined || target === "local" ? target : target.address;
  assert.equal(addressOf(await operatorTarget(scratch.path, which)), "two");
  assert.equal(addressOf(await operatorTarget(scratch.path, { ...which, policy: undefined })), "two");
  assert.equal(
    addressOf(await operatorTarget(scratch.path, { ...which, run: "20261124T000000-000001" })),
    "one",
  );
  assert.equal(await operatorTarget(scratch.path, { ...which, run: "20261124T000000-000003" }), undefined);
  assert.equal(await operatorTarget(scratch.path, { policy: "other", run: undefined }), undefined);
});
