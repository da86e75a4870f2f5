import type { Writable } from "node:stream";
import type { Cancel } from "../lib/cancel.ts";
import type { DoctorReport } from "./doctor-outputs.ts";
import type { Guided, GuidedAccess } from "./guided-app.ts";
import type { KeysReport } from "./keys-outputs.ts";
import type { Alerts, AlertsAccess } from "./notify-app.ts";
import type {
  BackupReport,
  DrillReport,
  ExportReport,
  InitReport,
  KeygenReport,
  LsEntry,
  LsReport,
  RestoreReport,
  RunbookReport,
  SetupReport,
  SheetReport,
  ShowReport,
  SnapshotsReport,
  VerifyReport,
} from "./outputs.ts";
import type { Retention } from "./retention-app.ts";
import type { StatusReport } from "./status-outputs.ts";

/**
 * What the command line needs from the rest of drops. src/app/app.ts implements it (`AppModule` is what that file exports)
 * and is imported by the first command that calls it, so that `drops --help` loads no SDK.
 */
export interface AppModule {
  /** For commands that need a policy: `policy` is a file or a name, undefined the default. Throws usage/ and policy/invalid. */
  openApp(access: PolicyAccess, context: AppContext): Promise<App>;
  /** For commands that read: from a policy, or from a store and an identity alone. */
  openReader(access: ReadAccess, context: AppContext): Promise<Reader>;
  /** For restores onto a host. Nothing is opened before the first verb asks. */
  openGuided(access: GuidedAccess, context: AppContext): Promise<Guided>;
  /** For what is kept and what goes: `policy` as of `openApp`. */
  openRetention(access: PolicyAccess, context: AppContext): Promise<Retention>;
  /** Throws usage/ and policy/invalid. */
  openAlerts(access: AlertsAccess, context: AppContext): Promise<Alerts>;
  /** Make all keys of a policy in `to`, files 0600. Throws safety/refused when one of them exists, having written nothing. */
  makeKeys(options: { readonly to: string } & Cancel, context: AppContext): Promise<KeygenReport>;
  /** The recovery sheet of a policy into `to`, files 0600. Throws safety/refused when one exists, key/wrong for another identity. */
  makeSheet(options: SheetOptions & Cancel, context: AppContext): Promise<SheetReport>;
  /** The plan of a recovery for a person, of a policy or in general. */
  makeRunbook(options: RunbookOptions & Cancel, context: AppContext): Promise<RunbookReport>;
  /** Write a first policy with a person's answers. Throws interrupted when the person leaves, safety/refused over a file. */
  setUp(options: SetupOptions & Cancel, context: AppContext): Promise<SetupReport>;
  /** For completions: the names of the policy's snapshots, newest first, from one listing. */
  recallSnapshots(
    access: Pick<ReadAccess, "policy" | "store"> & Cancel,
    context: AppContext,
  ): Promise<readonly RecalledSnapshot[]>;
}

/** A snapshot as its name in the store tells it: nothing was read, so nothing is proven. */
export interface RecalledSnapshot {
  readonly id: string;
  /** UTC, as 20261123T023000Z. */
  readonly ended: string;
  /** Its name alone says that it is taken by its id, and not by its date. */
  readonly isHeld: boolean;
}

export interface SetupOptions {
  /** Undefined: in the usual place, named after the policy. */
  readonly file: string | undefined;
  readonly prompt: { ask(question: string, how: Cancel): Promise<string> };
}

export interface SheetOptions extends PolicyAccess {
  /** Undefined: beside the policy's recovery recipients. */
  readonly identity: string | undefined;
  readonly to: string;
}

export interface RunbookOptions {
  readonly access: ReadAccess;
  /** Of no policy: nothing is read. */
  readonly general: boolean;
  readonly form: "text" | "html" | "markdown";
  /** Undefined: into the report only. */
  readonly out: string | undefined;
}

export interface PolicyAccess {
  readonly policy: string | undefined;
}

export interface ReadAccess extends PolicyAccess, TrustOptions {
  /** `s3://bucket/prefix?endpoint=…&region=…` or a directory. With it, `policy` is only the name of a policy in that repository. */
  readonly store: string | undefined;
  /** Files of age identities, tried in turn. */
  readonly identities: readonly string[];
  /** Read what later versions and delete markers hide in a bucket. */
  readonly hidden?: true;
  /** The id, or its beginning, of a snapshot that must be there or have been seen: see src/restore/expect-head.ts. */
  readonly expectHead?: string;
}

export interface TrustOptions {
  /** Public key lines, or files of them, believed beside those of the policy. */
  readonly trustedSigners: readonly string[];
  /** Go on when no known key signed: the operator takes the risk. */
  readonly trustUnsigned: boolean;
}

/** The world, as far as the verbs may see it. */
export interface AppContext {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly now: () => Date;
  /** Of drops itself, for records. */
  readonly version: string;
  readonly reporter: Reporter;
}

/** How a verb tells what it is doing; implemented by the screen, on standard error. */
export interface Reporter {
  /** One line. */
  say(line: string): void;
  /** A step that takes time. `unit` says what `done` counts; the default is bytes. */
  progress(title: string, unit?: "bytes" | "files" | "objects"): Progress;
}

export interface Progress {
  /** How much is done in all so far, of how much when that is known. Cheap: call it as often as you like. */
  update(done: number, total?: number, note?: string): void;
  /** The step ended, well or badly. Once; later calls do nothing. */
  done(): void;
}

