import type { FilesPolicy, PostgresPolicy, RocksdbPolicy, SourcePolicy } from "../../policy/schema.ts";
import type { SnapshotRecord, SourceRecord } from "../../snapshot/record.ts";
import { pathsOf } from "../../source/scope.ts";
import type { DataStepId } from "../run/steps.ts";

export interface PathSource {
  readonly record: SourceRecord;
  readonly policy: RocksdbPolicy | FilesPolicy;
}

/** What is replaced as one: paths that lie in each other, or a database. */
export type ReplacementGroup = PathGroup | DatabaseGroup;

export interface PathGroup {
  readonly kind: "paths";
  /** Of its first source; names the group. */
  readonly name: string;
  readonly step: DataStepId;
  /** Those that hold others first. */
  readonly sources: readonly PathSource[];
}

export interface DatabaseGroup {
  readonly kind: "database";
  readonly name: string;
  readonly step: DataStepId;
  readonly record: SourceRecord;
  readonly policy: PostgresPolicy;
}

export interface LeftOutSource {
  readonly source: string;
  readonly why: string;
}

export interface Grouped {
  /** In the order in which they are swapped: RocksDB, PostgreSQL, files. */
  readonly groups: readonly ReplacementGroup[];
  /** What is not put in place, and why. */
  readonly leftOut: readonly LeftOutSource[];
  /** Sources that come along although they were not asked for. */
  readonly notes: readonly string[];
}

/**
 * What a restore replaces on the host, and what it does not. A source whose path lies in the path of another is swapped
 * with it: to swap the outer one alone would take the inner one away. Pure.
 *
 * @param only names of sources; empty means all
 * @param bootstrap sources that a running machine keeps
 * @param leadsTo where a path of the policy leads to when symlinks are followed, on the host or where it was captured
 */
export function groupSources(
  sources: readonly SourcePolicy[],
  snapshot: Pick<SnapshotRecord, "sources">,
  only: readonly string[],
  bootstrap: readonly string[],
  leadsTo: LeadsTo = () => [],
): Grouped {
  const places = new Places(leadsTo);
  const leftOut: LeftOutSource[] = [];
  const notes: string[] = [];
  const paths: PathSource[] = [];
  const databases: DatabaseGroup[] = [];
  const isWanted = withInner(sources, only, notes, places);
  for (const record of snapshot.sources) {
    if (!isWanted(record.name)) continue;
    const policy = sources.find(({ name }) => name === record.name);
    const why = whyNot(record, policy, bootstrap);
    if (why !== undefined) leftOut.push({ source: record.name, why });
    else if (policy?.kind === "postgres")
      databases.push({ kind: "database", name: record.name, step: "postgres", record, policy });
    else if (policy?.kind === "rocksdb" || policy?.kind === "files") paths.push({ record, policy });
  }
  const groups = nest(paths, places).map(groupOf);
  return {
    groups: [
      ...groups.filter(({ step }) => step === "rocksdb"),
      ...databases,
      ...groups.filter(({ step }) => step === "files"),
    ],
    leftOut,
    notes,
  };
}

/** Where a path leads to, by every account there is; empty: it is what it is called. */
export type LeadsTo = (path: string) => readonly string[];

/** The names of everything in a group. */
export function namesOf(group: ReplacementGroup): readonly string[] {
  return group.kind === "database" ? [group.name] : group.sources.map(({ record }) => record.name);
}

/** Logical bytes. */
export function bytesOf(group: ReplacementGroup): number {
  const records = group.kind === "database" ? [group.record] : group.sources.map(({ record }) => record);
  return records.reduce((sum, { bytes }) => sum + (bytes ?? 0), 0);
}

function whyNot(
  record: SourceRecord,
  policy: SourcePolicy | undefined,
  bootstrap: readonly string[],
): string | undefined {
  if (!record.manifest)
    return `the snapshot holds nothing of it: ${record.error?.message ?? "its capture failed"}`;
  if (bootstrap.includes(record.name))
    return "a machine needs it before its first boot: restore --only bootstrap. It is not swapped on a running machine, which this restore depends on";
  if (!policy) return "the policy of that day does not say where it belongs: restore --to DIR --only it";
  if (policy.kind !== record.kind)
    return `it is of kind ${record.kind} in the snapshot and ${policy.kind} in the policy`;
  if (policy.kind === "command")
    return `the output of a command has no place on the host: restore --to DIR --only it${policy.restore_hint === undefined ? "" : `, then ${policy.restore_hint}`}`;
  return undefined;
}

/** Those asked for, and those that lie inside of them. */
function withInner(
  sources: readonly SourcePolicy[],
  only: readonly string[],
  notes: string[],
  places: Places,
): (name: string) => boolean {
  if (only.length === 0) return () => true;
  const wanted = new Set(only);
  for (const outer of sources.filter(({ name }) => only.includes(name))) {
    for (const inner of sources) {
      if (wanted.has(inner.name) || !places.isInside(inner, outer)) continue;
      wanted.add(inner.name);
      notes.push(`${inner.name} lies in ${outer.name} and comes back with it`);
    }
  }
  return (name) => wanted.has(name);
}

/** Sources of which one holds a path of another, together. */
function nest(sources: readonly PathSource[], places: Places): readonly (readonly PathSource[])[] {
  let groups: PathSource[][] = [];
  for (const source of sources) {
    const touching = groups.filter((group) =>
      group.some((other) => places.touch(source.policy, other.policy)),
    );
    groups = [...groups.filter((group) => !touching.includes(group)), [...touching.flat(), source]];
  }
  return groups;
}

function groupOf(sources: readonly PathSource[]): PathGroup {
  const shortest = ({ policy }: PathSource) => Math.min(...pathsOf(policy).map((path) => path.length));
  const ordered = sources.toSorted((a, b) => shortest(a) - shortest(b));
  const isRocksdb = sources.some(({ policy }) => policy.kind === "rocksdb");
  return {
    kind: "paths",
    name: ordered[0]?.record.name ?? "",
    step: isRocksdb ? "rocksdb" : "files",
    sources: ordered,
  };
}

/** Sources by all names of their paths. */
class Places {
  readonly #leadsTo: LeadsTo;

  constructor(leadsTo: LeadsTo) {
    this.#leadsTo = leadsTo;
  }

  isInside(inner: SourcePolicy, outer: SourcePolicy): boolean {
    const theirs = this.#namesOf(inner);
    return this.#namesOf(outer).some((above) => theirs.some((path) => holds(above, path)));
  }

  touch(a: SourcePolicy, b: SourcePolicy): boolean {
    return this.isInside(a, b) || this.isInside(b, a);
  }

  #namesOf(source: SourcePolicy): readonly string[] {
    return pathsOf(source).flatMap((path) => [path, ...this.#leadsTo(path)]);
  }
}

function holds(above: string, path: string): boolean {
  const base = above.replace(/\/+$/, "");
  return path === base || path.startsWith(`${base}/`);
}
