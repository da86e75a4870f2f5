import type { EarlierEvidence } from "../drill/earlier-evidence.ts";
import type { Space } from "../lib/space.ts";
import type { FoundEvidence } from "../snapshot/evidence-store.ts";
import type { Proofs } from "../snapshot/finding.ts";
import type { SnapshotRecord } from "../snapshot/record.ts";
import type { VerifyEvidence } from "../verify/evidence.ts";
import type { Coverage } from "../verify/rotation.ts";

/**
 * `good`: believed, and everything that it refers to is listed. `damaged`: something of that is not. `quarantined`: its
 * record cannot be believed. `withdrawn`: an operator warns of it.
 */
export type SnapshotStanding = "good" | "damaged" | "quarantined" | "withdrawn";

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
    readonly origin: MeasuredAgainst;
  };
  /** Names of the policy's sources; undefined when no policy could be read. */
  readonly expected: readonly string[] | undefined;
  /** Oldest first. */
  readonly snapshots: readonly SeenSnapshot[];
  readonly unreadable: readonly { readonly key: string; readonly why: string }[];
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
  readonly stored: { readonly objects: number; readonly bytes: number };
  readonly notes: readonly string[];
}

/** Why a backup left nothing in the store, in the words of its alert. */
export interface FailingBackup {
  /** When it first failed after it last went well. */
  readonly since: string;
  readonly code: string;
  readonly message: string;
  readonly hint?: string | undefined;
}

export type MeasuredAgainst = "file" | "snapshot" | "defaults";

/** Kinds of what keeps a status from being green; names in metrics and JSON, so none is ever renamed. */
export const CONCERNS = [
  "no-snapshot",
  "damaged",
  "verify-damaged",
  "description",
  "unreadable",
  "quarantined",
  "clock",
  "late",
  "failed",
  "uncovered",
  "space",
  "drill-failed",
  "drill-overdue",
  "verify-overdue",
  "never-drilled",
  "never-verified",
  "recovery-key",
] as const;
export type ConcernKind = (typeof CONCERNS)[number];

export interface Concern {
  readonly kind: ConcernKind;
  /** One sentence without a full stop. */
  readonly what: string;
  /** The next command. */
  readonly hint: string;
}

/** `amber`: nothing went wrong, but what was never tried is not known to work. */
export const STATES = ["green", "amber", "unproven", "late", "broken"] as const;
export type State = (typeof STATES)[number];

export interface RestorePoint {
  readonly id: string;
  readonly ended: string;
  /** When the source that was captured first was captured. */
  readonly point: string;
  readonly ageSeconds: number;
}

export interface SourceStatus {
  readonly name: string;
  readonly inPolicy: boolean;
  readonly newest?: { readonly snapshot: string; readonly captured: string; readonly ageSeconds: number };
  /** Of the newest success. */
  readonly files: number;
  readonly bytes: number;
  /** The last attempt, when it failed; with `stored`, when all but what could not be read is in the snapshot. */
  readonly failed?: {
    readonly snapshot: string;
    readonly at: string;
    readonly message: string;
    readonly stored?: true;
  };
}

export interface ShownSnapshot {
  readonly id: string;
  readonly key: string;
  readonly ended: string;
  readonly state: "complete" | "partial" | "checkpoint";
  readonly standing: SnapshotStanding;
  readonly why?: string;
  readonly bytes: number;
  /** Packs that its run put. */
  readonly storedBytes: number;
}

export interface DrillLine {
  readonly id: string;
  readonly ended: string;
  readonly ageSeconds: number;
  readonly verdict: "proven" | "damaged" | "unproven";
  /** Whether every source was drilled. */
  readonly whole: boolean;
  readonly snapshot: string;
  readonly passed: number;
  readonly checks: number;
  /** The machine that the guided restore was drilled on. */
  readonly on?: string;
  /** The check that the verdict is owed to, unless it proved its snapshot. */
  readonly failed?: { readonly check: string; readonly found: string; readonly hint?: string };
}