/** The snapshot that was asked for, still in the operator's words: dates need the policy's zone. */
export type SnapshotChoice =
  | { readonly date: string; readonly id?: undefined }
  | { readonly id: string; readonly date?: undefined };

export interface Reader extends AsyncDisposable {
  snapshots(how: Cancel): Promise<SnapshotsReport>;
  show(how: { readonly choice: SnapshotChoice } & Cancel): Promise<ShowReport>;
  /** `entries` is pulled: a tree of any size streams through. */
  ls(
    how: { readonly choice: SnapshotChoice; readonly source: string | undefined } & Cancel,
  ): Promise<Listing>;
  /**
   * One source, or one file of it, to `into`: the file's bytes; a tar when it is a directory or a whole source of
   * several files. Everything is authenticated before it is written. Does not end `into`.
   */
  export(how: ExportOptions & Cancel): Promise<ExportReport>;
  /** Into a new or empty directory. A source that failed is in the report; nothing unauthenticated is left in `to`. */
  restore(how: RestoreOptions & Cancel): Promise<RestoreReport>;
  /** Never throws for damage it finds: that is in the report. */
  verify(how: VerifyOptions & Cancel): Promise<VerifyReport>;
  /** The first screen: can it be restored, to when, last proven when. Never throws for what it finds: that is in the report. */
  status(how: StatusOptions & Cancel): Promise<StatusReport>;
  /** Which keys the policy names, what is sealed to whom and who signed what; opens nothing. */
  keys(how: Cancel): Promise<KeysReport>;
  /** Never throws for what it finds: that is in the report. Nothing but evidence is left behind. */
  drill(how: DrillOptions & Cancel): Promise<DrillReport>;
}

export interface App extends Reader {
  /** Throws repository/exists. */
  init(how: Cancel): Promise<InitReport>;
  /** A source that failed makes the report's snapshot partial; throws only when nothing could be committed. */
  backup(how: BackupOptions & Cancel): Promise<BackupReport>;
  /** Looks at everything that backups and restores depend on. Never throws for what it finds: that is in the report. */
  doctor(how: DoctorOptions & Cancel): Promise<DoctorReport>;
}

export interface DoctorOptions {
  /** File of the recovery identity, to be tried once. */
  readonly identity: string | undefined;
  /** Only these groups of checks; empty means all. */
  readonly only: readonly string[];
}

export interface BackupOptions {
  /** Read unchanged files too, and compare. */
  readonly reread: boolean;
  /** Only these sources; empty means all. The snapshot of a part is partial. */
  readonly sources: readonly string[];
}

export interface Listing extends Omit<LsReport, "entries"> {
  readonly entries: AsyncIterable<LsEntry>;
}

export interface ExportOptions {
  readonly source: string;
  readonly path: string | undefined;
  readonly choice: SnapshotChoice;
  readonly into: Writable;
}

export interface RestoreOptions {
  readonly choice: SnapshotChoice;
  /** Only these sources; empty means all. */
  readonly only: readonly string[];
  readonly to: string;
  /** Bring back what is whole of a source that is damaged in the repository. */
  readonly bestEffort?: boolean;
}

export interface VerifyOptions {
  readonly choice: SnapshotChoice | undefined;
  /** Share (0 to 1) of the packs that is read whole, others each time; undefined: none, or what the routine says. */
  readonly readShare: number | undefined;
  /** The `part`-th, from 1, of `of` equal parts of the packs instead. */
  readonly readPart: { readonly part: number; readonly of: number } | undefined;
  /** Have what is read opened by age, zlib and tar as well. */
  readonly independent: boolean;
  /** Compare checksums that the store has with names. */
  readonly objects: boolean;
  /** Run the sources' own checks on the stored data. */
  readonly sources: boolean;
  /** Mark what is damaged and put signed evidence into the repository. */
  readonly publish: boolean;
  /** File of the key that signs; default: the policy's, of prune first. */
  readonly signingKey: string | undefined;
  /** `objects`, the policy's share of the data, and `publish` as far as keys and credentials allow. */
  readonly routine: boolean;
}

export interface DrillOptions {
  readonly choice: SnapshotChoice;
  /** Only these sources; empty means all. */
  readonly only: readonly string[];
  /** Where the scratch directory is made. */
  readonly work: string | undefined;
  readonly keep: boolean;
  /** Directory that evidence is written into. */
  readonly evidence: string | undefined;
  /** File of the key that signs evidence; default: the policy's. */
  readonly signingKey: string | undefined;
  /** Put the evidence into the repository too. */
  readonly publish: boolean;
  /** A policy file whose checks and objectives count instead of the snapshot's. */
  readonly checksFrom: string | undefined;
  readonly runCommands: boolean;
  readonly requireLibrary: boolean;
  /** Unprivileged user of the sandbox when root runs the drill. */
  readonly user: string;
  /** Drill the guided restore on this throwaway machine, `user@address:port`, instead of a scratch directory here. */
  readonly on: string | undefined;
  readonly sshKey: string | undefined;
  readonly hostKey: string | undefined;
  /** Directory of PostgreSQL's programs, server included. */
  readonly postgresBin: string | undefined;
}

export interface StatusOptions {
  /** Metrics are written into this file, for a textfile collector. */
  readonly prometheus: string | undefined;
  /** A page is written into this file. */
  readonly html: string | undefined;
}
