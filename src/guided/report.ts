/** What a guided restore and its rollback are asked, and what they answer. */
import * as z from "zod";
import type { Prompt } from "../lib/context.ts";
import {
  Bytes,
  Count,
  ReportNotes,
  type ReportOf,
  RepositoryFields,
  Seconds,
  Signature,
  SnapshotId,
  SnapshotState,
  Time,
} from "../lib/report-fields.ts";
import type { SnapshotChoice } from "../restore/choose.ts";
import type { StepId } from "./run/steps.ts";

const Run = z.string().regex(/^\d{8}T\d{6}-[0-9a-f]{6}$/);
const Snapshot = z.object({
  id: SnapshotId,
  state: SnapshotState,
  started: Time,
  ended: Time,
  signature: Signature,
});
const Check = z.object({ name: z.string(), ok: z.boolean(), found: z.string(), hint: z.string().optional() });

export const GuidedStep = z.object({
  id: z.string(),
  number: Count,
  title: z.string(),
  outcome: z
    .enum(["planned", "done", "passed"])
    .describe("planned: not done, by --dry-run; passed: an earlier try did it"),
  actions: z.array(z.object({ what: z.string(), command: z.string().optional() })),
  bytes: Bytes,
  expectedSeconds: Seconds,
  seconds: Seconds.optional().describe("of work, without waiting for a person, over all tries"),
  checks: z.array(Check),
  answers: z.array(
    z.object({ item: z.string(), answer: z.enum(["yes", "no", "not asked"]), note: z.string() }),
  ),
  notes: ReportNotes,
});

export const GuidedReport = z.object({
  ...RepositoryFields,
  host: z.string(),
  run: Run,
  dryRun: z.boolean(),
  snapshot: Snapshot,
  ageSeconds: Seconds.describe("of the snapshot when the restore was planned"),
  lost: z
    .object({
      since: Time.describe("what was made after this is not in the snapshot"),
      snapshots: z.array(
        z.object({
          id: z.string(),
          state: z.enum(["complete", "partial"]),
          ended: Time,
          sources: z.array(z.object({ name: z.string(), bytes: Bytes, readBytes: Bytes })),
        }),
      ),
    })
    .describe("later snapshots hold what this one does not"),
  steps: z.array(GuidedStep),
  leftOut: z.array(z.object({ source: z.string(), why: z.string() })),
  bytes: Bytes,
  expectedSeconds: Seconds,
  rtoSeconds: Seconds.describe("of the policy: how long a restore may take"),
  secondsToStarted: Seconds.optional().describe("from the run's beginning until all services ran again"),
  notes: ReportNotes,
  next: z.array(z.string()).describe("commands"),
});

export const FinishReport = z.object({
  policy: z.string(),
  host: z.string(),
  run: Run,
  removed: z.array(z.string()).describe("whose old data is gone"),
  notes: ReportNotes,
});

export const RollbackReport = z.object({
  policy: z.string(),
  host: z.string(),
  run: Run,
  putBack: z.array(z.string()),
  started: z.array(z.string()),
  notReady: z.array(z.string()).describe("units that were active before the restore and are not now"),
  notes: ReportNotes,
});

export const BootstrapReport = z.object({
  ...RepositoryFields,
  snapshot: Snapshot,
  to: z.string(),
  files: z.array(z.object({ path: z.string(), mode: z.string(), secret: z.boolean() })),
  flake: z.string().optional().describe("where the flake was unpacked, or its bundle lies"),
  revision: z.string().optional().describe("of the flake, when the snapshot was made"),
  choices: z.array(z.object({ title: z.string(), commands: z.array(z.string()), notes: ReportNotes })),
  notes: ReportNotes,
});

/** What a person said of one item of the checklist. */
export type ChecklistAnswer = GuidedStep["answers"][number];
export type RebuildChoice = BootstrapReport["choices"][number];
export type GuidedStep = ReportOf<typeof GuidedStep>;
export type GuidedReport = ReportOf<typeof GuidedReport>;
export type FinishReport = ReportOf<typeof FinishReport>;
export type RollbackReport = ReportOf<typeof RollbackReport>;
export type BootstrapReport = ReportOf<typeof BootstrapReport>;

export interface ConsentOptions {
  /** Go on without asking; never answers the fence. */
  readonly yes: boolean;
  /** Undefined when there is no terminal. */
  readonly prompt: Prompt | undefined;
}

export interface GuidedOptions extends ConsentOptions {
  /** Undefined when a run is resumed. */
  readonly choice: SnapshotChoice | undefined;
  /** Sources; empty means all. */
  readonly only: readonly string[];
  readonly steps: readonly StepId[];
  readonly dryRun: boolean;
  readonly fenced: boolean;
  /** A run's id, or `true` for the only one that is open. */
  readonly resume: string | true | undefined;
  /** What will be done, before a person is asked. */
  readonly onPlanned?: ((report: GuidedReport) => Promise<void>) | undefined;
}
