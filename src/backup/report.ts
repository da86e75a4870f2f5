/** What `drops init` and `drops backup` are asked, and what they answer. */
import * as z from "zod";
import {
  Bytes,
  Count,
  Failure,
  Id,
  Kind,
  ReportNotes,
  type ReportOf,
  RepositoryFields,
  Seconds,
  SnapshotState,
  SourceOutcome,
  Time,
} from "../lib/report-fields.ts";

export const InitReport = z.object({
  store: z.string(),
  repositoryId: z.string(),
  policy: z.string(),
  created: Time,
  recoveryObjects: z.array(z.string()).describe("keys of what recovery with standard tools needs"),
});

export const BackedUpSource = z.object({
  name: z.string(),
  kind: Kind,
  outcome: SourceOutcome,
  capturedAt: Time.optional(),
  files: Count,
  bytes: Bytes.describe("size of the source"),
  readBytes: Bytes.describe("read from the host"),
  newBytes: Bytes.describe("of those, not in the repository before"),
  storedBytes: Bytes.describe("packed and encrypted, as put into the store"),
  seconds: Seconds,
  notes: ReportNotes,
  error: Failure.optional(),
});

export const BackupReport = z.object({
  ...RepositoryFields,
  snapshot: z.object({
    id: Id,
    key: z.string(),
    state: SnapshotState,
    sequence: Count,
    started: Time,
    ended: Time,
  }),
  sources: z.array(BackedUpSource),
  skewSeconds: Seconds.describe("between the first and the last source's recovery point"),
  bytes: Bytes,
  readBytes: Bytes,
  newBytes: Bytes,
  storedBytes: Bytes,
  packs: Count,
  seconds: Seconds,
  notes: ReportNotes,
});

export type InitReport = ReportOf<typeof InitReport>;
export type BackedUpSource = ReportOf<typeof BackedUpSource>;
export type BackupReport = ReportOf<typeof BackupReport>;

export interface BackupOptions {
  /** Read unchanged files too, and compare. */
  readonly reread: boolean;
  /** Only these sources; empty means all. The snapshot of a part is partial. */
  readonly sources: readonly string[];
}
