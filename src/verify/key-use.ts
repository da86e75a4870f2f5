import type { ListedSnapshot } from "../snapshot/catalog.ts";
import type { NeededObjects, SourceState } from "./needed-objects.ts";

/** What is sealed to one set of recipients. */
export interface SealedTo {
  /** As `recipientSetHash` names it; undefined where a record names none. */
  readonly recipients: string | undefined;
  readonly snapshots: readonly ListedSnapshot[];
  /** Names. */
  readonly sources: ReadonlySet<string>;
  readonly packs: number;
  /** Stored bytes of those packs, each once. */
  readonly bytes: number;
}

/**
 * Which packs of these snapshots are sealed to whom, by what the records say: a pack cannot be asked without a key. Newest
 * first. Pure.
 */
export function sealedTo(
  { states, packs }: Pick<NeededObjects, "states" | "packs">,
  snapshots: readonly ListedSnapshot[],
): SealedTo[] {
  const sets = [...new Set(states.map(setOf))].map((recipients) => {
    const own = states.filter((state) => setOf(state) === recipients);
    const needing = new Set(own.flatMap((state) => state.snapshots));
    const needed = packs.filter((pack) => pack.states.some((state) => setOf(state) === recipients));
    return {
      recipients,
      snapshots: snapshots.filter((snapshot) => needing.has(snapshot)),
      sources: new Set(own.map(({ source }) => source.name)),
      packs: needed.length,
      bytes: needed.reduce((sum, { size }) => sum + size, 0),
    };
  });
  return sets.sort((a, b) => newest(b.snapshots) - newest(a.snapshots));
}

/** Snapshots by the trusted key that signed them, in the order of their first ones. Pure. */
export function signedBy(
  snapshots: readonly ListedSnapshot[],
): ReadonlyMap<string, readonly ListedSnapshot[]> {
  const bySigner = new Map<string, ListedSnapshot[]>();
  for (const snapshot of snapshots) {
    if (snapshot.signer === undefined) continue;
    bySigner.set(snapshot.signer, [...(bySigner.get(snapshot.signer) ?? []), snapshot]);
  }
  return bySigner;
}

function setOf({ source }: SourceState): string | undefined {
  return source.recipients;
}

function newest(snapshots: readonly ListedSnapshot[]): number {
  return Date.parse(snapshots.at(-1)?.record.ended ?? "");
}
