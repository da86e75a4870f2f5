import type { Host } from "../host/host.ts";
import type { Policy } from "../policy/schema.ts";
import type { ManifestHead } from "../snapshot/manifest-head.ts";
import type { CheckBook } from "./checks.ts";
import type { Sandbox } from "./sandbox.ts";
import type { Scratch } from "./scratch.ts";

/** A source as it was restored for the drill. */
export interface DrilledSource {
  readonly name: string;
  readonly kind: ManifestHead["kind"];
  /** Holds the tree and the facts. */
  readonly parent: string;
  /** What was restored. */
  readonly directory: string;
  readonly head: ManifestHead;
}

/** What the checks of a drill are given. */
export interface DrillContext {
  /** This machine, as whoever runs the drill. */
  readonly host: Host;
  readonly sandbox: Sandbox;
  readonly scratch: Scratch;
  readonly book: CheckBook;
  /** Where PostgreSQL's programs are looked for, in turn. */
  readonly programDirectories: readonly string[];
  /** Without the real RocksDB library the drill has failed. */
  readonly requireLibrary: boolean;
  /** The node that runs the program of the library's check. */
  readonly node: string;
  /** A file from which the library is resolved as a module of its own would do it; default: drops' own. */
  readonly libraryFrom?: string;
}

/** What a drill is measured against: the policy at hand, or the one in the snapshot. */
export interface DrillPolicy {
  readonly policy: Policy;
  readonly sha256: string;
  /** Whether it came out of the snapshot: then whoever made the snapshot wrote it. */
  readonly fromSnapshot: boolean;
}
