import assert from "node:assert/strict";
import { test } from "node:test";
import type { ConcernKind, State } from "../../src/status/report.ts";
import type { Seen } from "../../src/status/seen.ts";
import { statusOf } from "../../src/status/status.ts";
import { sampleEvidence } from "../support/sample-evidence.ts";
import { brokenSeen, failedIn, greenSeen, seenSnapshot, sourceIn } from "../support/sample-status.ts";
import { sampleVerifyEvidence } from "../support/sample-verify-evidence.ts";

const DAY = 86_400_000;
const LAST = "2026-11-24T01:30:00.000Z";
const believed = (change: Parameters<typeof sampleEvidence>[0]) => {
  return { file: "e.json", evidence: sampleEvidence(change), sha256: "00".repeat(32) };
};
const proof = (ended: string) => believed({ verdict: "proven", whole: true, ended });
const verify = (change: Parameters<typeof sampleVerifyEvidence>[0] = {}) => {
  return { file: "v.json", evidence: sampleVerifyEvidence(change), sha256: "00".repeat(32) };
};
const every = (days: number) => ({ ...greenSeen().limits, verifyEverySeconds: days * 86_400 });
const finding = (key: string) =>
  verify({
    verdict: "damaged",
    damaged_objects: 1,
    damage: [{ key, problem: "is not the record that snapshot 5f saw", snapshots: [] }],
  });
const KILLED = {
  since: "2026-11-24T03:30:00.000Z",
  code: "killed",
  message: "drops-backup@ops.service ended without telling why: signal, signal KILL",
  hint: "journalctl -u drops-backup@ops.service",
};
const partial = (...sources: Parameters<typeof seenSnapshot>[1][]) =>
  seenSnapshot(LAST, { state: "partial", ...sources[0] });

