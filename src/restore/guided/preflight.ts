import type { Host } from "../../host/host.ts";
import type { Cancel } from "../../lib/cancel.ts";
import type { Check } from "./check.ts";

export interface PreflightFacts {
  readonly gate: string;
  /** Of the policy. */
  readonly units: readonly string[];
  /** Of the record: when it ended, and the host facts of that day. */
  readonly snapshot: { readonly ended: string; readonly host: Readonly<Record<string, string>> };
  /** Names of users and groups that own entries. */
  readonly users: readonly string[];
  readonly groups: readonly string[];
  /** What will be brought beside the old, each with the path of the target and bytes and entries of the new. */
  readonly targets: readonly { readonly path: string; readonly bytes: number; readonly entries: number }[];
  /** RocksDB sources: their directory and `rocksdb_version` of their facts. */
  readonly databases: readonly {
    readonly source: string;
    readonly path: string;
    readonly rocksdbVersion: string | undefined;
  }[];
}

/**
 * Look at the host and change nothing that stays. All checks are made, whatever the first ones say; what could not be looked at has
 * failed. Throws only when the host is lost.
 */
export async function preflightHost(
  _host: Host,
  _facts: PreflightFacts,
  _how: Cancel & { readonly now: () => Date },
): Promise<readonly Check[]> {
  throw new Error("to come");
}
