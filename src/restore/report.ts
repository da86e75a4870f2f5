/** What the commands that read are asked, and what they answer. */
import type { Writable } from "node:stream";
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
  Sha256,
  SnapshotState,
  SourceOutcome,
  Time,
  Vouched,
} from "../lib/report-fields.ts";
import type { SnapshotChoice } from "./choose.ts";

export const SnapshotLine = z.object({
  id: Id,
  state: SnapshotState,
  started: Time,
  ended: Time,
  sequence: Count,
  signature: Vouched,
  sources: z.array(z.object({ name: z.string(), outcome: SourceOutcome })),
  files: Count,
  bytes: Bytes,
  held: z.string().optional().describe("why no date takes it, nor does it fill a slot"),
});

export const SnapshotsReport = z.object({
  ...RepositoryFields,
  snapshots: z.array(SnapshotLine).describe("oldest first"),
  notes: ReportNotes.describe("records that could not be understood, clocks that disagree"),
});

export const ShownSource = z.object({
  name: z.string(),
  kind: Kind,
  outcome: SourceOutcome,
  capturedAt: Time.optional(),
  files: Count,
  bytes: Bytes,
  manifest: Sha256.optional(),
  list: Sha256.optional(),
  packs: Count.optional(),
  facts: z
    .record(z.string(), z.unknown())
    .optional()
    .describe("from the manifest, when an identity opens it"),
  notes: ReportNotes,
  error: Failure.optional(),
});

export const ShowReport = SnapshotLine.omit({ sources: true, files: true, bytes: true, held: true }).extend({
  ...RepositoryFields,
  key: z.string(),
  signer: z.string().optional().describe("fingerprint, SHA256:…"),
  tool: z.string().describe("the drops version that made it"),
  host: z.record(z.string(), z.unknown()),
  skewSeconds: Seconds,
  sources: z.array(ShownSource),
  notes: ReportNotes.describe("why it is taken by its id alone, and what was passed over"),
});

export const LsEntry = z.object({
  source: z.string(),
  path: z.string().optional().describe("relative to the source; absent when its bytes are not clean UTF-8"),
  pathB64: z.base64().optional().describe("the raw bytes, when path is absent"),
  type: z.enum(["file", "dir", "symlink", "hardlink", "fifo"]),
  mode: z
    .string()
    .regex(/^[0-7]{4,6}$/)
    .describe("octal permissions"),
  uid: Count,
  gid: Count,
  user: z.string().optional(),
  group: z.string().optional(),
  size: Bytes,
  modified: Time,
  target: z.string().optional().describe("of a symlink or hard link; lossy when not UTF-8"),
});

export const LsReport = z.object({
  snapshot: Id,
  policy: z.string(),
  zone: z.string(),
  ended: Time,
  entries: z.array(LsEntry).describe("by source, then by path bytes"),
});

/** In words only: standard output is for the bytes. */
export const ExportReport = z.object({
  snapshot: Id,
  source: z.string(),
  path: z.string().optional(),
  form: z.enum(["file", "tar"]),
  bytes: Bytes.describe("written to standard output"),
});

const ByteRange = z.object({
  from: Bytes,
  to: Bytes.describe("the first byte that is there again, or the size"),
});

const OlderCopy = z.object({ snapshot: Id, ended: Time });

export const DamagedFile = z.object({
  path: z.string().describe("in the snapshot, control characters escaped"),
  size: Bytes,
  missing: z.array(ByteRange).readonly(),
  writtenAs: z
    .string()
    .optional()
    .describe("what is left of it, zeros where bytes are missing; absent when nothing is left"),
  older: OlderCopy.optional().describe("a snapshot that seems to hold a file of this path whole"),
});

export const SourceDamage = z.object({
  index: z.string().optional().describe("what is wrong with its list or manifest"),
  packs: z
    .array(z.object({ pack: z.string(), problem: z.string() }))
    .readonly()
    .describe("those that are lost"),
  chunksElsewhere: Count.describe("found in packs of other snapshots instead"),
  chunksLost: Count,
  wholeFiles: Count.describe("entries that come back whole"),
  wholeBytes: Bytes,
  files: z.array(DamagedFile).readonly().describe("those that do not come back whole"),
  older: OlderCopy.optional().describe(
    "when nothing comes back: a snapshot with another state of the source",
  ),
});

export const RestoredSource = z.object({
  name: z.string(),
  kind: Kind,
  outcome: z
    .enum(["restored", "damaged", "failed"])
    .describe("damaged: --best-effort brought back what is whole; NAME.damaged.txt says what is not"),
  directory: z.string(),
  files: Count,
  bytes: Bytes,
  seconds: Seconds,
  notes: ReportNotes,
  error: Failure.optional(),
  damage: SourceDamage.optional().describe("what can come back and what cannot, when something is damaged"),
});

export const RestoreReport = z.object({
  ...RepositoryFields,
  snapshot: z.object({ id: Id, state: SnapshotState, started: Time, ended: Time, signature: Vouched }),
  to: z.string(),
  laterSnapshots: Count.describe("complete ones that ended after the one restored"),
  ageSeconds: Seconds.describe("of the snapshot when the restore began"),
  sources: z.array(RestoredSource),
  files: Count,
  bytes: Bytes,
  packs: Count,
  seconds: Seconds,
  next: z.array(z.string()).describe("what to do with what was restored, one step a line"),
  notes: ReportNotes,
});

export type SnapshotLine = ReportOf<typeof SnapshotLine>;
export type SnapshotsReport = ReportOf<typeof SnapshotsReport>;
export type ShownSource = ReportOf<typeof ShownSource>;
export type ShowReport = ReportOf<typeof ShowReport>;
export type LsEntry = ReportOf<typeof LsEntry>;
export type LsReport = ReportOf<typeof LsReport>;
export type ExportReport = ReportOf<typeof ExportReport>;
export type ByteRange = ReportOf<typeof ByteRange>;
export type OlderCopy = ReportOf<typeof OlderCopy>;
export type DamagedFile = ReportOf<typeof DamagedFile>;
export type LostPack = SourceDamage["packs"][number];
export type SourceDamage = ReportOf<typeof SourceDamage>;
export type RestoredSource = ReportOf<typeof RestoredSource>;
export type RestoreReport = ReportOf<typeof RestoreReport>;

export interface EntryListing extends Omit<LsReport, "entries"> {
  readonly entries: AsyncIterable<LsEntry>;
}

export interface ExportOptions {
  readonly source: string;
  readonly path: string | undefined;
  readonly choice: SnapshotChoice;
  readonly into: Writable;
}

export interface RestoreOptions {
  readonly choice: SnapshotChoice;
  /** Only these sources; empty means all. */
  readonly only: readonly string[];
  readonly to: string;
  /** Bring back what is whole of a source that is damaged in the repository. */
  readonly bestEffort?: boolean;
}