const rows: readonly {
  what: string;
  seen: Partial<Seen>;
  state: State;
  kinds: readonly ConcernKind[];
  says?: RegExp;
  next?: string;
}[] = [
  {
    what: "two nights, and everything was tried",
    seen: {},
    state: "green",
    kinds: [],
    next: "drops restore --date latest --host root@ADDRESS --dry-run",
  },
  {
    what: "never drilled",
    seen: { evidence: [] },
    state: "amber",
    kinds: ["never-drilled"],
    says: /^no drill has restored a snapshot yet$/,
    next: "drops drill --identity FILE --evidence DIRECTORY --publish",
  },
  {
    what: "the recovery identity was never shown",
    seen: { proofs: { refused: ["a is not signed"] } },
    state: "amber",
    kinds: ["recovery-key"],
    says: /^the recovery identity was never shown to open a backup$/,
    next: "drops doctor --identity FILE",
  },
  {
    what: "the first day",
    seen: { evidence: [], verifies: [], proofs: { refused: [] } },
    state: "amber",
    kinds: ["never-drilled", "never-verified", "recovery-key"],
    next: "drops drill --identity FILE --evidence DIRECTORY --publish",
  },
  {
    what: "never verified, and a drill that found damage",
    seen: { evidence: [believed({ verdict: "damaged" }), ...greenSeen().evidence], verifies: [] },
    state: "unproven",
    kinds: ["drill-failed", "never-verified"],
  },
  {
    what: "an empty repository",
    seen: { snapshots: [], evidence: [], expected: [] },
    state: "broken",
    kinds: ["no-snapshot"],
    says: /nothing can be restored/,
    next: "drops backup",
  },
  {
    what: "exactly as old as is allowed",
    seen: { now: new Date(Date.parse(LAST) - 60_000 + 93_600_000) },
    state: "green",
    kinds: [],
  },
  {
    what: "a second older than that",
    seen: { now: new Date(Date.parse(LAST) - 59_000 + 93_600_000) },
    state: "late",
    kinds: ["late"],
    says: /newest restore point is 26 h old, 26 h are allowed/,
    next: "drops backup",
  },
  {
    what: "a source that failed last night",
    seen: {
      snapshots: [
        seenSnapshot("2026-11-23T08:30:00.000Z"),
        partial({ sources: [sourceIn(LAST, { name: "homeserver-db" }), failedIn("media", "is gone")] }),
      ],
    },
    state: "late",
    kinds: ["failed"],
    says: /media failed in the last backup that tried it: is gone/,
    next: "drops doctor --only sources  shows what to do; then drops backup --source media",
  },
  {
    what: "a source of which a file could not be read last night",
    seen: {
      snapshots: [
        seenSnapshot(LAST, {
          sources: [
            sourceIn(LAST, { name: "homeserver-db" }),
            sourceIn(LAST, {
              name: "media",
              error: { code: "source/incomplete", message: "1 file of source media could not be read: /a" },
            }),
          ],
        }),
      ],
    },
    state: "late",
    kinds: ["failed"],
    says: /media is incomplete in the last backup that tried it: 1 file of source media could not be read: \/a/,
    next: "drops doctor --only sources  shows what to do; then drops backup --source media",
  },
  {
    what: "a failure that a later backup made good",
    seen: {
      snapshots: [
        seenSnapshot("2026-11-23T08:30:00.000Z", {
          state: "partial",
          sources: [failedIn("media", "is gone")],
        }),
        seenSnapshot(LAST),
      ],
    },
    state: "green",
    kinds: [],
  },
  {
    what: "a source of the policy that nothing holds",
    seen: { expected: ["homeserver-db", "media", "forgejo"] },
    state: "late",
    kinds: ["uncovered"],
    says: /no snapshot holds forgejo/,
  },
  {
    what: "a source that left the policy and failed before",
    seen: {
      expected: ["homeserver-db"],
      snapshots: [
        seenSnapshot(LAST, { sources: [sourceIn(LAST, { name: "homeserver-db" }), failedIn("old", "x")] }),
      ],
    },
    state: "green",
    kinds: [],
  },
  {
    what: "a source that is older than the restore point of the rest",
    seen: {
      expected: ["homeserver-db", "media"],
      snapshots: [
        seenSnapshot("2026-11-20T01:30:00.000Z"),
        seenSnapshot(LAST, { sources: [sourceIn(LAST, { name: "homeserver-db" })] }),
      ],
    },
    state: "late",
    kinds: ["late"],
    says: /media was last captured 4 d 5 h ago/,
  },
  {
    what: "only a partial snapshot",
    seen: { snapshots: [partial({})] },
    state: "broken",
    kinds: ["no-snapshot"],
  },
  {
    what: "only a checkpoint, which no restore takes",
    seen: { snapshots: [seenSnapshot(LAST, { state: "checkpoint" })] },
    state: "broken",
    kinds: ["no-snapshot", "uncovered", "uncovered"],
  },
  {
    what: "the newest lost objects",
    seen: {
      snapshots: [
        seenSnapshot("2026-11-23T08:30:00.000Z"),
        seenSnapshot(
          LAST,
          { id: "5f1e0c3ab2d49788" },
          { standing: "damaged", why: "objects are missing or damaged" },
        ),
      ],
    },
    state: "broken",
    kinds: ["damaged"],
    says: /snapshot 5f1e0c3ab2d49788 cannot be restored whole/,
    next: "drops verify",
  },
  {
    what: "all lost objects",
    seen: { snapshots: [seenSnapshot(LAST, {}, { standing: "damaged" })] },
    state: "broken",
    kinds: ["no-snapshot", "damaged", "uncovered", "uncovered"],
    next: "drops verify",
  },
  {
    what: "the only one withdrawn",
    seen: { snapshots: [seenSnapshot(LAST, {}, { standing: "withdrawn", why: "wrong" })] },
    state: "broken",
    kinds: ["no-snapshot", "uncovered", "uncovered"],
  },
  {
    what: "a record from the future",
    seen: {
      snapshots: [
        seenSnapshot(LAST),
        seenSnapshot(
          "2027-01-01T00:00:00.000Z",
          { id: "ff".repeat(8) },
          { standing: "quarantined", why: "the future" },
        ),
      ],
    },
    state: "broken",
    kinds: ["quarantined"],
    says: /snapshot f{16} in quarantine/,
    next: `drops show ${"ff".repeat(8)}; once you know where it comes from, drops withdraw ${"ff".repeat(8)} --why WORDS`,
  },
  {
    what: "a record that nobody trusted signed",
    seen: { unreadable: [{ key: "ops/snapshots/x.json", why: "nobody trusted signed it" }] },
    state: "broken",
    kinds: ["unreadable"],
    says: /1 record cannot be read or trusted: ops\/snapshots\/x\.json/,
  },
  { what: "no repository.json", seen: { descriptionLost: true }, state: "broken", kinds: ["description"] },
  { what: "a clock that is 15 minutes off", seen: { skewSeconds: 900 }, state: "green", kinds: [] },
  {
    what: "a clock an hour ahead",
    seen: { skewSeconds: 3600 },
    state: "broken",
    kinds: ["clock"],
    says: /60 min ahead of the store's/,
  },
  {
    what: "a clock an hour behind",
    seen: { skewSeconds: -3600 },
    state: "broken",
    kinds: ["clock"],
    says: /60 min behind the store's/,
  },
  {
    what: "a drill that is overdue",
    seen: { evidence: [proof("2026-11-15T06:00:00.000Z")] },
    state: "unproven",
    kinds: ["drill-overdue"],
    says: /9 d old, one is due every 8 d/,
    next: "drops drill --identity FILE --evidence DIRECTORY --publish",
  },
  {
    what: "a drill of a part after one of the whole",
    seen: {
      evidence: [
        believed({ verdict: "proven", whole: false, ended: "2026-11-24T05:00:00.000Z" }),
        proof("2026-11-23T06:00:00.000Z"),
      ],
    },
    state: "green",
    kinds: [],
  },
  {
    what: "drills of parts alone",
    seen: { evidence: [believed({ verdict: "proven", whole: false })] },
    state: "unproven",
    kinds: ["drill-overdue"],
    says: /no drill has proven every source/,
  },
  {
    what: "the last drill failed",
    seen: { evidence: [believed({ verdict: "damaged" }), proof("2026-11-23T06:00:00.000Z")] },
    state: "unproven",
    kinds: ["drill-failed"],
    says: /the last drill ended as damaged: 2 of 5 checks passed; files\/restore: <img/,
    next: "drops verify --read-data --publish  marks the damage; the next drops backup stores the data again",
  },
  {
    what: "the last drill proved nothing, for a reason that has a remedy",
    seen: { evidence: [believed({ verdict: "unproven" }), proof("2026-11-23T06:00:00.000Z")] },
    state: "unproven",
    kinds: ["drill-failed"],
    says: /ended as unproven: 2 of 5 checks passed; bridge-db\/rows: table public\.message has 300 rows/,
    next: "compare with another date: drops drill --date …",
  },
  {
    what: "late, and the machine remembers that its backup was killed",
    seen: { now: new Date(Date.parse(LAST) + 100_000_000), failing: KILLED },
    state: "late",
    kinds: ["late"],
    says: /26 h are allowed \(rpo\); drops backup has failed on this machine for 25 h 47 min: .* ended without telling why: signal/,
    next: "journalctl -u drops-backup@ops.service",
  },
  {
    what: "no snapshot at all, and why the first backup made none",
    seen: { snapshots: [], evidence: [], expected: [], failing: KILLED },
    state: "broken",
    kinds: ["no-snapshot"],
    says: /nothing can be restored: .*; drops backup has failed on this machine for .*: signal/,
    next: "journalctl -u drops-backup@ops.service",
  },
  {
    what: "a backup that failed when the newest restore point is young",
    seen: { failing: KILLED },
    state: "green",
    kinds: [],
  },
  {
    what: "what the machine remembers is older than the newest restore point",
    seen: {
      now: new Date(Date.parse(LAST) + 100_000_000),
      failing: { ...KILLED, since: "2026-11-24T01:00:00.000Z" },
    },
    state: "late",
    kinds: ["late"],
    says: /26 h are allowed \(rpo\)$/,
    next: "drops backup",
  },
  {
    what: "evidence that is not believed, newer than all that is",
    seen: { evidence: [{ file: "x", refused: "x: no trusted key" }, proof("2026-11-23T06:00:00.000Z")] },
    state: "unproven",
    kinds: ["drill-failed"],
    says: /not trusted: x: no trusted key/,
  },
  {
    what: "evidence that is not believed, older than one that is",
    seen: { evidence: [proof("2026-11-23T06:00:00.000Z"), { file: "x", refused: "x: no trusted key" }] },
    state: "green",
    kinds: [],
  },
  {
    what: "a verify of long ago, of a policy that does not say how often",
    seen: { verifies: [verify({ ended: "2026-01-01T05:00:00.000Z" })] },
    state: "green",
    kinds: [],
  },
  {
    what: "a verify exactly as old as is allowed",
    seen: { limits: every(2), verifies: [verify({ ended: "2026-11-22T06:00:00.000Z" })] },
    state: "green",
    kinds: [],
  },
  {
    what: "a verify that is a second older",
    seen: { limits: every(2), verifies: [verify({ ended: "2026-11-22T05:59:59.000Z" })] },
    state: "unproven",
    kinds: ["verify-overdue"],
    says: /^the last verify is 48 h old, one is due every 48 h$|^the last verify is 2 d old, one is due every 2 d$/,
    next: "drops verify --routine",
  },
  {
    what: "never verified, before one was due",
    seen: { limits: every(2), verifies: [] },
    state: "amber",
    kinds: ["never-verified"],
    says: /^no verify has published a result yet$/,
    next: "drops verify --routine",
  },
  {
    what: "never verified since one was due",
    seen: { limits: every(1), verifies: [] },
    state: "unproven",
    kinds: ["verify-overdue"],
    says: /no verify has published trusted evidence, one is due every/,
  },
  {
    what: "verified by somebody who is not believed",
    seen: { limits: every(1), verifies: [{ file: "v", refused: "v: no trusted key" }] },
    state: "unproven",
    kinds: ["verify-overdue"],
    says: /trusted evidence, one is due every 24 h; not trusted: v: no trusted key/,
  },
  {
    what: "verified by somebody who is not believed, and nobody says how often",
    seen: { verifies: [{ file: "v", refused: "v: no trusted key" }] },
    state: "amber",
    kinds: ["never-verified"],
    says: /^no verify is believed: v: no trusted key$/,
    next: "name a key in verify.signing_key_file of the policy that is in prune.drill_signers or prune.trusted_signers",
  },
  {
    what: "a verify that is not believed, and one in time that is",
    seen: { limits: every(8), verifies: [{ file: "v", refused: "v: no trusted key" }, verify()] },
    state: "green",
    kinds: [],
  },
  {
    what: "the last verify found another record in the place of one",
    seen: { verifies: [finding(seenSnapshot(LAST).key)] },
    state: "broken",
    kinds: ["verify-damaged"],
    says: /^the last verify, 2 d 1 h ago, doubts the record of snapshot [0-9a-f]{16}: is not the record that snapshot 5f saw$/,
    next: "drops verify --routine",
  },
  {
    what: "a pack that the last verify found damaged: marks and listings tell, and nothing after it was healed",
    seen: { verifies: [finding("ops/packs/ab/abcd")] },
    state: "green",
    kinds: [],
  },
  {
    what: "the last verify doubts a record that was withdrawn since",
    seen: {
      snapshots: [
        seenSnapshot("2026-11-22T01:30:00.000Z", {}, { standing: "withdrawn", why: "doubtful" }),
        seenSnapshot(LAST),
      ],
      verifies: [finding(seenSnapshot("2026-11-22T01:30:00.000Z").key)],
    },
    state: "green",
    kinds: [],
  },
];

