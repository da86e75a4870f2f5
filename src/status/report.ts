/** What `drops status` is asked, and what it answers. */
import * as z from "zod";
import {
  Bytes,
  Count,
  type ReportOf,
  RepositoryFields,
  Seconds,
  Share,
  SnapshotId,
  SnapshotState,
  Time,
} from "../lib/report-fields.ts";

/** Kinds of what keeps a status from being green; names in metrics and JSON, so none is ever renamed. */
export const CONCERNS = [
  "no-snapshot",
  "damaged",
  "verify-damaged",
  "description",
  "unreadable",
  "quarantined",
  "clock",
  "late",
  "failed",
  "uncovered",
  "space",
  "drill-failed",
  "drill-overdue",
  "verify-overdue",
  "never-drilled",
  "never-verified",
  "recovery-key",
] as const;

/** `amber`: nothing went wrong, but what was never tried is not known to work. */
export const STATES = ["green", "amber", "unproven", "late", "broken"] as const;

/**
 * `good`: believed, and everything that it refers to is listed. `damaged`: something of that is not. `quarantined`: its
 * record cannot be believed. `withdrawn`: an operator warns of it.
 */
const Standing = z.enum(["good", "damaged", "quarantined", "withdrawn"]);

const RestorePoint = z.object({
  id: SnapshotId,
  ended: Time,
  point: Time.describe("when the source that was captured first was captured"),
  ageSeconds: Seconds.describe("of that point, by the store's clock"),
});

const DrillLine = z.object({
  id: z.string(),
  ended: Time,
  ageSeconds: Seconds,
  verdict: z.enum(["proven", "damaged", "unproven"]),
  whole: z.boolean().describe("whether every source was drilled"),
  snapshot: SnapshotId,
  passed: Count,
  checks: Count,
  on: z.string().optional().describe("the machine that the guided restore was drilled on"),
  failed: z
    .object({ check: z.string(), found: z.string(), hint: z.string().optional() })
    .optional()
    .describe("the check that the verdict is owed to; absent when it is proven"),
});

const VerifyLine = z.object({
  id: z.string(),
  ended: Time,
  ageSeconds: Seconds,
  verdict: z.enum(["intact", "damaged"]),
  snapshots: Count,
  objects: Count.describe("looked for by name and size"),
  compared: Count.describe("of these, whose SHA-256 was compared with the name"),
  checksumsFrom: z
    .enum(["bytes", "upload"])
    .optional()
    .describe("hashed where they lie, or by what the server took when they were put"),
  read: z
    .object({ share: Share, packs: Count, bytes: Bytes, opened: z.boolean() })
    .optional()
    .describe("packs that it read back whole, and whether an identity opened them"),
  damaged: Count.describe("objects"),
});

