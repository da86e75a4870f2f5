/** What `drops drill` is asked, and what it answers. */
import * as z from "zod";
import type { GuidedOptions } from "../guided/report.ts";
import {
  Bytes,
  Count,
  Id,
  ReportNotes,
  type ReportOf,
  RepositoryFields,
  Seconds,
  SnapshotState,
  Time,
  Vouched,
} from "../lib/report-fields.ts";
import type { SnapshotChoice } from "../restore/choose.ts";

/**
 * `failed`: it looked and found something else than it should. `damaged`: the stored data is damaged or missing.
 * `could-not-run`: something that it needs is missing, which proves nothing and so is a failure too. What was `found` is
 * never a secret.
 */
export const DrillCheck = z.object({
  id: z.string().describe("stays the same from drill to drill"),
  source: z.string().optional().describe("absent: the snapshot as a whole"),
  name: z.string(),
  outcome: z.enum(["passed", "failed", "damaged", "could-not-run"]),
  found: z.string(),
  hint: z.string().optional(),
  began: Seconds.describe("after the drill began"),
  seconds: Seconds,
});

export const DrillReport = z.object({
  ...RepositoryFields,
  snapshot: z.object({ id: Id, state: SnapshotState, started: Time, ended: Time, signature: Vouched }),
  verdict: z
    .enum(["proven", "damaged", "unproven"])
    .describe("damaged: stored data is damaged or missing; unproven: a check failed or could not run"),
  whole: z.boolean().describe("whether every source of the snapshot was drilled"),
  checks: z.array(DrillCheck),
  notTested: z.array(z.object({ what: z.string(), why: z.string() })),
  objectives: z.object({
    ageSeconds: Seconds.optional().describe("from the recovery point until the drill"),
    rpoSeconds: Seconds.optional(),
    restoreSeconds: Seconds.optional(),
    loadSeconds: Seconds.optional().describe("until the databases held their rows"),
    rtoSeconds: Seconds.optional(),
  }),
  files: Count,
  bytes: Bytes,
  packs: Count,
  storedBytes: Bytes.describe("of packs that were fetched"),
  on: z.string().optional().describe("the machine that the guided restore was drilled on"),
  sandbox: z.object({ user: z.string(), network: z.boolean().describe("whether it had one") }),
  seconds: Seconds,
  work: z.string().optional().describe("what was restored, when it was to be kept"),
  evidence: z
    .object({
      json: z.string(),
      signature: z.string(),
      junit: z.string(),
      page: z.string(),
      earlier: Count.describe("drills before it that are believed"),
      published: z.string().optional().describe("its key in the store"),
    })
    .optional()
    .describe("files, when a directory for them was given"),
  notes: ReportNotes,
});

export type DrillCheck = ReportOf<typeof DrillCheck>;
export type Objectives = DrillReport["objectives"];
export type DrillReport = ReportOf<typeof DrillReport>;

export interface DrillOptions {
  readonly choice: SnapshotChoice;
  /** Only these sources; empty means all. */
  readonly only: readonly string[];
  /** Where the scratch directory is made. */
  readonly work: string | undefined;
  readonly keep: boolean;
  /** Directory that evidence is written into. */
  readonly evidence: string | undefined;
  /** File of the key that signs evidence; default: the policy's. */
  readonly signingKey: string | undefined;
  /** Put the evidence into the repository too. */
  readonly publish: boolean;
  /** A policy file whose checks and objectives count instead of the snapshot's. */
  readonly checksFrom: string | undefined;
  readonly runCommands: boolean;
  readonly requireLibrary: boolean;
  /** Unprivileged user of the sandbox when root runs the drill. */
  readonly user: string;
  /** Drill the guided restore on this throwaway machine, `user@address:port`, instead of a scratch directory here. */
  readonly on: string | undefined;
  readonly sshKey: string | undefined;
  readonly hostKey: string | undefined;
  /** With `on`: what the guided restore will do. */
  readonly onPlanned?: GuidedOptions["onPlanned"];
  /** Directory of PostgreSQL's programs, server included. */
  readonly postgresBin: string | undefined;
}
