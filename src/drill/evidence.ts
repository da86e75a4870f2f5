import { randomBytes } from "node:crypto";
import * as z from "zod";
import { encodeDocument } from "../snapshot/canonical-json.ts";
import type { DrillResult } from "./drill.ts";

const Milliseconds = z.int().nonnegative();
const Count = z.int().nonnegative();
const Time = z.iso.datetime();
const Id = z.string().regex(/^[0-9a-f]{8,32}$/);
const Outcome = z.enum(["passed", "failed", "damaged", "could-not-run"]);

/** What a drill proved and did not prove, as it is signed; docs/format.md, "Evidence". Times in UTC, durations in milliseconds. */
export const Evidence = z.object({
  drops: z.literal("evidence"),
  format: z.literal(1),
  kind: z.literal("drill"),
  repository: z.string().regex(/^[0-9a-f]{32}$/),
  policy: z.string().regex(/^[a-z][a-z0-9-]*$/),
  id: Id,
  /** The drill before it in the same place, by the SHA-256 of its bytes: one that was taken away shows. */
  previous: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .nullable(),
  tool: z.string(),
  /** The machine that the guided restore was drilled on; null: a scratch directory. */
  on: z.string().nullable(),
  started: Time,
  ended: Time,
  verdict: z.enum(["proven", "damaged", "unproven"]),
  /** Whether every source of the snapshot was drilled. */
  whole: z.boolean(),
  snapshot: z.object({
    id: Id,
    sha256: z.string().regex(/^[0-9a-f]{64}$/),
    state: z.enum(["complete", "partial", "checkpoint"]),
    started: Time,
    ended: Time,
    signature: z.enum(["trusted", "untrusted", "missing"]),
    newer: Count,
  }),
  /** The policy that it was measured against. */
  measured_against: z
    .object({ origin: z.enum(["file", "snapshot"]), sha256: z.string().regex(/^[0-9a-f]{64}$/) })
    .nullable(),
  objectives: z.object({
    age_ms: Milliseconds.nullable(),
    rpo_ms: Milliseconds.nullable(),
    restore_ms: Milliseconds.nullable(),
    load_ms: Milliseconds.nullable(),
    rto_ms: Milliseconds.nullable(),
  }),
  restored: z.object({ files: Count, bytes: Count, packs: Count, stored_bytes: Count }),
  sandbox: z.object({ user: z.string(), network: z.enum(["none", "not taken away"]) }),
  checks: z.array(
    z.object({
      id: z.string(),
      source: z.string().nullable(),
      name: z.string(),
      outcome: Outcome,
      found: z.string(),
      hint: z.string().nullable(),
      began_ms: Milliseconds,
      took_ms: Milliseconds,
    }),
  ),
  not_tested: z.array(z.object({ what: z.string(), why: z.string() })),
  notes: z.array(z.string()),
});
export type Evidence = z.infer<typeof Evidence>;

const MOST_NOTES = 100;

/** What a drill came to, as evidence. `previous` as in the format. */
export function evidenceOf(
  result: DrillResult,
  how: { readonly tool: string; readonly previous: string | undefined },
): Evidence {
  const { chosen, policy, objectives, restored, sandbox, book } = result;
  const { record, sha256 } = chosen.snapshot;
  return {
    drops: "evidence",
    format: 1,
    kind: "drill",
    repository: record.repository,
    policy: record.policy,
    id: randomBytes(8).toString("hex"),
    previous: how.previous ?? null,
    tool: how.tool,
    on: result.on ?? null,
    started: result.began.toISOString(),
    ended: result.ended.toISOString(),
    verdict: result.verdict,
    whole: result.whole,
    snapshot: {
      id: record.id,
      sha256,
      state: record.state,
      started: record.started,
      ended: record.ended,
      signature: chosen.signature,
      newer: chosen.later,
    },
    measured_against: policy
      ? { origin: policy.fromSnapshot ? "snapshot" : "file", sha256: policy.sha256 }
      : null,
    objectives: {
      age_ms: milliseconds(objectives.ageSeconds),
      rpo_ms: milliseconds(objectives.rpoSeconds),
      restore_ms: milliseconds(objectives.restoreSeconds),
      load_ms: milliseconds(objectives.loadSeconds),
      rto_ms: milliseconds(objectives.rtoSeconds),
    },
    restored: {
      files: restored.files,
      bytes: restored.bytes,
      packs: restored.packs,
      stored_bytes: restored.storedBytes,
    },
    sandbox: { user: sandbox.user, network: sandbox.network === undefined ? "none" : "not taken away" },
    checks: book.checks.map(({ source, hint, ...check }) => ({
      id: check.id,
      source: source ?? null,
      name: check.name,
      outcome: check.outcome,
      found: check.found,
      hint: hint ?? null,
      began_ms: Math.round(check.began * 1000),
      took_ms: Math.round(check.seconds * 1000),
    })),
    not_tested: book.notTested.map(({ what, why }) => ({ what, why })),
    notes: book.notes.slice(0, MOST_NOTES),
  };
}

/** Its bytes: canonical JSON, which are what is signed. */
export function encodeEvidence(evidence: Evidence): Buffer {
  return encodeDocument(Evidence.parse(evidence));
}

function milliseconds(seconds: number | undefined): number | null {
  return seconds === undefined ? null : Math.round(seconds * 1000);
}
