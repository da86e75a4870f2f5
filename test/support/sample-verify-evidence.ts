import type { VerifyEvidence } from "../../src/verify/evidence.ts";
import { RING } from "../../src/verify/rotation.ts";

/** Evidence of a verify that found nothing, and read a quarter of the data after one that read another. */
export function sampleVerifyEvidence(change: Partial<VerifyEvidence> = {}): VerifyEvidence {
  const span = RING / 4;
  return {
    drops: "evidence",
    format: 1,
    kind: "verify",
    repository: "0123456789abcdef0123456789abcdef",
    policy: "ops",
    id: "fedcba9876543210",
    previous: null,
    tool: "drops test",
    started: "2026-11-22T05:00:00.000Z",
    ended: "2026-11-22T05:10:00.000Z",
    verdict: "intact",
    snapshots: { looked_at: 2, intact: 2 },
    objects: { looked_for: 170, bytes: 2_147_483_648, compared: 168, checksums_from: "upload" },
    read: { from: span, span, packs: 40, bytes: 536_870_912, opened: false },
    covered: [
      { from: 0, span, at: "2026-11-15T05:00:00.000Z" },
      { from: span, span, at: "2026-11-22T05:00:00.000Z" },
    ],
    damaged_objects: 0,
    damage: [],
    notes: [],
    ...change,
  };
}
