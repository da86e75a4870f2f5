import * as z from "zod";
import type { Cancel } from "../../lib/cancel.ts";
import { isFailure } from "../../lib/errors.ts";
import { type LoadedPolicy, parsePolicy } from "../../policy/load.ts";
import type { SourcePolicy } from "../../policy/schema.ts";
import type { ReadParts } from "../../restore/choose.ts";
import { openHead, openSource } from "../../restore/open-source.ts";
import type { ManifestHead } from "../../snapshot/manifest-head.ts";
import type { SnapshotRecord, SourceRecord } from "../../snapshot/record.ts";
import { pathsOf } from "../../source/scope.ts";

type Parts = Pick<ReadParts, "store" | "identities">;

/** What the manifest of a source says that a host must have. */
export interface GatheredSource {
  readonly record: SourceRecord;
  readonly head: ManifestHead;
  readonly entries: number;
}

export interface Gathered {
  readonly sources: readonly GatheredSource[];
  /** Names of users and groups that own entries of files, sorted. */
  readonly users: readonly string[];
  readonly groups: readonly string[];
}

/** Read manifests to their end. Throws as openSource. */
export async function gather(
  parts: Parts,
  snapshot: SnapshotRecord,
  records: readonly SourceRecord[],
  how: Cancel,
): Promise<Gathered> {
  const users = new Set<string>();
  const groups = new Set<string>();
  const sources: GatheredSource[] = [];
  for (const record of records) {
    const opened = await openSource(parts, snapshot, record, how);
    let entries = 0;
    for await (const { user, group } of opened.entries) {
      entries++;
      if (record.kind === "postgres") continue; // its dump is never written under its owner
      if (user !== undefined) users.add(user);
      if (group !== undefined) groups.add(group);
    }
    sources.push({ record, head: opened.head, entries });
  }
  return { sources, users: [...users].sort(), groups: [...groups].sort() };
}

/** Sources as their captures knew the machine. */
export interface CapturedSources {
  /** With the patterns of `exclude` by every name that their paths had. */
  readonly sources: readonly SourcePolicy[];
  /** Where paths of the policy led to, symlinks followed; those that led nowhere else are left out. */
  readonly capturedPaths: Readonly<Record<string, string>>;
}

/** What the manifests say of the policy's paths; older ones say less. Throws as openSource. */
export async function asCaptured(
  parts: Parts,
  snapshot: SnapshotRecord,
  sources: readonly SourcePolicy[],
  how: Cancel,
): Promise<CapturedSources> {
  const capturedPaths: Record<string, string> = {};
  const all: SourcePolicy[] = [];
  for (const source of sources) {
    const record = snapshot.sources.find(({ name, kind }) => name === source.name && kind === source.kind);
    if (!record?.manifest || pathsOf(source).length === 0) {
      all.push(source);
      continue;
    }
    const { head } = await openHead(parts, snapshot, record, how);
    const { leads_to, database, exclude } = CapturedFacts.parse(head.facts);
    Object.assign(capturedPaths, leads_to);
    if (source.kind === "rocksdb" && database !== undefined) capturedPaths[source.path] = database;
    all.push(source.kind === "files" && exclude ? { ...source, exclude } : source);
  }
  return { sources: all, capturedPaths };
}

/** Of a manifest's head, by kind. */
const CapturedFacts = z.object({
  leads_to: z.record(z.string(), z.string()).optional().catch(undefined),
  database: z.string().optional().catch(undefined),
  exclude: z.array(z.string().min(1)).optional().catch(undefined),
});

/**
 * The policy as it was when the snapshot was made. Undefined when it is none for this program. Throws as openSource when no
 * manifest can be opened.
 */
export async function policyOfTheDay(
  parts: Parts,
  snapshot: SnapshotRecord,
  how: Cancel,
): Promise<LoadedPolicy | undefined> {
  const record = snapshot.sources.find(({ manifest }) => manifest);
  if (!record) return undefined;
  const { head } = await openHead(parts, snapshot, record, how);
  try {
    return parsePolicy(head.policy_text, `the policy in snapshot ${snapshot.id}`);
  } catch (error) {
    if (isFailure(error, "policy/invalid")) return undefined;
    throw error;
  }
}
