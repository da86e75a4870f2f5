/** What `drops verify` is asked, and what it answers. */
import * as z from "zod";
import {
  Bytes,
  Count,
  Id,
  ReportNotes,
  type ReportOf,
  RepositoryFields,
  Seconds,
  Share,
  SnapshotState,
  Time,
  Vouched,
} from "../lib/report-fields.ts";
import type { SnapshotChoice } from "../restore/choose.ts";

const Damage = z.object({
  key: z.string().describe("the object's name in the store"),
  problem: z.string(),
  snapshots: z.array(Id).describe("those that need it"),
});

export const VerifyReport = z.object({
  ...RepositoryFields,
  snapshots: z.array(
    z.object({ id: Id, ended: Time, state: SnapshotState, signature: Vouched, intact: z.boolean() }),
  ),
  objects: Count.describe("that were looked for by name and size"),
  objectBytes: Bytes,
  checksums: z
    .object({
      from: z
        .enum(["bytes", "upload"])
        .describe(
          "bytes: the store's files were hashed; upload: what the server computed when they were put",
        ),
      compared: Count.describe("objects whose checksum was compared with their name"),
      sizeOnly: Count.describe("of which the server has no checksum, or may not be asked"),
    })
    .optional()
    .describe("with --objects"),
  readShare: Share.describe("of the packs that were read whole"),
  packsRead: Count,
  bytesRead: Bytes,
  opened: z.boolean().describe("whether an identity opened the packs, or only their hashes were compared"),
  independent: z.boolean().optional().describe("true: the packages age-encryption and tar read them as well"),
  sources: z
    .array(z.object({ snapshot: Id, name: z.string(), ok: z.boolean(), detail: z.string() }))
    .describe("what the sources' own checks said of the stored data, with --sources"),
  coverage: z
    .object({
      share: Share.describe("of the data that was read back, by this verify and those before it"),
      since: Time.optional().describe("everything that was stored by then has been read back since"),
      runsLeft: Count.optional().describe("verifies like this one until everything was"),
      by: Time.optional().describe("when that will be, at the policy's verify.every"),
    })
    .optional()
    .describe("absent when only one snapshot was looked at"),
  evidence: z
    .object({
      key: z.string().describe("of the signed evidence in the store"),
      marked: Count.describe("damaged objects that the next backup will store anew"),
    })
    .optional()
    .describe("when it was published"),
  damage: z.array(Damage),
  seconds: Seconds,
  notes: ReportNotes,
});

export type SourceVerdict = VerifyReport["sources"][number];
export type VerifyReport = ReportOf<typeof VerifyReport>;

export interface VerifyOptions {
  readonly choice: SnapshotChoice | undefined;
  /** Share (0 to 1) of the packs that is read whole, others each time; undefined: none, or what the routine says. */
  readonly readShare: number | undefined;
  /** The `part`-th, from 1, of `of` equal parts of the packs instead. */
  readonly readPart: { readonly part: number; readonly of: number } | undefined;
  /** Have what is read opened by age, zlib and tar as well. */
  readonly independent: boolean;
  /** Compare checksums that the store has with names. */
  readonly objects: boolean;
  /** Run the sources' own checks on the stored data. */
  readonly sources: boolean;
  /** Mark what is damaged and put signed evidence into the repository. */
  readonly publish: boolean;
  /** File of the key that signs; default: the policy's, of prune first. */
  readonly signingKey: string | undefined;
  /** `objects`, the policy's share of the data, and `publish` as far as keys and credentials allow. */
  readonly routine: boolean;
}