for (const row of rows) {
  test(`${row.what}: ${row.state}`, () => {
    const status = statusOf(greenSeen(row.seen));
    assert.deepEqual(
      status.concerns.map(({ kind }) => kind),
      row.kinds,
    );
    assert.equal(status.state, row.state);
    if (row.says) assert.match(status.concerns[0]?.what ?? "", row.says);
    if (row.next !== undefined) assert.equal(status.next, row.next);
  });
}

test("the age is that of the source that was captured first, by the store's clock", () => {
  const sources = [
    sourceIn(LAST, { name: "a", captured_at: "2026-11-24T01:00:00.000Z" }),
    sourceIn(LAST, { name: "b" }),
  ];
  const { restore } = statusOf(greenSeen({ snapshots: [seenSnapshot(LAST, { sources })], skewSeconds: 600 }));
  assert.equal(restore.newest?.point, "2026-11-24T01:00:00.000Z");
  assert.equal(restore.newest?.ageSeconds, 5 * 3600);
});

test("what is damaged, withdrawn or in quarantine is no restore point, and is still shown", () => {
  const { restore, snapshots, sources } = statusOf(brokenSeen());
  assert.equal(restore.points, 2);
  assert.equal(restore.newest?.ended, "2026-11-20T01:30:00.000Z");
  assert.equal(restore.oldest?.ended, "2026-09-30T01:30:00.000Z");
  assert.deepEqual(
    snapshots.map(({ standing }) => standing),
    ["good", "good", "damaged", "withdrawn", "quarantined", "good"],
  );
  const media = sources.find(({ name }) => name === "media");
  assert.equal(
    media?.newest?.ageSeconds,
    (Date.parse("2026-11-24T06:00:00Z") - Date.parse("2026-11-20T01:29:00Z")) / 1000,
  );
  assert.equal(media?.failed?.at, LAST);
});

