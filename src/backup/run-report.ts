import type { Policy } from "../policy/schema.ts";
import type { BackupReport } from "./report.ts";
import type { RunResult, SourceResult } from "./snapshot-run.ts";

/** What a backup came to, as the command line tells it. */
export function backupReport(
  policy: Policy,
  store: string,
  run: RunResult,
  notes: readonly string[],
): BackupReport {
  const { record } = run;
  const sum = (of: (source: SourceResult) => number) =>
    run.sources.reduce((total, source) => total + of(source), 0);
  return {
    policy: policy.name,
    store,
    zone: policy.zone,
    snapshot: {
      id: record.id,
      key: run.key,
      state: record.state,
      sequence: record.sequence,
      started: record.started,
      ended: record.ended,
    },
    sources: run.sources.map(sourceReport),
    skewSeconds: record.skew_ms / 1000,
    bytes: sum(({ record: { bytes } }) => bytes ?? 0),
    readBytes: sum(({ record: { read_bytes } }) => read_bytes ?? 0),
    newBytes: sum(({ newBytes }) => newBytes),
    storedBytes: sum(({ storedBytes }) => storedBytes),
    packs: run.packs,
    seconds: (Date.parse(record.ended) - Date.parse(record.started)) / 1000,
    notes,
  };
}

function sourceReport({
  record,
  newBytes,
  storedBytes,
  seconds,
}: SourceResult): BackupReport["sources"][number] {
  return {
    name: record.name,
    kind: record.kind,
    outcome: record.outcome === "stored" || record.outcome === "partial" ? "ok" : record.outcome,
    capturedAt: record.captured_at,
    files: record.files ?? 0,
    bytes: record.bytes ?? 0,
    readBytes: record.read_bytes ?? 0,
    newBytes,
    storedBytes,
    seconds,
    notes: record.notes,
    error: record.error,
  };
}
