import { randomBytes } from "node:crypto";
import type { Host } from "../../host/host.ts";
import type { Cancel } from "../../lib/cancel.ts";
import type { PackPool } from "../../pack/pool.ts";
import { BackgroundSync } from "../../restore/background-sync.ts";
import { writePlan } from "../../restore/source-writer.ts";
import type { BlobReader } from "../../store/blob-store.ts";
import type { Staged } from "../run/replacement.ts";
import type { PathHost } from "./host.ts";
import { type PlannedPiece, planPieces, requireSpace } from "./plan.ts";
import type { PathRecord } from "./record.ts";
import type { PathTree } from "./tree.ts";

export interface PathStageParts {
  readonly host: Host;
  readonly paths: PathHost;
  readonly tree: PathTree;
  readonly record: PathRecord;
  /** An earlier try may have left something. */
  readonly again: boolean;
  readonly store: BlobReader;
  readonly identities: readonly string[];
  readonly pool: PackPool;
  readonly policyName: string;
  readonly scratch: string;
}

/** Bring everything beside what is in place. Resolves when it is whole and on disk. */
export async function stagePaths(
  parts: PathStageParts,
  how: Cancel & { readonly onBytes: (bytes: number) => void },
): Promise<Staged> {
  const { paths, record, tree, again } = parts;
  const planned = await planPieces(tree, record, how);
  const attempt = randomBytes(6).toString("hex");
  if (again) await paths.begin(record, attempt, how); // what is left of it would count as used
  const grounds = await paths.ground(
    record.parts.map(({ real }) => real),
    how,
  );
  requireSpace(planned, record, grounds);
  if (!again) {
    await paths.note(record, how);
    await paths.begin(record, attempt, how);
  }
  const notes = [...record.notes];
  for (const piece of planned) notes.push(...(await bring(parts, piece, attempt, how)));
  const staged = {
    files: planned.reduce((sum, { files }) => sum + files, 0),
    bytes: planned.reduce((sum, { plan }) => sum + plan.bytes, 0),
    notes,
  };
  const isEmpty = record.parts.length === 0;
  await paths.note({ ...record, staged, ...(isEmpty ? { empty: "staged" as const } : {}) }, how);
  await paths.whole(record, attempt, how);
  return staged;
}

async function bring(
  parts: PathStageParts,
  { part, source, plan }: PlannedPiece,
  attempt: string,
  how: Cancel & { readonly onBytes: (bytes: number) => void },
): Promise<readonly string[]> {
  const { host } = parts;
  const directory = `${part.work}/try-${part.id}.${attempt}`;
  const sync = new BackgroundSync(host, directory);
  const onBytes = (bytes: number) => {
    how.onBytes(bytes);
    sync.wrote(bytes, how);
  };
  try {
    const what = { source: source.record.name, plan, packs: source.packs };
    const { notes } = await writePlan(parts, what, { host, directory }, { ...how, onBytes });
    return notes;
  } finally {
    await sync.settled();
  }
}
