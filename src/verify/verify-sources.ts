import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Cancel } from "../lib/cancel.ts";
import { DropsError, isFailure } from "../lib/errors.ts";
import { ownDirectory } from "../lib/own-directory.ts";
import { chooseSnapshot, type SnapshotChoice } from "../restore/choose.ts";
import { restoreSnapshot } from "../restore/restore.ts";
import type { RestoreParts } from "../restore/restore-run.ts";
import type { SourceRecord } from "../snapshot/record.ts";
import { isCustomArchive } from "../source/postgres/archive.ts";
import { checkRocksdbDirectory } from "../source/rocksdb/verify/check-directory.ts";
import type { SourceVerdict } from "./report.ts";

/**
 * Restore the databases of one snapshot, one after the other, into a scratch directory and run their kind's own check
 * there: every block of every table of a RocksDB, the archive of a PostgreSQL dump. What fails is in the answer.
 *
 * @param scratch where the directories are made; needs room for the largest of them
 */
export async function verifySources(
  parts: RestoreParts,
  what: { readonly choice: SnapshotChoice; readonly scratch?: string },
  how: Cancel,
): Promise<SourceVerdict[]> {
  const { snapshot } = await chooseSnapshot(parts, what.choice, how);
  const scratch = await ownDirectory(what.scratch ?? tmpdir(), { instead: "TMPDIR=/var/tmp" });
  const verdicts: SourceVerdict[] = [];
  for (const source of snapshot.record.sources) {
    if (!source.manifest || !(source.kind in CHECKS)) continue;
    const directory = await mkdtemp(join(scratch, "drops-verify-"));
    const shown = { snapshot: snapshot.record.id, name: source.name };
    try {
      const choice = { id: snapshot.record.id };
      await restoreSnapshot(parts, { choice, only: [source.name], to: directory }, how);
      const detail = await CHECKS[source.kind]?.(join(directory, source.name), how);
      verdicts.push({ ...shown, ok: true, detail: detail ?? "" });
    } catch (error) {
      if (!isFailure(error, "data/damaged", "data/missing")) throw error;
      verdicts.push({ ...shown, ok: false, detail: error.message });
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  }
  return verdicts;
}

type Check = (directory: string, how: Cancel) => Promise<string>;

const CHECKS: Readonly<Partial<Record<SourceRecord["kind"], Check>>> = {
  async rocksdb(directory, how) {
    const { sequence, tables, logs } = await checkRocksdbDirectory(directory, { ...how, tables: true });
    return `sequence ${sequence}; every block of ${tables} tables and ${logs} logs`;
  },
  async postgres(directory) {
    await using file = await open(join(directory, "database.dump"), "r");
    const { bytesRead, buffer } = await file.read(Buffer.alloc(64), 0, 64, 0);
    if (isCustomArchive(buffer.subarray(0, bytesRead))) return "the dump is an archive in the custom format";
    throw new DropsError("data/damaged", "database.dump is not an archive in the custom format");
  },
};
