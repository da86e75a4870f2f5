import * as z from "zod";

/** What a guided restore and its rollback answer; see outputs.ts for the rules. */
const Time = z.iso.datetime().describe("UTC");
const Seconds = z.number().nonnegative();
const Bytes = z.int().nonnegative();
const Notes = z.array(z.string()).describe("what the operator should know; not failures");
const Run = z.string().regex(/^\d{8}T\d{6}-[0-9a-f]{6}$/);
const Snapshot = z.object({
  id: z.string().describe("a snapshot's id"),
  state: z.enum(["complete", "partial", "checkpoint"]),
  started: Time,
  ended: Time,
  signature: z.enum(["trusted", "untrusted", "missing"]),
});
const Check = z.object({ name: z.string(), ok: z.boolean(), found: z.string(), hint: z.string().optional() });

export const GuidedStep = z.object({
  id: z.string(),
  number: z.int().nonnegative(),
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
  notes: Notes,
});

export const GuidedReport = z.object({
  policy: z.string(),
  store: z.string(),
  zone: z.string(),
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
  notes: Notes,
  next: z.array(z.string()).describe("commands"),
});

export const FinishReport = z.object({
  policy: z.string(),
  host: z.string(),
  run: Run,
  removed: z.array(z.string()).describe("whose old data is gone"),
  notes: Notes,
});

export const RollbackReport = z.object({
  policy: z.string(),
  host: z.string(),
  run: Run,
  putBack: z.array(z.string()),
  started: z.array(z.string()),
  notReady: z.array(z.string()).describe("units that were active before the restore and are not now"),
  notes: Notes,
});

export const BootstrapReport = z.object({
  policy: z.string(),
  store: z.string(),
  zone: z.string(),
  snapshot: Snapshot,
  to: z.string(),
  files: z.array(z.object({ path: z.string(), mode: z.string(), secret: z.boolean() })),
  flake: z.string().optional().describe("where the flake was unpacked, or its bundle lies"),
  revision: z.string().optional().describe("of the flake, when the snapshot was made"),
  choices: z.array(z.object({ title: z.string(), commands: z.array(z.string()), notes: Notes })),
  notes: Notes,
});

export type GuidedStep = z.infer<typeof GuidedStep>;
export type GuidedReport = z.infer<typeof GuidedReport>;
export type FinishReport = z.infer<typeof FinishReport>;
export type RollbackReport = z.infer<typeof RollbackReport>;
export type BootstrapReport = z.infer<typeof BootstrapReport>;
