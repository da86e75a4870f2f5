import { randomUUID } from "node:crypto";
import { join } from "node:path";
import type { Host } from "../host/host.ts";
import type { Cancel } from "../lib/cancel.ts";
import type { PackTable } from "../pack/pack-table.ts";
import type { PackPool } from "../pack/pool.ts";
import type { BlobReader } from "../store/blob-store.ts";
import { extract } from "./extract.ts";
import { lostWith } from "./lost-with.ts";
import { PackReader } from "./pack-reader.ts";
import type { RestorePlan } from "./plan.ts";
import { ScratchFile } from "./scratch-file.ts";

export interface SourceWriterParts {
  readonly store: BlobReader;
  readonly identities: readonly string[];
  readonly pool: PackPool;
  /** Of the snapshot. */
  readonly policyName: string;
  /** A directory of this machine for chunks that are needed again later. */
  readonly scratch: string;
}

export interface Written {
  /** What the operator should know. */
  readonly notes: readonly string[];
  readonly packs: number;
  /** Bytes of packs that were fetched. */
  readonly storedBytes: number;
}

/**
 * Write what is planned of a source into a directory of a host, through tar; the packs are fetched and opened here. When
 * it throws, what was written so far is still there.
 *
 * @param what `source` is its name, for sentences and the scratch file
 * @throws DropsError space/low, host/…; data/missing or data/damaged naming the pack and what is lost with it
 */
export async function writePlan(
  parts: SourceWriterParts,
  what: { readonly source: string; readonly plan: RestorePlan; readonly packs: PackTable },
  into: { readonly host: Host; readonly directory: string },
  how: Cancel & { readonly onBytes: (bytes: number) => void },
): Promise<Written> {
  const { source, plan, packs } = what;
  await using reader = new PackReader({
    ...parts,
    packs,
    ledger: plan.ledger,
    order: plan.packs,
    openScratch: () => ScratchFile.create(join(parts.scratch, `.${source}-${randomUUID()}`)),
    lostWith: (pack) => lostWith(plan, pack, source),
    signal: how.signal,
  });
  const notes = await extract(plan, reader, into, how);
  return { notes, packs: reader.packsRead, storedBytes: reader.storedBytes };
}
