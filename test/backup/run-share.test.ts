import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { RunShare } from "../../src/backup/run-share.ts";
import type { ListedSnapshot } from "../../src/snapshot/catalog.ts";
import { fixedBytes } from "../support/fixed-bytes.ts";
import { rehearse } from "../support/rehearsal.ts";
import { failedIn, seenSnapshot, sourceIn } from "../support/sample-status.ts";

const ENDED = "2026-11-24T01:30:00.000Z";
const MANIFEST = { manifest: { sha256: "aa".repeat(32), size: 1 } };
const listed = (...sources: Parameters<typeof sourceIn>[1][]) => {
  const { record, key } = seenSnapshot(ENDED, {
    sources: sources.map((source) => sourceIn(ENDED, { ...MANIFEST, ...source })),
  });
  return { record, key } as ListedSnapshot;
};
const db = { name: "db", bytes: 300 };
const media = { name: "media", bytes: 100 };

const rows: readonly [
  what: string,
  snapshots: readonly ListedSnapshot[],
  at: readonly [source: string, bytes: number],
  finished: readonly string[],
  share: number | undefined,
][] = [
  ["the first backup: nothing is known", [], ["db", 10], [], undefined],
  ["half of the first source", [listed(db, media)], ["db", 150], [], 0.375],
  ["the first is behind", [listed(db, media)], ["media", 50], ["db"], 0.875],
  ["to its end", [listed(db, media)], ["media", 100], ["db"], 1],
  ["a source that no snapshot holds", [listed(db)], ["db", 150], [], undefined],
  ["a source that has grown", [listed(db, media)], ["db", 301], [], undefined],
  ["nothing was looked at yet", [listed(db, media)], ["db", 0], [], undefined],
  [
    "a failed night does not count",
    [listed(db, media), listed(failedIn("db", "gone"))],
    ["db", 150],
    [],
    0.375,
  ],
  [
    "empty sources",
    [listed({ name: "db", bytes: 0 }, { name: "media", bytes: 0 })],
    ["db", 0],
    [],
    undefined,
  ],
];
for (const [what, snapshots, [source, bytes], finished, share] of rows) {
  test(`the share of a run: ${what}`, () => {
    const run = new RunShare(snapshots, ["db", "media"]);
    for (const name of finished) run.finish(name);
    assert.equal(run.at(source, bytes), share);
  });
}

test("the first night has no share; the next one counts what it carried over, up to the end", async () => {
  await using site = await rehearse({
    sources: `  - { name: data, kind: files, paths: ["@DIR@/data"] }
  - { name: dump, kind: command, argv: [cat, "@DIR@/dump"] }`,
  });
  const data = join(site.directory, "data");
  await mkdir(data);
  await writeFile(join(data, "a"), fixedBytes("a", 300_000));
  await writeFile(join(data, "b"), fixedBytes("b", 100_000));
  await writeFile(join(site.directory, "dump"), fixedBytes("dump", 100_000));
  const night = async () => {
    const shares: (number | undefined)[] = [];
    await site.night({ onRead: (_source, _bytes, share) => void shares.push(share) });
    return shares;
  };
  assert.deepEqual([...new Set(await night())], [undefined]);
  await new Promise((resolve) => setTimeout(resolve, 2100)); // files that changed a moment ago are read again
  await night();
  await writeFile(join(data, "b"), fixedBytes("c", 100_000));
  const shares = await night();
  assert.equal(shares.at(-1), 1, String(shares));
  assert.ok((shares[0] ?? 0) >= 0.6, `file a was carried over: ${shares}`);
  assert.deepEqual(shares, shares.toSorted());
});
