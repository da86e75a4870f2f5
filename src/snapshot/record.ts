import { hash } from "node:crypto";
import * as z from "zod";
import { decodeDocument, encodeDocument } from "./canonical-json.ts";
import { FORMAT } from "./repository.ts";

/** Bounds of the format, checked before anything is held in memory. Bytes. */
export const MAX_RECORD = 8 * 1024 * 1024;

const Hash = z.string().regex(/^[0-9a-f]{64}$/);
const Stored = z.object({ sha256: Hash, size: z.int().nonnegative() });

const SourceRecord = z.object({
  name: z.string().max(63),
  kind: z.enum(["rocksdb", "postgres", "files", "command"]),
  /** stored: captured anew. unchanged: refers to an earlier manifest. failed: nothing. partial: in a checkpoint only. */
  outcome: z.enum(["stored", "unchanged", "failed", "partial"]),
  captured_at: z.iso.datetime().optional(),
  files: z.int().nonnegative().optional(),
  /** Logical bytes of all files. */
  bytes: z.int().nonnegative().optional(),
  /** Bytes that were read from the host for this snapshot. */
  read_bytes: z.int().nonnegative().optional(),
  manifest: Stored.optional(),
  list: Stored.optional(),
  recipients: Hash.optional(),
  notes: z.array(z.string().max(1024)).max(101),
  /** Why it failed; beside `stored` and `unchanged`, which files could not be read and are not in the manifest. */
  error: z.object({ code: z.string(), message: z.string().max(4096) }).optional(),
});
export type SourceRecord = z.infer<typeof SourceRecord>;

const SnapshotRecord = z.object({
  drops: z.literal("snapshot"),
  format: z.literal(FORMAT),
  repository: z.string().regex(/^[0-9a-f]{32}$/),
  policy: z.string().max(63),
  id: z.string().regex(/^[0-9a-f]{16}$/),
  sequence: z.int().nonnegative(),
  state: z.enum(["complete", "partial", "checkpoint"]),
  started: z.iso.datetime(),
  ended: z.iso.datetime(),
  tool: z.string().max(200),
  host: z.record(z.string(), z.string().max(1024)),
  /** Milliseconds between the first and the last source's capture. */
  skew_ms: z.int().nonnegative(),
  /** Bytes that this run put into the store as packs. */
  stored_bytes: z.int().nonnegative(),
  /** Every record that was listed when this one was made. */
  seen: z.array(z.object({ id: z.string().max(32), sha256: Hash })),
  sources: z.array(SourceRecord).max(1000),
});
export type SnapshotRecord = z.infer<typeof SnapshotRecord>;

export function encodeRecord(record: SnapshotRecord): Buffer {
  return encodeDocument(record);
}

/** Throws data/damaged. Only call it on bytes whose signature was checked, or knowingly not. */
export function decodeRecord(bytes: Uint8Array, key: string): SnapshotRecord {
  return decodeDocument(bytes, SnapshotRecord, `snapshot record ${key}`);
}

export function recordDigest(bytes: Uint8Array): string {
  return hash("sha256", bytes, "hex");
}
