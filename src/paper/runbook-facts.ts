import { DEFAULT_GATE } from "../policy/restore-schema.ts";
import type { Policy } from "../policy/schema.ts";
import type { Signers } from "../trust/signers-file.ts";
import type { RecoveryPlace } from "./store-commands.ts";

/** What a runbook is about. */
export interface RunbookFacts extends RecoveryPlace {
  /** A date as it is typed. */
  readonly date: string;
  /** The machine that is gone. */
  readonly oldHost: string;
  readonly gate: string;
  /** In the order of starting. */
  readonly units: readonly string[];
  readonly sources: readonly { readonly name: string; readonly kind: string; readonly what: string }[];
  readonly databases: readonly { readonly source: string; readonly database: string }[];
  /** The homeserver's, with the directory of its database. */
  readonly rocksdb: readonly { readonly source: string; readonly path: string }[];
  /** Sources that a machine needs before its first boot. */
  readonly bootstrap: readonly string[];
  readonly hasBridge: boolean;
  /** Units whose journal tells of the bridge's login: those whose exit statuses the policy explains, else all. */
  readonly bridgeUnits: readonly string[];
  readonly rto: string;
  readonly rpo: string;
  readonly checklist: readonly string[];
}

/** For RECOVERY.md: capital words are to be replaced. */
export const GENERAL: RunbookFacts = {
  store: {
    s3: {
      bucket: "BUCKET",
      prefix: "PREFIX",
      endpoint: "https://ENDPOINT",
      region: "REGION",
      path_style: true,
    },
  },
  policy: "POLICY",
  signers: ["ssh-ed25519 AAAA…"],
  revoked: [],
  script: "HASH",
  date: "2026-11-20",
  oldHost: "OLD-ADDRESS",
  gate: DEFAULT_GATE,
  units: ["HOMESERVER.service", "BRIDGE.service", "nginx.service"],
  sources: [],
  databases: [{ source: "DATABASE-SOURCE", database: "DATABASE" }],
  rocksdb: [{ source: "ROCKSDB-SOURCE", path: "/var/lib/HOMESERVER/db" }],
  bootstrap: ["host-keys"],
  hasBridge: true,
  bridgeUnits: ["BRIDGE.service"],
  rto: "2h",
  rpo: "24h",
  checklist: [],
};

/** Of one policy. */
export function runbookFacts(policy: Policy, place: Signers & { readonly script: string }): RunbookFacts {
  const { restore, sources } = policy;
  const explained = restore.units.filter(({ exits }) => Object.keys(exits).length > 0);
  return {
    ...place,
    store: policy.store,
    policy: policy.name,
    date: "2026-11-20",
    oldHost: policy.host === "local" ? "OLD-ADDRESS" : policy.host.ssh.address,
    gate: restore.gate,
    units: restore.units.map(({ unit }) => unit),
    sources: sources.map((source) => ({ name: source.name, kind: source.kind, what: whatOf(source) })),
    databases: sources.flatMap((source) =>
      source.kind === "postgres" ? [{ source: source.name, database: source.database }] : [],
    ),
    rocksdb: sources.flatMap((source) =>
      source.kind === "rocksdb" ? [{ source: source.name, path: source.path }] : [],
    ),
    bootstrap: restore.bootstrap,
    hasBridge: restore.appservice !== undefined,
    bridgeUnits: (explained.length > 0 ? explained : restore.units).map(({ unit }) => unit),
    rto: policy.rto,
    rpo: policy.rpo,
    checklist: restore.checklist,
  };
}

function whatOf(source: Policy["sources"][number]): string {
  switch (source.kind) {
    case "postgres":
      return `database ${source.database}`;
    case "rocksdb":
      return source.path;
    case "files":
      return source.paths.join(", ");
    case "command":
      return source.argv.join(" ");
  }
}
