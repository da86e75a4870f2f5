import type { Host } from "../host/host.ts";
import type { Cancel } from "../lib/cancel.ts";
import type { LoadedPolicy } from "../policy/load.ts";
import type { Catalog } from "../snapshot/catalog.ts";
import type { Repository } from "../snapshot/repository.ts";
import type { Status } from "../status/report.ts";
import type { BlobStore } from "../store/blob-store.ts";
import type { S3Credentials } from "../store/credentials.ts";
import type { Trust } from "../trust/trust.ts";

/** What doctor looks at. What takes a connection is under way, and may be rejected. */
export interface World {
  readonly loaded: LoadedPolicy;
  readonly host: Promise<Host>;
  readonly store: Promise<BlobStore>;
  /** Of whoever makes backups; undefined: the store is a directory. */
  readonly credentials: Promise<S3Credentials> | undefined;
  /** The repository and its records, read once. */
  readonly records: Promise<Records>;
  /** Whom everything is sealed to. */
  readonly recipients: Promise<readonly string[]>;
  /** Who signs here, and who is believed. */
  readonly trust: Promise<Trust>;
  /** File of the recovery identity, when it is shown. */
  readonly identity: string | undefined;
  /** What `drops status` says, by the same code. */
  readonly status: (how: Cancel) => Promise<Status>;
  readonly now: () => Date;
  readonly random: () => number;
  /** Directories of this machine where keys of this policy may lie. */
  readonly keyDirectories: readonly string[];
}

export interface Records {
  readonly repository: Repository;
  readonly catalog: Catalog;
}
