import assert from "node:assert/strict";
import { test } from "node:test";
import { judgeSpace } from "../../src/doctor/check-host.ts";
import { isLow, spaceInWords } from "../../src/lib/space.ts";
import { parsePolicy } from "../../src/policy/load.ts";
import { spaceFacts, spaceInFacts } from "../../src/snapshot/space-facts.ts";
import { hostSpace } from "../../src/source/host-space.ts";
import { statusOf } from "../../src/status/status.ts";
import { answeringHost } from "../support/answering-host.ts";
import { greenSeen, seenSnapshot } from "../support/sample-status.ts";

const HOW = { signal: new AbortController().signal };
const GIB = 2 ** 30;
const { sources } = parsePolicy(
  `name: ops
zone: UTC
host: local
store: { directory: /unused }
keys: { recovery_recipients_file: /unused, metadata_identity_file: /unused, signing_key_file: /unused }
sources: [{ name: media, kind: files, paths: [/srv/media] }]`,
  "test",
).policy;

const DF = `/dev/vda1              20000000   18100001   1899999      91% /
/dev/mapper/a b        20000000   17000000   2000000      90% /srv/with space = sign
/dev/vda1              20000000   18100001   1899999      91% /
proc                          0          0         0       - /proc
nobody's line
devtmpfs                      0          0         0       0% /dev
`;

test("df's lines become file systems, each once, as df counts; what has no size is none", async () => {
  const found = await hostSpace(answeringHost(Buffer.from(DF)), sources, HOW);
  assert.deepEqual(found, [
    { where: "/", free: 1_899_999 * 1024, total: 20_000_000 * 1024 },
    { where: "/srv/with space = sign", free: 2_000_000 * 1024, total: 19_000_000 * 1024 },
  ]);
  assert.deepEqual(found.map(isLow), [true, false]);
  assert.deepEqual(spaceInFacts(spaceFacts(found)), found, "a record keeps them");
});

test("a record's other facts, and what is no number of bytes, tell of no disk", () => {
  const facts = {
    hostname: "a",
    "free /": "some",
    "free /a": "1 of 0",
    "free b": "1 of 2",
    "free /d": "1 of 9999999999999999",
    "free /c": "1 of 2",
  };
  assert.deepEqual(spaceInFacts(facts), [{ where: "/c", free: 1, total: 2 }]);
});

test("less than a tenth free is told by doctor, and 10 % is not", () => {
  const low = { where: "/var", free: 2 * GIB - 1, total: 20 * GIB };
  const enough = { where: "/", free: 2 * GIB, total: 20 * GIB };
  assert.equal(spaceInWords(low), "/var: 9 % free, 2.0 GiB");
  const told = (...spaces: Parameters<typeof judgeSpace>[0]) =>
    judgeSpace(spaces).map(({ result, what }) => `${result}: ${what}`);
  assert.deepEqual(told(low, enough), ["warn: a disk is nearly full: /var: 9 % free, 2.0 GiB"]);
  assert.deepEqual(told(enough), ["ok: free: /: 10 % free, 2.0 GiB"]);
});

test("status tells of a disk of the host as the newest backup saw it, and of the store's", () => {
  const host = spaceFacts([{ where: "/var", free: GIB, total: 20 * GIB }]);
  const [older, newest] = [
    seenSnapshot("2026-11-23T01:30:00.000Z"),
    seenSnapshot("2026-11-24T01:30:00.000Z", { host }),
  ];
  const concerns = (change: Parameters<typeof greenSeen>[0]) => {
    const { state, concerns: found } = statusOf(greenSeen(change));
    return [state, ...found.map(({ kind, what }) => `${kind}: ${what}`)];
  };
  assert.deepEqual(concerns({ snapshots: [older, newest] }), [
    "unproven",
    "space: a disk is nearly full: /var of the host: 5 % free, 1.0 GiB",
  ]);
  const before = seenSnapshot("2026-11-23T01:30:00.000Z", { host });
  const after = seenSnapshot("2026-11-24T01:30:00.000Z");
  assert.deepEqual(concerns({ snapshots: [before, after] }), ["green"], "there is room again");
  const storeSpace = { where: "the store /backups", free: GIB, total: 100 * GIB };
  assert.deepEqual(concerns({ storeSpace }), [
    "unproven",
    "space: a disk is nearly full: the store /backups: 1 % free, 1.0 GiB",
  ]);
  assert.deepEqual(concerns({ storeSpace: { ...storeSpace, free: 10 * GIB } }), ["green"]);
});
