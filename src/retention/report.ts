/** What plan, prune, keeper, pin, unpin and withdraw are asked, and what they answer. */
import * as z from "zod";
import {
  Count,
  Objects,
  ReportNotes,
  type ReportOf,
  RepositoryFields,
  Seconds,
  SnapshotId,
  SnapshotState,
  Time,
} from "../lib/report-fields.ts";

const Held = Objects.optional().describe(
  "removed or put over, now or earlier, and not freed: versions or Object Lock hold them; absent: not known",
);

export const PlannedSnapshot = z.object({
  id: z.string().describe("a snapshot's id; of an imagined one its night"),
  key: z.string(),
  ended: Time,
  state: SnapshotState,
  keep: z.boolean(),
  reasons: z.array(z.string()).describe("why it is kept: `weekly 3 of 4`, a guard; why not, when it is not"),
  slots: z.array(
    z.object({
      rule: z.enum(["last", "daily", "weekly", "monthly", "yearly"]),
      number: z.int().positive(),
      of: Count,
      period: z.string(),
      oldest: z.boolean().describe("only because nothing older is there and the rule is not full"),
    }),
  ),
  quarantined: z.string().optional().describe("why it is not believed; it is kept, and fills no slot"),
  bytesAlone: Count.describe("of objects that no other snapshot refers to"),
  goes: Time.optional().describe(
    "when the rules let it go, with a backup every night; absent: not within three years",
  ),
  imagined: z.boolean().describe("a night that has not been yet, with --at"),
});

export const Refusal = z.object({
  why: z.string(),
  hint: z.string(),
  acceptable: z.boolean().describe("whether --accept goes on"),
});

export const PlanReport = z.object({
  ...RepositoryFields,
  at: Time.describe("what the plan is for: now by the store's clock, or --at"),
  rules: z.object({
    rules: z.enum(["sequential", "independent"]),
    last: Count,
    daily: Count,
    weekly: Count,
    monthly: Count,
    yearly: Count,
  }),
  snapshots: z.array(PlannedSnapshot).describe("oldest first"),
  promise: z.string().describe("what the rules give, in words"),
  oldest: Time.optional().describe("of the restore points that are kept"),
  stored: Objects.describe("packs, lists and manifests, as listed"),
  held: Held,
  next: z
    .object({
      forget: Count.describe("snapshots; prune --accept takes this number"),
      remove: Objects.describe("marked long enough ago: freed by the next prune"),
      condemn: Objects.describe("marked by it, and freed by a later one"),
      waiting: Objects.describe("marked, and not yet due"),
      young: Objects.describe("not referred to, and too young to say that no backup is about to"),
    })
    .optional()
    .describe("what the next prune would do; absent with --at"),
  refusals: z.array(Refusal).describe("why a prune would do nothing at all"),
  notes: ReportNotes,
});

export const PruneReport = z.object({
  ...RepositoryFields,
  forgotten: z
    .array(z.object({ id: SnapshotId, ended: Time, state: SnapshotState }))
    .describe("oldest first"),
  kept: Count.describe("snapshots"),
  removed: Objects.describe("by this prune; freed as far as nothing holds them"),
  held: Held,
  condemned: Objects.describe("marked now, removed by a later prune"),
  waiting: Objects.describe("marked, and not yet due"),
  young: Objects.describe("not referred to, and too young to say that no backup is about to"),
  inUse: Objects.describe("not removed: a snapshot that landed meanwhile refers to them"),
  quarantined: z.array(z.object({ id: SnapshotId, key: z.string(), why: z.string() })),
  refused: z.array(Refusal).describe("why nothing was done, or nothing removed"),
  promise: z.string(),
  oldest: Time.optional().describe("of the restore points that are left"),
  seconds: Seconds,
  notes: ReportNotes,
});

export const NoteReport = z.object({
  ...RepositoryFields,
  action: z.enum(["pinned", "unpinned", "withdrawn"]),
  snapshot: z.object({ id: SnapshotId, ended: Time, state: SnapshotState }),
  key: z.string().describe("of the note"),
  until: Time.optional(),
  why: z.string(),
});

export const KeeperReport = z.object({
  ...RepositoryFields,
  at: Time.describe("by the store's clock"),
  dryRun: z.boolean(),
  mode: z
    .enum(["governance", "compliance"])
    .describe("of locks that are set anew; one that is extended keeps its own"),
  snapshots: Count.describe("whose objects are kept locked"),
  enough: Objects.describe("locked for long enough"),
  extended: Objects.describe("extended, and read back; with dryRun: due"),
  lockedUntil: Time.optional().describe("everything that these snapshots need is locked until then at least"),
  furthest: Time.optional().describe("the last lock to end"),
  otherMode: Count.describe("objects that are locked in another mode than the policy's"),
  missing: z
    .array(z.object({ key: z.string(), bytes: Count }))
    .describe("needed, and no version has that size"),
  hidden: z
    .array(
      z.object({
        key: z.string(),
        version: z.string().describe("the right one: it landed first"),
        by: z.string().describe("the version that hides it"),
        marker: z.boolean().describe("a delete marker; else something was put over it"),
        since: Time,
      }),
    )
    .describe("needed, and not what a reader who asks for the name gets; drops restore --hidden reads it"),
  failed: z.array(z.object({ key: z.string(), why: z.string() })).describe("due, and not extended"),
  unbelieved: z.array(z.string()).describe("records that nobody trusted signed: kept, and not locked"),
  removedEarly: z
    .array(z.string())
    .describe("records that were removed long before the plan would have let them go"),
  problems: z.array(z.string()).describe("what could not be read, so that it is not known what it needs"),
  seconds: Seconds,
  notes: z.array(z.string()),
});

export type KeeperReport = ReportOf<typeof KeeperReport>;
export type Refusal = ReportOf<typeof Refusal>;
export type PlannedSnapshot = ReportOf<typeof PlannedSnapshot>;
export type PlanReport = ReportOf<typeof PlanReport>;
export type PruneReport = ReportOf<typeof PruneReport>;
export type NoteReport = ReportOf<typeof NoteReport>;

/** Rules to try instead of the policy's; one that is not given is the policy's. */
export interface TriedRules {
  readonly rules?: "sequential" | "independent" | undefined;
  readonly last?: number | undefined;
  readonly daily?: number | undefined;
  readonly weekly?: number | undefined;
  readonly monthly?: number | undefined;
  readonly yearly?: number | undefined;
}

export interface PlanOptions {
  /** A date ahead, in the operator's words. */
  readonly at?: string | undefined;
  readonly tried?: TriedRules;
  readonly accept?: number | undefined;
}

export interface PruneOptions {
  /** As many as this are expected to be forgotten. */
  readonly accept: number | undefined;
  /** Ids of those that a person was shown and agreed to; refused when the plan has become another. */
  readonly agreed: readonly string[] | undefined;
}

export interface NoteOptions {
  /** An id, or a date in the operator's words. */
  readonly snapshot: string;
  readonly why: string;
}
