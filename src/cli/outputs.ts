import * as z from "zod";
import { BackupReport, InitReport } from "../backup/report.ts";
import { DoctorReport } from "../doctor/report.ts";
import { DrillReport } from "../drill/report.ts";
import { BootstrapReport, FinishReport, GuidedReport, RollbackReport } from "../guided/report.ts";
import { Failure } from "../lib/report-fields.ts";
import { NotifyFailedReport, NotifyTestReport } from "../notify/report.ts";
import { RunbookReport, SheetReport } from "../paper/report.ts";
import { PolicyReport, ShownPolicyReport } from "../policy/report.ts";
import { LsReport, RestoreReport, ShowReport, SnapshotsReport } from "../restore/report.ts";
import { KeeperReport, NoteReport, PlanReport, PruneReport } from "../retention/report.ts";
import { KeygenReport } from "../seal/report.ts";
import { SetupReport } from "../setup/report.ts";
import { StatusReport } from "../status/report.ts";
import { IamReport } from "../store/roles-report.ts";
import { KeysReport } from "../verify/keys-report.ts";
import { VerifyReport } from "../verify/report.ts";

/** What `--json` prints instead of a value when the command failed before it had one. */
export const ErrorReport = z.object({ error: Failure });

export const CompletionReport = z.object({
  shell: z.enum(["bash", "zsh", "fish"]),
  script: z.string().describe("for that shell to read"),
});

/** One JSON Schema is generated per name: schemas/<name>.schema.json. */
export const OUTPUTS = {
  error: ErrorReport,
  init: InitReport,
  setup: SetupReport,
  keygen: KeygenReport,
  keys: KeysReport,
  "recovery-sheet": SheetReport,
  runbook: RunbookReport,
  backup: BackupReport,
  snapshots: SnapshotsReport,
  show: ShowReport,
  ls: LsReport,
  restore: RestoreReport,
  "restore-host": GuidedReport,
  "restore-finish": FinishReport,
  "restore-bootstrap": BootstrapReport,
  rollback: RollbackReport,
  verify: VerifyReport,
  drill: DrillReport,
  status: StatusReport,
  doctor: DoctorReport,
  plan: PlanReport,
  prune: PruneReport,
  keeper: KeeperReport,
  pin: NoteReport,
  unpin: NoteReport,
  withdraw: NoteReport,
  policy: PolicyReport,
  "policy-show": ShownPolicyReport,
  completion: CompletionReport,
  iam: IamReport,
  "notify-test": NotifyTestReport,
  "notify-failed": NotifyFailedReport,
} as const;

export type CompletionReport = z.infer<typeof CompletionReport>;
