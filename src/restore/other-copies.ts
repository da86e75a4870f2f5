import type { Cancel } from "../lib/cancel.ts";
import { isFailure } from "../lib/errors.ts";
import { type PackInfo, PackTable } from "../pack/pack-table.ts";
import type { ListedSnapshot } from "../snapshot/catalog.ts";
import type { ChunkRef } from "../snapshot/entry.ts";
import type { SourceRecord } from "../snapshot/record.ts";
import { openSourceManifest } from "../snapshot/source-manifest.ts";
import type { PackParts } from "./assess-packs.ts";
import type { OlderCopy } from "./report.ts";

/** Other states of a source that are looked through; each costs its list and manifest. */
const MOST_STATES = 16;

/** A state of the same source in another snapshot. */
export interface OtherState {
  readonly snapshot: ListedSnapshot;
  readonly source: SourceRecord;
}

/** States of a source in other snapshots that differ from this one, the nearest in time first, each once. */
export function otherStates(
  snapshots: readonly ListedSnapshot[],
  { id, ended }: { readonly id: string; readonly ended: string },
  source: SourceRecord,
): readonly OtherState[] {
  const distance = ({ record }: ListedSnapshot) => Math.abs(Date.parse(record.ended) - Date.parse(ended));
  const nearest = snapshots
    .filter(({ record }) => record.id !== id)
    .toSorted((a, b) => distance(a) - distance(b));
  const seen = new Set([stateKey(source)]);
  const states: OtherState[] = [];
  for (const snapshot of nearest) {
    const other = snapshot.record.sources.find(
      ({ name, kind }) => name === source.name && kind === source.kind,
    );
    if (!other?.manifest || !other.list || seen.has(stateKey(other))) continue;
    seen.add(stateKey(other));
    states.push({ snapshot, source: other });
  }
  return states.slice(0, MOST_STATES);
}

/** Where other states of a source keep what this one lost. */
export interface OtherCopies {
  /** Packs that should hold a lost chunk, by its id; not looked into yet. */
  readonly packs: ReadonlyMap<string, readonly PackInfo[]>;
  /** By path (one character a byte): the nearest snapshot with a file there of which no part is known to be lost. */
  readonly files: ReadonlyMap<string, OlderCopy>;
}

/** What is looked for. */
export interface Lost {
  /** Ids. */
  readonly chunks: ReadonlySet<string>;
  /** Paths, one character a byte. */
  readonly files: ReadonlySet<string>;
  /** Names of packs that cannot be read. */
  readonly packs: ReadonlySet<string>;
}

/**
 * Look through the manifests of other states. Their chunks are believed when they have the names that this state's own
 * authentic manifest gives them. A state that is itself damaged is passed over.
 */
export async function findOtherCopies(
  states: readonly OtherState[],
  lost: Lost,
  parts: Pick<PackParts, "store" | "policyName" | "identities">,
  how: Cancel,
): Promise<OtherCopies> {
  const found = { packs: new Map<string, PackInfo[]>(), files: new Map<string, OlderCopy>() };
  for (const state of states) {
    try {
      await lookThrough(state, lost, found, parts, how);
    } catch (error) {
      if (!isFailure(error, "store/missing", "data/missing", "data/damaged", "key/wrong")) throw error;
    }
  }
  return found;
}

async function lookThrough(
  { snapshot, source }: OtherState,
  lost: Lost,
  found: { readonly packs: Map<string, PackInfo[]>; readonly files: Map<string, OlderCopy> },
  { store, policyName, identities }: Pick<PackParts, "store" | "policyName" | "identities">,
  how: Cancel,
): Promise<void> {
  const packs = new PackTable();
  const { id, ended } = snapshot.record;
  const { entries } = await openSourceManifest(store, policyName, source, { identities, packs }, how);
  const isHurt = (number: number) => lost.packs.has(packs.get(number)?.sha256 ?? "");
  for await (const { path, type, chunks } of entries) {
    noteChunks(chunks, packs, lost, found.packs);
    const raw = path.toString("latin1");
    if (type !== "file" || !lost.files.has(raw) || found.files.has(raw)) continue;
    if (!chunks.some(({ pack }) => isHurt(pack))) found.files.set(raw, { snapshot: id, ended });
  }
}

function noteChunks(
  chunks: readonly ChunkRef[],
  table: PackTable,
  lost: Lost,
  found: Map<string, PackInfo[]>,
): void {
  for (const { id, pack } of chunks) {
    if (!lost.chunks.has(id)) continue;
    const info = table.get(pack);
    if (info === undefined || lost.packs.has(info.sha256)) continue;
    const known = found.get(id) ?? [];
    if (!known.some(({ sha256 }) => sha256 === info.sha256)) found.set(id, [...known, info]);
  }
}

function stateKey({ manifest, list }: SourceRecord): string {
  return `${manifest?.sha256} ${list?.sha256}`;
}
