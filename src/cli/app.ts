import type { BackupOptions, BackupReport, InitReport } from "../backup/report.ts";
import type { DoctorOptions, DoctorReport } from "../doctor/report.ts";
import type { DrillOptions, DrillReport } from "../drill/report.ts";
import type {
  BootstrapReport,
  ConsentOptions,
  FinishReport,
  GuidedOptions,
  GuidedReport,
  RollbackReport,
} from "../guided/report.ts";
import type { GuidedAccess, PolicyAccess, ReadAccess } from "../lib/access.ts";
import type { Cancel } from "../lib/cancel.ts";
import type { AppContext } from "../lib/context.ts";
import type { Alerts } from "../notify/alerts.ts";
import type { AlertsAccess } from "../notify/report.ts";
import type { RunbookOptions, RunbookReport, SheetOptions, SheetReport } from "../paper/report.ts";
import type { SnapshotChoice } from "../restore/choose.ts";
import type {
  EntryListing,
  ExportOptions,
  ExportReport,
  RestoreOptions,
  RestoreReport,
  ShowReport,
  SnapshotsReport,
} from "../restore/report.ts";
import type { Retention } from "../retention/retention.ts";
import type { KeygenReport } from "../seal/report.ts";
import type { SetupOptions, SetupReport } from "../setup/report.ts";
import type { RecalledSnapshot } from "../snapshot/recall.ts";
import type { StatusOptions, StatusReport } from "../status/report.ts";
import type { KeysReport } from "../verify/keys-report.ts";
import type { VerifyOptions, VerifyReport } from "../verify/report.ts";

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

export interface Reader extends AsyncDisposable {
  snapshots(how: Cancel): Promise<SnapshotsReport>;
  show(how: { readonly choice: SnapshotChoice } & Cancel): Promise<ShowReport>;
  /** `entries` is pulled: a tree of any size streams through. */
  ls(
    how: { readonly choice: SnapshotChoice; readonly source: string | undefined } & Cancel,
  ): Promise<EntryListing>;
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

/** Restores onto a host. */
export interface Guided extends AsyncDisposable {
  /** Throws the failure of a step, with what continues it as its hint. */
  restore(how: GuidedOptions & Cancel): Promise<GuidedReport>;
  /** Remove the old data that a run kept. `run`: its id; undefined: the only one that is open. */
  finish(how: ConsentOptions & { readonly run: string | undefined } & Cancel): Promise<FinishReport>;
  /** Needs no store and no identity. */
  rollback(how: ConsentOptions & { readonly run: string | undefined } & Cancel): Promise<RollbackReport>;
  /** What a machine needs before its first boot, into a new directory here. */
  bootstrap(how: { readonly choice: SnapshotChoice; readonly to: string } & Cancel): Promise<BootstrapReport>;
}
