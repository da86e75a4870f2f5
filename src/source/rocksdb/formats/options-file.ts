/** What matters of an OPTIONS file (ini text with backslash escapes: options/options_parser.cc). */
export interface RocksdbOptions {
  readonly rocksdbVersion: string | undefined;
  readonly recyclesLogs: boolean;
  /** Two-phase commit: prepared transactions break the chain of sequence numbers. */
  readonly twoPhaseCommit: boolean;
  readonly walDirectory: string | undefined;
  /** The lines a person looks at first, for the snapshot's facts. */
  readonly excerpt: Readonly<Record<string, string>>;
}

const EXCERPT = [
  "rocksdb_version",
  "manual_wal_flush",
  "atomic_flush",
  "wal_recovery_mode",
  "wal_compression",
  "recycle_log_file_num",
  "track_and_verify_wals_in_manifest",
  "allow_2pc",
  "wal_dir",
] as const;

/** Reads the [Version] and [DBOptions] sections; unknown lines are ignored. */
export function parseOptions(text: string): RocksdbOptions {
  const values = new Map<string, string>();
  let section = "";
  for (const line of text.split("\n")) {
    const header = /^\[(\w+)/.exec(line);
    if (header !== null) section = header[1] ?? "";
    const pair = /^\s*(\w+)=(.*)$/.exec(line);
    if (pair !== null && (section === "Version" || section === "DBOptions")) {
      values.set(pair[1] ?? "", (pair[2] ?? "").trim().replace(/\\(.)/g, "$1").slice(0, 4096));
    }
  }
  const excerpt = EXCERPT.flatMap((key) => {
    const value = values.get(key);
    return value === undefined ? [] : [[key, value] as const];
  });
  return {
    rocksdbVersion: values.get("rocksdb_version"),
    recyclesLogs: Number(values.get("recycle_log_file_num") ?? 0) > 0,
    twoPhaseCommit: values.get("allow_2pc") === "true",
    walDirectory: values.get("wal_dir") || undefined,
    excerpt: Object.fromEntries(excerpt),
  };
}
