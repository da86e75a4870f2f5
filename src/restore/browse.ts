import type { Cancel } from "../lib/cancel.ts";
import { DropsError, isFailure } from "../lib/errors.ts";
import type { ListedSnapshot } from "../snapshot/catalog.ts";
import type { ManifestEntry } from "../snapshot/entry.ts";
import { heldBack } from "../snapshot/held-back.ts";
import { decodeList, MAX_LIST } from "../snapshot/list.ts";
import type { ManifestHead } from "../snapshot/manifest-head.ts";
import type { UnreadableDocument } from "../snapshot/read-each.ts";
import type { SourceRecord } from "../snapshot/record.ts";
import { getExactly } from "../snapshot/source-manifest.ts";
import type { BlobReader } from "../store/blob-store.ts";
import { listKey } from "../store/keys.ts";
import {
  believingAnybody,
  type ChosenSnapshot,
  chooseSnapshot,
  openCatalog,
  type ReadParts,
  type SignatureState,
  type SnapshotChoice,
  signatureState,
  withdrawalInWords,
} from "./choose.ts";
import { explaining } from "./explaining.ts";
import { openHead, openSource, wantedSources } from "./open-source.ts";

export interface SnapshotList {
  readonly policyName: string;
  /** Oldest first. What nobody believed vouches for is listed too, and marked. */
  readonly snapshots: readonly {
    readonly snapshot: ListedSnapshot;
    readonly signature: SignatureState;
    /** Why it is taken by its id alone. */
    readonly held: string | undefined;
  }[];
  readonly unreadable: readonly UnreadableDocument[];
  /** What operators warn of, in words. */
  readonly withdrawn: readonly string[];
}

/** Every snapshot of a policy, whoever signed it. Needs no key. */
export async function listSnapshots(
  parts: Pick<ReadParts, "store" | "policyName" | "trust" | "zone">,
  how: Cancel,
): Promise<SnapshotList> {
  const catalog = await openCatalog(believingAnybody(parts), how);
  const { why, withdrawn } = await heldBack(parts, catalog, how);
  const snapshots = [];
  for (const snapshot of catalog.snapshots) {
    const signature = await signatureState(parts.store, snapshot, how);
    snapshots.push({ snapshot, signature, held: why(snapshot) });
  }
  const { policyName, unreadable } = catalog;
  return {
    policyName,
    snapshots,
    unreadable,
    withdrawn: withdrawn.notes.map((each) => withdrawalInWords(each, parts.zone)),
  };
}

export interface BrowsedSource {
  readonly record: SourceRecord;
  /** Undefined when no identity opens the manifest. */
  readonly head: ManifestHead | undefined;
  /** How many packs it needs. */
  readonly packs: number | undefined;
  /** Why more cannot be said. */
  readonly notes: readonly string[];
}

/** One snapshot, source by source; what the manifests say when an identity opens them. Needs no key. */
export async function showSnapshot(
  parts: ReadParts,
  choice: SnapshotChoice,
  how: Cancel,
): Promise<{ readonly chosen: ChosenSnapshot; readonly sources: readonly BrowsedSource[] }> {
  const chosen = await chooseSnapshot(parts, choice, { ...how, anybody: true });
  const sources: BrowsedSource[] = [];
  for (const record of chosen.snapshot.record.sources) sources.push(await show(parts, chosen, record, how));
  return { chosen, sources };
}

/** The files of a snapshot, by source and then by path bytes; pulled. Throws key/missing and key/wrong at the first pull. */
export async function listEntries(
  parts: ReadParts,
  what: { readonly choice: SnapshotChoice; readonly source: string | undefined },
  how: Cancel,
): Promise<{
  readonly chosen: ChosenSnapshot;
  readonly entries: AsyncGenerator<{ readonly source: string; readonly entry: ManifestEntry }>;
}> {
  const chosen = await chooseSnapshot(parts, what.choice, how);
  const { record } = chosen.snapshot;
  const sources = wantedSources(record, what.source === undefined ? [] : [what.source]);
  const listed = what.source === undefined ? sources.filter(({ manifest }) => manifest) : sources;
  async function* entries() {
    for (const source of listed) {
      const opened = await explaining(parts, () => openSource(parts, record, source, how));
      for await (const entry of opened.entries) yield { source: source.name, entry };
    }
  }
  return { chosen, entries: entries() };
}

async function show(
  parts: ReadParts,
  chosen: ChosenSnapshot,
  record: SourceRecord,
  how: Cancel,
): Promise<BrowsedSource> {
  const notes: string[] = [];
  const orNote = async <Result>(work: Promise<Result>): Promise<Result | undefined> => {
    try {
      return await work;
    } catch (error) {
      if (!isFailure(error, "store/missing", "data/missing", "data/damaged", "key/wrong")) throw error;
      notes.push(error.message);
      return undefined;
    }
  };
  if (!record.manifest) return { record, head: undefined, packs: undefined, notes };
  const packs = await orNote(packCount(parts.store, chosen.policyName, record, how));
  if (parts.identities.length === 0) return { record, head: undefined, packs, notes };
  const opened = await orNote(openHead(parts, chosen.snapshot.record, record, how));
  return { record, head: opened?.head, packs, notes };
}

async function packCount(
  store: BlobReader,
  policyName: string,
  { name, list }: SourceRecord,
  how: Cancel,
): Promise<number> {
  if (!list) throw new DropsError("data/damaged", `the record names a manifest of ${name} and no list`);
  const bytes = await getExactly(store, listKey(policyName, list.sha256), list, MAX_LIST, how);
  return decodeList(bytes, list.sha256).length;
}