test("a long foreign message is one line of a concern, and whole where it belongs", () => {
  const message = `first\nsecond ${"x".repeat(4000)}`;
  const { concerns, sources } = statusOf(
    greenSeen({
      snapshots: [
        seenSnapshot(LAST),
        seenSnapshot(LAST, { state: "partial", sources: [failedIn("media", message)] }),
      ],
    }),
  );
  assert.match(concerns[0]?.what ?? "", /: first second x{286}…$/);
  assert.equal(sources.find(({ name }) => name === "media")?.failed?.message, message);
});

test("how much of the data was read back, and since when all of it was", () => {
  const partly = statusOf(greenSeen({ verifies: [verify()] })).verifies;
  assert.deepEqual(partly.coverage, { share: 0.5 });
  assert.deepEqual(partly.last?.read, { share: 0.25, packs: 40, bytes: 536_870_912, opened: false });
  assert.equal(partly.last?.ageSeconds, 2 * 86_400 + 50 * 60);
  const covered = [{ from: 0, span: 2 ** 32, at: "2026-11-15T05:00:00.000Z" }];
  const whole = statusOf(greenSeen({ verifies: [verify({ covered, read: null })] })).verifies;
  assert.deepEqual(whole.coverage, { share: 1, since: "2026-11-15T05:00:00.000Z" });
  assert.equal(whole.last?.read, undefined);
  assert.deepEqual(statusOf(greenSeen({ verifies: [] })).verifies, { doubted: [], refused: [] });
});

test("a drill counts from its end", () => {
  const { drills } = statusOf(greenSeen({ evidence: [proof("2026-11-22T06:00:00.000Z")] }));
  assert.equal(drills.proven?.ageSeconds, (2 * DAY) / 1000);
  assert.equal(drills.opened, "2026-11-22T06:00:00.000Z");
});
