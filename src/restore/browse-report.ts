/** What the reading verbs found, as the command line tells it. */

import { fingerprint } from "../seal/sshsig.ts";
import type { ListedSnapshot } from "../snapshot/catalog.ts";
import type { ManifestEntry } from "../snapshot/entry.ts";
import type { SourceRecord } from "../snapshot/record.ts";
import type { BrowsedSource, listEntries, SnapshotList, showSnapshot } from "./browse.ts";
import type { ReadParts, SignatureState } from "./choose.ts";
import type { EntryListing, LsEntry, ShowReport, SnapshotLine, SnapshotsReport } from "./report.ts";

export function snapshotsView(parts: ReadParts, list: SnapshotList): SnapshotsReport {
  return {
    policy: list.policyName,
    store: parts.store.label,
    zone: parts.zone,
    snapshots: list.snapshots.map(({ snapshot, signature, held }) => {
      return { ...lineOf(snapshot, signature), held };
    }),
    notes: [...list.unreadable.map(({ why }) => why.message), ...list.withdrawn],
  };
}

export function showView(parts: ReadParts, shown: Awaited<ReturnType<typeof showSnapshot>>): ShowReport {
  const { chosen } = shown;
  const { snapshot } = chosen;
  const { sources: _sources, files: _files, bytes: _bytes, ...line } = lineOf(snapshot, chosen.signature);
  return {
    ...line,
    policy: chosen.policyName,
    store: parts.store.label,
    zone: parts.zone,
    key: snapshot.key,
    signer: snapshot.signer && fingerprint(snapshot.signer),
    tool: snapshot.record.tool,
    host: snapshot.record.host,
    skewSeconds: snapshot.record.skew_ms / 1000,
    sources: shown.sources.map(sourceView),
    notes: chosen.notes,
  };
}

function sourceView({ record, head, packs, notes }: BrowsedSource): ShowReport["sources"][number] {
  return {
    name: record.name,
    kind: record.kind,
    outcome: outcomeOf(record),
    capturedAt: record.captured_at,
    files: record.files ?? 0,
    bytes: record.bytes ?? 0,
    manifest: record.manifest?.sha256,
    list: record.list?.sha256,
    packs,
    facts: head?.facts,
    notes: [...record.notes, ...notes],
    error: record.error,
  };
}

export function lsView(
  { zone }: ReadParts,
  { chosen, entries }: Awaited<ReturnType<typeof listEntries>>,
): EntryListing {
  const { id, ended } = chosen.snapshot.record;
  async function* views(): AsyncGenerator<LsEntry> {
    for await (const { source, entry } of entries) yield entryView(source, entry);
  }
  return { snapshot: id, policy: chosen.policyName, zone, ended, entries: views() };
}

function entryView(source: string, entry: ManifestEntry): LsEntry {
  const text = entry.path.toString();
  const clean = Buffer.from(text).equals(entry.path);
  return {
    source,
    ...(clean ? { path: text } : { pathB64: entry.path.toString("base64") }),
    type: entry.type,
    mode: entry.mode.toString(8).padStart(4, "0"),
    uid: entry.uid,
    gid: entry.gid,
    user: entry.user,
    group: entry.group,
    size: entry.size,
    modified: new Date(Number(entry.mtime / 1_000_000n)).toISOString(),
    target: entry.target?.toString(),
  };
}

function lineOf({ record }: ListedSnapshot, signature: SignatureState): SnapshotLine {
  const { id, state, started, ended, sequence, sources } = record;
  const sum = (of: (source: SourceRecord) => number | undefined) =>
    sources.reduce((total, each) => total + (of(each) ?? 0), 0);
  return {
    id,
    state,
    started,
    ended,
    sequence,
    signature,
    sources: sources.map((source) => ({ name: source.name, outcome: outcomeOf(source) })),
    files: sum(({ files }) => files),
    bytes: sum(({ bytes }) => bytes),
  };
}

function outcomeOf({ outcome }: SourceRecord): "ok" | "unchanged" | "failed" {
  return outcome === "stored" || outcome === "partial" ? "ok" : outcome;
}