export const StatusReport = z.object({
  ...RepositoryFields,
  at: Time.describe("the store's clock"),
  measuredAgainst: z
    .enum(["file", "snapshot", "defaults"])
    .describe("where rpo, drill.every and the list of sources come from"),
  state: z.enum(STATES).describe("exit 0 when green or amber, else 21"),
  concerns: z
    .array(
      z.object({
        kind: z.enum(CONCERNS),
        what: z.string(),
        hint: z.string(),
      }),
    )
    .readonly()
    .describe("what keeps it from being green, worst first"),
  next: z.string().describe("the one next command"),
  restore: z.object({
    points: Count.describe("complete snapshots that are whole and believed"),
    rpoSeconds: Seconds,
    newest: RestorePoint.optional(),
    oldest: RestorePoint.optional(),
  }),
  failing: z
    .object({
      since: Time,
      ageSeconds: Seconds,
      code: z.string(),
      message: z.string(),
      hint: z.string().optional(),
    })
    .optional()
    .describe("why this machine has made no restore point since, as its alerts remember"),
  sources: z
    .array(
      z.object({
        name: z.string(),
        inPolicy: z.boolean(),
        newest: z
          .object({ snapshot: SnapshotId, captured: Time, ageSeconds: Seconds })
          .optional()
          .describe("its newest success; absent: no snapshot holds it"),
        files: Count,
        bytes: Bytes,
        failed: z
          .object({ snapshot: SnapshotId, at: Time, message: z.string(), stored: z.literal(true).optional() })
          .optional()
          .describe("its last attempt, when that failed; with `stored`, when files could not be read"),
      }),
    )
    .readonly(),
  partial: z
    .array(z.object({ id: SnapshotId, ended: Time, failed: z.array(z.string()).readonly() }))
    .readonly()
    .describe("snapshots of a part, newer than the newest restore point"),
  drills: z.object({
    everySeconds: Seconds,
    count: Count.describe("drills whose evidence is believed"),
    last: DrillLine.optional(),
    proven: DrillLine.optional().describe("the newest that proved every source"),
    opened: Time.optional().describe("when the identity of a drill last opened packs"),
    lines: z.array(DrillLine).readonly().describe("newest first, at most 30"),
    refused: z
      .array(z.object({ file: z.string(), why: z.string() }))
      .readonly()
      .describe("evidence that is not believed"),
    newestRefused: z.boolean(),
  }),
  verifies: z
    .object({
      everySeconds: Seconds.optional().describe("how often one is due; absent: the policy does not say"),
      last: VerifyLine.optional(),
      coverage: z
        .object({
          share: Share.describe("of the data, read back by published verifies"),
          since: Time.optional().describe("everything stored by then was read back since"),
        })
        .optional(),
      doubted: z
        .array(z.object({ snapshot: SnapshotId, why: z.string() }))
        .readonly()
        .describe("snapshots whose record the last one did not believe"),
      refused: z.array(z.object({ file: z.string(), why: z.string() })).readonly(),
    })
    .describe("what drops verify published"),
  destroy: z
    .object({
      proven: z.boolean(),
      answer: z.enum(["yes", "no", "not proven"]).describe("whether the backup host can destroy backups"),
      why: z.string(),
      at: Time.optional().describe("when drops doctor last tried it"),
    })
    .describe("who can destroy the backups"),
  recoveryKey: z
    .object({
      proven: z.boolean(),
      why: z.string(),
      at: Time.optional().describe("when drops doctor was last shown it"),
    })
    .describe("when the recovery identity was last seen to open a backup"),
  clock: z.object({
    skewSeconds: z.number().describe("how far this machine is ahead of the store"),
    allowedSeconds: Seconds,
  }),
  stored: z.object({ objects: Count, bytes: Bytes }).describe("what snapshots refer to, each object once"),
  space: z
    .array(z.object({ where: z.string(), free: Bytes, total: Bytes }))
    .readonly()
    .describe("file systems of the host, as the last backup saw them, and of a directory store; bytes"),
  snapshots: z
    .array(
      z.object({
        id: SnapshotId,
        key: z.string(),
        ended: Time,
        state: SnapshotState,
        standing: Standing,
        why: z.string().optional(),
        bytes: Bytes.describe("size of its sources"),
        storedBytes: Bytes.describe("packs that its run put"),
      }),
    )
    .readonly()
    .describe("oldest first, without checkpoints"),
  unreadable: z.array(z.object({ key: z.string(), why: z.string() })).readonly(),
  descriptionLost: z.boolean(),
  files: z.array(z.string()).describe("that were written"),
  notes: z.array(z.string()).readonly().describe("what the operator should know; not failures"),
});

export type StatusReport = ReportOf<typeof StatusReport>;
/** Without the files that are written of it. */
export type Status = Omit<StatusReport, "files">;
/** What is known before it is judged. */
export type Facts = Omit<Status, "state" | "concerns" | "next">;
export type State = Status["state"];
export type Concern = Status["concerns"][number];
export type ConcernKind = Concern["kind"];
export type SourceStatus = Status["sources"][number];
export type ShownSnapshot = Status["snapshots"][number];
export type SnapshotStanding = ShownSnapshot["standing"];
export type DrillLine = ReportOf<typeof DrillLine>;
export type VerifyLine = ReportOf<typeof VerifyLine>;
/** Why a backup left nothing in the store, in the words of its alert. */
export type FailingBackup = Omit<NonNullable<Status["failing"]>, "ageSeconds">;

export interface StatusOptions {
  /** Metrics are written into this file, for a textfile collector. */
  readonly prometheus: string | undefined;
  /** A page is written into this file. */
  readonly html: string | undefined;
}
