import type { EarlierEvidence } from "../drill/earlier-evidence.ts";
import type { Space } from "../lib/space.ts";
import type { FoundEvidence } from "../snapshot/evidence-store.ts";
import type { Proofs } from "../snapshot/finding.ts";
import type { SnapshotRecord } from "../snapshot/record.ts";
import type { VerifyEvidence } from "../verify/evidence.ts";
import type { FailingBackup, SnapshotStanding, Status } from "./report.ts";

export interface SeenSnapshot {
  readonly record: SnapshotRecord;
  readonly key: string;
  readonly standing: SnapshotStanding;
  /** Absent when it is good. */
  readonly why?: string;
  /** In quarantine, and withdrawn by somebody who is believed: it is shown as withdrawn, and is no concern any more. */
  readonly settled?: true;
}

/** What was read of a repository, and what the policy allows. */
export interface Seen {
  readonly policy: string;
  readonly store: string;
  readonly zone: string;
  /** The store's clock. */
  readonly now: Date;
  /** How far this machine's clock is ahead of it. */
  readonly skewSeconds: number;
  readonly limits: {
    readonly rpoSeconds: number;
    readonly drillEverySeconds: number;
    /** Undefined where the policy does not set it: verifies are held to nothing then. */
    readonly verifyEverySeconds: number | undefined;
    readonly maxSkewSeconds: number;
    /** The policy file, the policy in the newest snapshot, or the defaults because neither could be read. */
    readonly origin: Status["measuredAgainst"];
  };
  /** Names of the policy's sources; undefined when no policy could be read. */
  readonly expected: readonly string[] | undefined;
  /** Oldest first. */
  readonly snapshots: readonly SeenSnapshot[];
  readonly unreadable: Status["unreadable"];
  /** repository.json is lost or damaged, and was put together from the records. */
  readonly descriptionLost: boolean;
  /** Newest first. */
  readonly evidence: readonly EarlierEvidence[];
  /** Newest first. */
  readonly verifies: readonly FoundEvidence<VerifyEvidence>[];
  /** What doctor found out. */
  readonly proofs: Proofs;
  /** What this machine remembers of its last backup, when that failed and its alerts know. */
  readonly failing: FailingBackup | undefined;
  /** Of the file system that the store lies on, where this machine sees it. */
  readonly storeSpace?: Space | undefined;
  /** Objects that snapshots refer to, each once. */
  readonly stored: Status["stored"];
  readonly notes: readonly string[];
}
