/** `-`: nothing; `o`: something else. */
export type HostKind = "d" | "f" | "l" | "o" | "-";

/** A path of the host: where its name lies, and where it leads. */
export interface HostPlace {
  /** Symlinks followed up to the last name. */
  readonly spot: string;
  readonly spotKind: HostKind;
  /** Symlinks followed to the end. */
  readonly real: string;
  readonly realKind: HostKind;
}

/** The nearest thing at or above a path that exists. */
export interface Ground {
  readonly path: string;
  readonly device: string;
  readonly uid: number;
  readonly gid: number;
  readonly freeBytes: number;
  /** Of inodes; undefined where the file system has no fixed number of them. */
  readonly freeFiles: number | undefined;
}
