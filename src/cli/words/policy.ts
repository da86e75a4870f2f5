import { hostWords } from "../../policy/host-words.ts";
import type { LoadedPolicy } from "../../policy/load.ts";
import { notifyRemarks } from "../../policy/notify-remarks.ts";
import type { PolicyReport } from "../../policy/report.ts";
import type { SourcePolicy, StorePolicy } from "../../policy/schema.ts";
import type { Room } from "../screen.ts";
import { notes, table } from "./format.ts";

export function policyReport({ policy, origin, sha256 }: LoadedPolicy): PolicyReport {
  const { host } = policy;
  return {
    origin,
    sha256,
    name: policy.name,
    zone: policy.zone,
    host: host === "local" ? "this machine" : hostWords(host.ssh),
    store: storeInWords(policy.store),
    sources: policy.sources.map((source) => ({
      name: source.name,
      kind: source.kind,
      what: sourceInWords(source),
    })),
    notes: notifyRemarks(policy),
  };
}

export function policyInWords(report: PolicyReport, { width }: Room = {}): string {
  const rows = report.sources.map(({ name, kind, what }) => [name, kind, what]);
  return [
    `${report.origin} is a valid policy: ${report.name}, from ${report.host} to ${report.store}, days of ${report.zone}`,
    "",
    table(["source", "kind", "what"], rows, { width }),
    ...notes(report.notes),
  ].join("\n");
}

function storeInWords(store: StorePolicy): string {
  if ("directory" in store) return store.directory;
  const { bucket, prefix, endpoint } = store.s3;
  return `s3://${bucket}/${prefix}${endpoint === undefined ? "" : ` at ${endpoint}`}`;
}

function sourceInWords(source: SourcePolicy): string {
  switch (source.kind) {
    case "rocksdb":
      return `${source.path}, ${source.mode}`;
    case "postgres":
      return `database ${source.database}${source.container === undefined ? "" : `, in container ${source.container}`}`;
    case "files":
      return source.paths.join(", ");
    case "command":
      return source.argv.join(" ");
  }
}
