import { hash } from "node:crypto";
import type { SnapshotRecord, SourceRecord } from "../../src/snapshot/record.ts";
import type { StatusReport } from "../../src/status/report.ts";
import type { Seen, SeenSnapshot } from "../../src/status/seen.ts";
import { statusOf } from "../../src/status/status.ts";
import { sampleEvidence } from "./sample-evidence.ts";
import { sampleVerifyEvidence } from "./sample-verify-evidence.ts";

export const NOW = new Date("2026-11-24T06:00:00Z");

/** A source in a record, captured a minute before its record ended. */
export function sourceIn(
  ended: string,
  change: Partial<SourceRecord> & { readonly name: string },
): SourceRecord {
  return {
    kind: "files",
    outcome: "stored",
    captured_at: new Date(Date.parse(ended) - 60_000).toISOString(),
    files: 1234,
    bytes: 5_368_709_120,
    notes: [],
    ...change,
  };
}

export function failedIn(name: string, message: string): SourceRecord {
  return { name, kind: "files", outcome: "failed", notes: [], error: { code: "source/failed", message } };
}

/** A good and complete snapshot of the sources `homeserver-db` and `media`. */
export function seenSnapshot(
  ended: string,
  change: Partial<SnapshotRecord> = {},
  how: Partial<Pick<SeenSnapshot, "standing" | "why">> = {},
): SeenSnapshot {
  const id = hash("sha256", ended, "hex").slice(0, 16);
  const record: SnapshotRecord = {
    drops: "snapshot",
    format: 1,
    repository: "0123456789abcdef0123456789abcdef",
    policy: "ops",
    id,
    sequence: 1,
    state: "complete",
    started: ended,
    ended,
    tool: "drops test",
    host: {},
    skew_ms: 0,
    stored_bytes: 41_943_040,
    seen: [],
    sources: [
      sourceIn(ended, { name: "homeserver-db" }),
      sourceIn(ended, { name: "media", bytes: 999, files: 1 }),
    ],
    ...change,
  };
  return { record, key: `ops/snapshots/${record.id}.json`, standing: "good", ...how };
}

/** The recovery identity was shown to doctor. */
const SHOWN: Seen["proofs"] = {
  refused: [],
  recovery: { at: "2026-11-23T06:00:00.000Z", recipients: ["age1x"], snapshot: "0123456789abcdef" },
};

/** Nothing is wrong, and everything was tried: two nights, a drill of yesterday, a verify, the recovery identity. */
export function greenSeen(change: Partial<Seen> = {}): Seen {
  const proven = sampleEvidence({
    verdict: "proven",
    whole: true,
    id: "1".repeat(16),
    ended: "2026-11-23T06:00:00.000Z",
  });
  return {
    policy: "ops",
    store: "s3://bucket/drops",
    zone: "Europe/Berlin",
    now: NOW,
    skewSeconds: 0,
    limits: {
      rpoSeconds: 93_600,
      drillEverySeconds: 8 * 86_400,
      verifyEverySeconds: undefined,
      maxSkewSeconds: 900,
      origin: "file",
    },
    expected: ["homeserver-db", "media"],
    snapshots: [seenSnapshot("2026-11-23T01:30:00.000Z"), seenSnapshot("2026-11-24T01:30:00.000Z")],
    unreadable: [],
    descriptionLost: false,
    proofs: SHOWN,
    failing: undefined,
    evidence: [{ file: "1.json", evidence: proven, sha256: "00".repeat(32) }],
    verifies: [{ file: "0.verify.json", evidence: sampleVerifyEvidence(), sha256: "00".repeat(32) }],
    stored: { objects: 170, bytes: 2_147_483_648 },
    notes: [],
    ...change,
  };
}

/** Something of everything is wrong, with awkward words in each place. */
export function brokenSeen(): Seen {
  const partial = "2026-11-24T01:30:00.000Z";
  const older = sampleEvidence({
    verdict: "proven",
    whole: true,
    id: "2".repeat(16),
    ended: "2026-11-10T03:00:00.000Z",
  });
  const partly = seenSnapshot("2026-11-20T01:30:00.000Z");
  const verified = sampleVerifyEvidence({
    ended: "2026-11-10T05:10:00.000Z",
    verdict: "damaged",
    damaged_objects: 1,
    damage: [{ key: partly.key, problem: "is not the record that <b>was</b> seen", snapshots: [] }],
  });
  return greenSeen({
    skewSeconds: -3600,
    limits: { ...greenSeen().limits, verifyEverySeconds: 8 * 86_400 },
    expected: ["homeserver-db", "media", "forgejo"],
    snapshots: [
      seenSnapshot("2026-09-30T01:30:00.000Z"),
      partly,
      seenSnapshot(
        "2026-11-21T01:30:00.000Z",
        {},
        { standing: "damaged", why: "objects are missing or damaged" },
      ),
      seenSnapshot("2026-11-22T01:30:00.000Z", {}, { standing: "withdrawn", why: "<b>wrong</b> state" }),
      seenSnapshot(
        "2026-11-22T11:30:00.000Z",
        {},
        { standing: "quarantined", why: "it claims to be from the future" },
      ),
      seenSnapshot(partial, {
        state: "partial",
        sources: [
          sourceIn(partial, { name: "homeserver-db" }),
          failedIn("media", "<script>alert(1)</script> \u001b[31mred\u202e is gone"),
        ],
      }),
    ],
    unreadable: [{ key: "ops/snapshots/20261119T013205Z-00ff.json", why: "nobody trusted <i>signed</i> it" }],
    descriptionLost: true,
    failing: {
      since: "2026-11-22T01:30:05.000Z",
      code: "killed",
      message: "drops-backup@ops.service ended <b>without</b> telling why: signal, signal KILL",
      hint: "journalctl -u drops-backup@ops.service",
    },
    proofs: {
      refused: ["ops/doctor/x.json is signed by a key that is not trusted"],
      destroy: { answer: "yes", at: "2026-11-20T06:00:00.000Z", found: ["deleting is <b>possible</b>"] },
      recovery: { at: "2026-09-20T06:00:00.000Z", recipients: ["age1x"], snapshot: "0123456789abcdef" },
    },
    evidence: [
      { file: "3.json", evidence: sampleEvidence(), sha256: "00".repeat(32) },
      { file: "2.json", evidence: older, sha256: "00".repeat(32) },
      { file: "0.json", refused: "0.json: the signature does not belong to these bytes" },
    ],
    verifies: [
      { file: "5.verify.json", refused: "5.verify.json: <u>nobody</u> trusted signed it" },
      { file: "4.verify.json", evidence: verified, sha256: "00".repeat(32) },
    ],
    notes: ["snapshot 5f1e0c3ab2d49788 was withdrawn: <img src=x>"],
  });
}

export function sampleReport(): StatusReport {
  const status = statusOf(brokenSeen());
  return { ...status, files: ["/srv/www/drops.html"] };
}