export interface DrillsStatus {
  readonly everySeconds: number;
  /** Believed ones. */
  readonly count: number;
  readonly last?: DrillLine;
  /** The newest that proved every source of its snapshot. */
  readonly proven?: DrillLine;
  /** When an identity last opened packs and every byte was authenticated. */
  readonly opened?: string;
  /** Newest first, at most 30. */
  readonly lines: readonly DrillLine[];
  /** Evidence that is not believed. */
  readonly refused: readonly { readonly file: string; readonly why: string }[];
  /** Nothing that is believed is newer than the newest that is refused. */
  readonly newestRefused: boolean;
}

export interface VerifyLine {
  readonly id: string;
  readonly ended: string;
  readonly ageSeconds: number;
  readonly verdict: "intact" | "damaged";
  readonly snapshots: number;
  /** Looked for by name and size. */
  readonly objects: number;
  /** Of these, whose SHA-256 was compared with the name. */
  readonly compared: number;
  /** Hashed where they lie, or by what the server took when they were put. */
  readonly checksumsFrom?: "bytes" | "upload";
  /** Packs that were read back whole; `share` of all, 0 to 1. */
  readonly read?: {
    readonly share: number;
    readonly packs: number;
    readonly bytes: number;
    readonly opened: boolean;
  };
  readonly damaged: number;
}

export interface VerifiesStatus {
  /** How often one is due; absent where the policy does not say. */
  readonly everySeconds?: number;
  /** The last whose evidence is believed. */
  readonly last?: VerifyLine;
  /** How much of the data was read back by it and those before. */
  readonly coverage?: Coverage;
  /**
   * Snapshots whose record the last one did not believe, such as one that later snapshots saw as another. What it found of
   * other objects shows without it: by listing, and by the marks that it put.
   */
  readonly doubted: readonly { readonly snapshot: string; readonly why: string }[];
  /** Evidence that is not believed, newest first. */
  readonly refused: readonly { readonly file: string; readonly why: string }[];
}

/** What `drops status` knows before it judges. */
export interface Facts {
  readonly policy: string;
  readonly store: string;
  readonly zone: string;
  readonly at: string;
  readonly measuredAgainst: MeasuredAgainst;
  readonly restore: {
    readonly points: number;
    readonly rpoSeconds: number;
    readonly newest?: RestorePoint;
    readonly oldest?: RestorePoint;
  };
  /** What keeps this machine from making a newer one. */
  readonly failing?: FailingBackup & { readonly ageSeconds: number };
  readonly sources: readonly SourceStatus[];
  /** Newer than the newest restore point. */
  readonly partial: readonly {
    readonly id: string;
    readonly ended: string;
    readonly failed: readonly string[];
  }[];
  readonly drills: DrillsStatus;
  readonly verifies: VerifiesStatus;
  readonly destroy: {
    readonly proven: boolean;
    readonly answer: "yes" | "no" | "not proven";
    readonly why: string;
    /** When it was last tried. */
    readonly at?: string;
  };
  /** When the recovery identity was last seen to open a backup. */
  readonly recoveryKey: { readonly proven: boolean; readonly why: string; readonly at?: string };
  readonly clock: { readonly skewSeconds: number; readonly allowedSeconds: number };
  readonly stored: { readonly objects: number; readonly bytes: number };
  /** File systems of the host, as the last backup saw them, and that of a directory store. */
  readonly space: readonly Space[];
  /** Without checkpoints, oldest first. */
  readonly snapshots: readonly ShownSnapshot[];
  readonly unreadable: readonly { readonly key: string; readonly why: string }[];
  readonly descriptionLost: boolean;
  readonly notes: readonly string[];
}

export interface Status extends Facts {
  readonly state: State;
  /** Worst first; none when green. */
  readonly concerns: readonly Concern[];
  readonly next: string;
}
