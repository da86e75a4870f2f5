import * as z from "zod";

/**
 * What the answers of all commands are made of, as `--json` prints them and as schemas/*.json describe them. Sizes are
 * bytes, times ISO 8601 in UTC, durations seconds. A field may be added; none is renamed or removed.
 */
export const Time = z.iso.datetime().describe("UTC");
export const Bytes = z.int().nonnegative();
export const Count = z.int().nonnegative();
export const Seconds = z.number().nonnegative();
/** 0 to 1. */
export const Share = z.number().min(0).max(1);
export const Sha256 = z.string().regex(/^[0-9a-f]{64}$/);
export const Id = z
  .string()
  .regex(/^[0-9a-f]{8,32}$/)
  .describe("a snapshot's id");
/** The same, where the schema does not say of which form it is. */
export const SnapshotId = z.string().describe("a snapshot's id");
export const Kind = z.enum(["rocksdb", "postgres", "files", "command"]);
export const SnapshotState = z.enum(["complete", "partial", "checkpoint"]);
export const SourceOutcome = z.enum(["ok", "unchanged", "failed"]);
export const Signature = z.enum(["trusted", "untrusted", "missing"]);
export const Vouched = Signature.describe("who vouches for the record");
export const ReportNotes = z.array(z.string()).describe("what the operator should know; not failures");
/** Of a repository: beginning of most answers. */
export const RepositoryFields = { policy: z.string(), store: z.string(), zone: z.string() };
export const Objects = z.object({ objects: Count, bytes: Bytes });
export const Failure = z.object({ code: z.string(), message: z.string(), hint: z.string().optional() });

/** What a schema describes, for reading. */
export type ReportOf<Schema extends z.ZodType> = ReadonlyDeep<z.infer<Schema>>;

type ReadonlyDeep<Value> = unknown extends Value
  ? Value
  : { readonly [Key in keyof Value]: ReadonlyDeep<Value[Key]> };
