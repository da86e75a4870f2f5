import type { Cancel } from "../lib/cancel.ts";
import { DropsError, isFailure } from "../lib/errors.ts";
import { PackTable } from "../pack/pack-table.ts";
import type { ManifestEntry } from "../snapshot/entry.ts";
import type { ManifestHead } from "../snapshot/manifest-head.ts";
import type { SnapshotRecord, SourceRecord } from "../snapshot/record.ts";
import { type LoadedManifest, loadManifestAlone, loadSourceManifest } from "../snapshot/source-manifest.ts";
import type { BlobReader } from "../store/blob-store.ts";

/** Where a manifest lies, and the age identities that are tried on it. */
export interface SourceParts {
  readonly store: BlobReader;
  readonly identities: readonly string[];
}

/** A source of a snapshot whose manifest was authenticated and opened. */
export interface OpenSource {
  readonly record: SourceRecord;
  readonly head: ManifestHead;
  /** Once only, ascending path bytes. */
  readonly entries: AsyncGenerator<ManifestEntry>;
  /** For whoever needs them again. */
  readonly manifest: LoadedManifest;
  readonly packs: PackTable;
}

/**
 * Open the manifest of one source.
 *
 * @throws DropsError data/missing, data/damaged when it is another source's; key/missing, key/wrong
 */
export async function openSource(
  { store, identities }: SourceParts,
  snapshot: SnapshotRecord,
  source: SourceRecord,
  how: Cancel,
): Promise<OpenSource> {
  if (identities.length === 0) {
    throw new DropsError("key/missing", `no identity given to open source ${source.name}`, {
      hint: "--identity recovery-identity.txt",
    });
  }
  const packs = new PackTable();
  const manifest = await loadSourceManifest(store, snapshot.policy, source, { identities, packs }, how).catch(
    (cause: unknown) => {
      if (!isFailure(cause, "store/missing")) throw cause;
      throw new DropsError(
        "data/missing",
        `the manifest or list of ${source.name} is gone: ${cause.message}`,
        {
          hint: "an earlier snapshot may be whole: drops verify",
          cause,
        },
      );
    },
  );
  const { head, entries } = await manifest.entries(how);
  checkHead(head, snapshot, source);
  return { record: source, head, entries, manifest, packs };
}

/** The same for whoever wants the head alone, or reads the entries from the manifest: `entries` is ended. */
export async function openHead(
  parts: SourceParts,
  snapshot: SnapshotRecord,
  source: SourceRecord,
  how: Cancel,
): Promise<OpenSource> {
  const opened = await openSource(parts, snapshot, source, how);
  await opened.entries.return(undefined);
  return opened;
}

/**
 * The same for a source whose list is lost: where its chunks lie is not known, they all have the number of a pack without
 * a name.
 *
 * @throws DropsError as `openSource`; store/missing when the manifest is gone too
 */
export async function openWithoutList(
  { store, identities }: SourceParts,
  snapshot: SnapshotRecord,
  source: SourceRecord,
  how: Cancel,
): Promise<OpenSource> {
  const packs = new PackTable();
  const nowhere = packs.intern({ sha256: "", size: 0 });
  const manifest = await loadManifestAlone(store, snapshot.policy, source, { identities, nowhere }, how);
  const { head, entries } = await manifest.entries(how);
  checkHead(head, snapshot, source);
  return { record: source, head, entries, manifest, packs };
}

/** The sources that are wanted, in the record's order. Throws usage/invalid naming those that there are. */
export function wantedSources(snapshot: SnapshotRecord, only: readonly string[]): readonly SourceRecord[] {
  const unknown = only.find((name) => !snapshot.sources.some((source) => source.name === name));
  if (unknown !== undefined) {
    throw new DropsError("usage/invalid", `snapshot ${snapshot.id} has no source ${unknown}`, {
      hint: `it has ${snapshot.sources.map(({ name }) => name).join(", ")}`,
    });
  }
  return only.length === 0 ? snapshot.sources : snapshot.sources.filter(({ name }) => only.includes(name));
}

function checkHead(head: ManifestHead, snapshot: SnapshotRecord, source: SourceRecord): void {
  const same =
    head.repository === snapshot.repository &&
    head.policy === snapshot.policy &&
    head.source === source.name &&
    head.kind === source.kind;
  if (same) return;
  throw new DropsError(
    "data/damaged",
    `the manifest that snapshot ${snapshot.id} names for ${source.name} is that of ${head.policy}/${head.source}`,
  );
}
