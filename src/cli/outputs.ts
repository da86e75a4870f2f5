import * as z from "zod";
import { DoctorReport } from "./doctor-outputs.ts";
import { BootstrapReport, FinishReport, GuidedReport, RollbackReport } from "./guided-outputs.ts";
import { KeeperReport } from "./keeper-outputs.ts";
import { KeysReport } from "./keys-outputs.ts";
import { NotifyFailedReport, NotifyTestReport } from "./notify-outputs.ts";
import { NoteReport, PlanReport, PruneReport } from "./retention-outputs.ts";
import { StatusReport } from "./status-outputs.ts";

/**
 * What every command answers, as `--json` prints it and as schemas/*.json describe it. Sizes are bytes, times ISO 8601
 * in UTC, durations seconds. A field may be added; none is renamed or removed.
 */
const Time = z.iso.datetime().describe("UTC");
const Bytes = z.int().nonnegative();
const Count = z.int().nonnegative();
const Seconds = z.number().nonnegative();
const Sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const Id = z
  .string()
  .regex(/^[0-9a-f]{8,32}$/)
  .describe("a snapshot's id");
const Kind = z.enum(["rocksdb", "postgres", "files", "command"]);
const State = z.enum(["complete", "partial", "checkpoint"]);
const Signature = z.enum(["trusted", "untrusted", "missing"]).describe("who vouches for the record");
const Notes = z.array(z.string()).describe("what the operator should know; not failures");

export const Failure = z.object({ code: z.string(), message: z.string(), hint: z.string().optional() });
/** What `--json` prints instead of a value when the command failed before it had one. */
export const ErrorReport = z.object({ error: Failure });

export const InitReport = z.object({
  store: z.string(),
  repositoryId: z.string(),
  policy: z.string(),
  created: Time,
  recoveryObjects: z.array(z.string()).describe("keys of what recovery with standard tools needs"),
});

export const KeygenReport = z.object({
  directory: z.string(),
  files: z.array(
    z.object({
      role: z.enum([
        "recovery-identity",
        "recovery-recipients",
        "metadata-identity",
        "signing-key",
        "signer",
      ]),
      path: z.string(),
      secret: z.boolean(),
    }),
  ),
  recoveryRecipient: z.string(),
  metadataRecipient: z.string(),
  signer: z.string().describe("the public key line for trusted_signers"),
});

export const SheetReport = z.object({
  policy: z.string(),
  files: z.array(z.string()).describe("absolute; each holds the recovery identity"),
  signers: z
    .array(
      z.object({
        fingerprint: z.string(),
        before: Time.optional().describe("of a revoked signer: what landed by then is believed"),
      }),
    )
    .describe("whom the sheet believes"),
  script: Sha256.describe("of recover.sh"),
  repositoryId: z.string().optional().describe("absent when the store could not be asked"),
  scriptInStore: z.boolean(),
  notes: Notes,
});

export const RunbookReport = z.object({
  policy: z.string(),
  form: z.enum(["text", "html", "markdown"]),
  text: z.string(),
  file: z.string().optional().describe("where it was written"),
});

export const BackedUpSource = z.object({
  name: z.string(),
  kind: Kind,
  outcome: z.enum(["ok", "unchanged", "failed"]),
  capturedAt: Time.optional(),
  files: Count,
  bytes: Bytes.describe("size of the source"),
  readBytes: Bytes.describe("read from the host"),
  newBytes: Bytes.describe("of those, not in the repository before"),
  storedBytes: Bytes.describe("packed and encrypted, as put into the store"),
  seconds: Seconds,
  notes: Notes,
  error: Failure.optional(),
});

export const BackupReport = z.object({
  policy: z.string(),
  store: z.string(),
  zone: z.string(),
  snapshot: z.object({ id: Id, key: z.string(), state: State, sequence: Count, started: Time, ended: Time }),
  sources: z.array(BackedUpSource),
  skewSeconds: Seconds.describe("between the first and the last source's recovery point"),
  bytes: Bytes,
  readBytes: Bytes,
  newBytes: Bytes,
  storedBytes: Bytes,
  packs: Count,
  seconds: Seconds,
  notes: Notes,
});

export const SnapshotLine = z.object({
  id: Id,
  state: State,
  started: Time,
  ended: Time,
  sequence: Count,
  signature: Signature,
  sources: z.array(z.object({ name: z.string(), outcome: z.enum(["ok", "unchanged", "failed"]) })),
  files: Count,
  bytes: Bytes,
  held: z.string().optional().describe("why no date takes it, nor does it fill a slot"),
});

export const SnapshotsReport = z.object({
  policy: z.string(),
  store: z.string(),
  zone: z.string(),
  snapshots: z.array(SnapshotLine).describe("oldest first"),
  notes: Notes.describe("records that could not be understood, clocks that disagree"),
});

export const ShownSource = z.object({
  name: z.string(),
  kind: Kind,
  outcome: z.enum(["ok", "unchanged", "failed"]),
  capturedAt: Time.optional(),
  files: Count,
  bytes: Bytes,
  manifest: Sha256.optional(),
  list: Sha256.optional(),
  packs: Count.optional(),
  facts: z
    .record(z.string(), z.unknown())
    .optional()
    .describe("from the manifest, when an identity opens it"),
  notes: Notes,
  error: Failure.optional(),
});

export const ShowReport = SnapshotLine.omit({ sources: true, files: true, bytes: true, held: true }).extend({
  policy: z.string(),
  store: z.string(),
  zone: z.string(),
  key: z.string(),
  signer: z.string().optional().describe("fingerprint, SHA256:…"),
  tool: z.string().describe("the drops version that made it"),
  host: z.record(z.string(), z.unknown()),
  skewSeconds: Seconds,
  sources: z.array(ShownSource),
  notes: Notes.describe("why it is taken by its id alone, and what was passed over"),
});

export const LsEntry = z.object({
  source: z.string(),
  path: z.string().optional().describe("relative to the source; absent when its bytes are not clean UTF-8"),
  pathB64: z.base64().optional().describe("the raw bytes, when path is absent"),
  type: z.enum(["file", "dir", "symlink", "hardlink", "fifo"]),
  mode: z
    .string()
    .regex(/^[0-7]{4,6}$/)
    .describe("octal permissions"),
  uid: Count,
  gid: Count,
  user: z.string().optional(),
  group: z.string().optional(),
  size: Bytes,
  modified: Time,
  target: z.string().optional().describe("of a symlink or hard link; lossy when not UTF-8"),
});

export const LsReport = z.object({
  snapshot: Id,
  policy: z.string(),
  zone: z.string(),
  ended: Time,
  entries: z.array(LsEntry).describe("by source, then by path bytes"),
});

/** In words only: standard output is for the bytes. */
export const ExportReport = z.object({
  snapshot: Id,
  source: z.string(),
  path: z.string().optional(),
  form: z.enum(["file", "tar"]),
  bytes: Bytes.describe("written to standard output"),
});

const ByteRange = z.object({
  from: Bytes,
  to: Bytes.describe("the first byte that is there again, or the size"),
});
const OlderCopy = z.object({ snapshot: Id, ended: Time });

export const DamagedFile = z.object({
  path: z.string().describe("in the snapshot, control characters escaped"),
  size: Bytes,
  missing: z.array(ByteRange).readonly(),
  writtenAs: z
    .string()
    .optional()
    .describe("what is left of it, zeros where bytes are missing; absent when nothing is left"),
  older: OlderCopy.optional().describe("a snapshot that seems to hold a file of this path whole"),
});

export const SourceDamage = z.object({
  index: z.string().optional().describe("what is wrong with its list or manifest"),
  packs: z
    .array(z.object({ pack: z.string(), problem: z.string() }))
    .readonly()
    .describe("those that are lost"),
  chunksElsewhere: Count.describe("found in packs of other snapshots instead"),
  chunksLost: Count,
  wholeFiles: Count.describe("entries that come back whole"),
  wholeBytes: Bytes,
  files: z.array(DamagedFile).readonly().describe("those that do not come back whole"),
  older: OlderCopy.optional().describe(
    "when nothing comes back: a snapshot with another state of the source",
  ),
});

export const RestoredSource = z.object({
  name: z.string(),
  kind: Kind,
  outcome: z
    .enum(["restored", "damaged", "failed"])
    .describe("damaged: --best-effort brought back what is whole; NAME.damaged.txt says what is not"),
  directory: z.string(),
  files: Count,
  bytes: Bytes,
  seconds: Seconds,
  notes: Notes,
  error: Failure.optional(),
  damage: SourceDamage.optional().describe("what can come back and what cannot, when something is damaged"),
});

export const RestoreReport = z.object({
  policy: z.string(),
  store: z.string(),
  zone: z.string(),
  snapshot: z.object({ id: Id, state: State, started: Time, ended: Time, signature: Signature }),
  to: z.string(),
  laterSnapshots: Count.describe("complete ones that ended after the one restored"),
  ageSeconds: Seconds.describe("of the snapshot when the restore began"),
  sources: z.array(RestoredSource),
  files: Count,
  bytes: Bytes,
  packs: Count,
  seconds: Seconds,
  next: z.array(z.string()).describe("what to do with what was restored, one step a line"),
  notes: Notes,
});

export const Damage = z.object({
  key: z.string().describe("the object's name in the store"),
  problem: z.string(),
  snapshots: z.array(Id).describe("those that need it"),
});

export const VerifyReport = z.object({
  policy: z.string(),
  store: z.string(),
  zone: z.string(),
  snapshots: z.array(
    z.object({ id: Id, ended: Time, state: State, signature: Signature, intact: z.boolean() }),
  ),
  objects: Count.describe("that were looked for by name and size"),
  objectBytes: Bytes,
  checksums: z
    .object({
      from: z
        .enum(["bytes", "upload"])
        .describe(
          "bytes: the store's files were hashed; upload: what the server computed when they were put",
        ),
      compared: Count.describe("objects whose checksum was compared with their name"),
      sizeOnly: Count.describe("of which the server has no checksum, or may not be asked"),
    })
    .optional()
    .describe("with --objects"),
  readShare: z.number().min(0).max(1).describe("of the packs that were read whole"),
  packsRead: Count,
  bytesRead: Bytes,
  opened: z.boolean().describe("whether an identity opened the packs, or only their hashes were compared"),
  independent: z.boolean().optional().describe("true: the packages age-encryption and tar read them as well"),
  sources: z
    .array(z.object({ snapshot: Id, name: z.string(), ok: z.boolean(), detail: z.string() }))
    .describe("what the sources' own checks said of the stored data, with --sources"),
  coverage: z
    .object({
      share: z
        .number()
        .min(0)
        .max(1)
        .describe("of the data that was read back, by this verify and those before it"),
      since: Time.optional().describe("everything that was stored by then has been read back since"),
      runsLeft: Count.optional().describe("verifies like this one until everything was"),
      by: Time.optional().describe("when that will be, at the policy's verify.every"),
    })
    .optional()
    .describe("absent when only one snapshot was looked at"),
  evidence: z
    .object({
      key: z.string().describe("of the signed evidence in the store"),
      marked: Count.describe("damaged objects that the next backup will store anew"),
    })
    .optional()
    .describe("when it was published"),
  damage: z.array(Damage),
  seconds: Seconds,
  notes: Notes,
});

export const DrillCheck = z.object({
  id: z.string().describe("stays the same from drill to drill"),
  source: z.string().optional().describe("absent: the snapshot as a whole"),
  name: z.string(),
  outcome: z.enum(["passed", "failed", "damaged", "could-not-run"]),
  found: z.string(),
  hint: z.string().optional(),
  began: Seconds.describe("after the drill began"),
  seconds: Seconds,
});

export const DrillReport = z.object({
  policy: z.string(),
  store: z.string(),
  zone: z.string(),
  snapshot: z.object({ id: Id, state: State, started: Time, ended: Time, signature: Signature }),
  verdict: z
    .enum(["proven", "damaged", "unproven"])
    .describe("damaged: stored data is damaged or missing; unproven: a check failed or could not run"),
  whole: z.boolean().describe("whether every source of the snapshot was drilled"),
  checks: z.array(DrillCheck),
  notTested: z.array(z.object({ what: z.string(), why: z.string() })),
  objectives: z.object({
    ageSeconds: Seconds.optional().describe("from the recovery point until the drill"),
    rpoSeconds: Seconds.optional(),
    restoreSeconds: Seconds.optional(),
    loadSeconds: Seconds.optional().describe("until the databases held their rows"),
    rtoSeconds: Seconds.optional(),
  }),
  files: Count,
  bytes: Bytes,
  packs: Count,
  storedBytes: Bytes.describe("of packs that were fetched"),
  on: z.string().optional().describe("the machine that the guided restore was drilled on"),
  sandbox: z.object({ user: z.string(), network: z.boolean().describe("whether it had one") }),
  seconds: Seconds,
  work: z.string().optional().describe("what was restored, when it was to be kept"),
  evidence: z
    .object({
      json: z.string(),
      signature: z.string(),
      junit: z.string(),
      page: z.string(),
      earlier: Count.describe("drills before it that are believed"),
      published: z.string().optional().describe("its key in the store"),
    })
    .optional()
    .describe("files, when a directory for them was given"),
  notes: Notes,
});

export const PolicyReport = z.object({
  origin: z.string(),
  sha256: Sha256,
  name: z.string(),
  zone: z.string(),
  host: z.string(),
  store: z.string(),
  sources: z.array(z.object({ name: z.string(), kind: Kind, what: z.string() })),
  notes: Notes,
});

export const SetupReport = z.object({
  file: z.string().describe("the policy that was written"),
  policy: z.string(),
  sources: z.array(z.string()),
  keys: z.object({
    directory: z.string(),
    made: z.boolean().describe("now; false: they were there, or are not"),
  }),
  repository: z.string().optional().describe("its id, when it was made"),
  next: z.array(z.string()).describe("commands to type, in this order"),
});

export const ShownPolicyReport = z.object({
  origin: z.string(),
  sha256: Sha256.describe("of the policy as written"),
  policy: z
    .record(z.string(), z.unknown())
    .describe("what policies/policy.schema.json describes, defaults filled in, secrets hidden"),
});

export const CompletionReport = z.object({
  shell: z.enum(["bash", "zsh", "fish"]),
  script: z.string().describe("for that shell to read"),
});

export const IamReport = z.object({
  form: z.enum(["user-policy", "bucket-policy", "lifecycle"]),
  role: z.enum(["writer", "janitor", "keeper", "restorer"]).optional(),
  bucket: z.string(),
  prefix: z.string(),
  policy: z.string(),
  principal: z.string().optional().describe("the user that a bucket's policy is for"),
  createOnly: z.boolean().optional().describe("whether the policy refuses puts over what is there"),
  document: z.record(z.string(), z.unknown()).describe("for the server, as it is"),
  statements: z.array(z.object({ sid: z.string(), why: z.string() })).describe("what each is for"),
  notes: Notes,
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

export type Failure = z.infer<typeof Failure>;
export type InitReport = z.infer<typeof InitReport>;
export type KeygenReport = z.infer<typeof KeygenReport>;
export type SheetReport = z.infer<typeof SheetReport>;
export type RunbookReport = z.infer<typeof RunbookReport>;
export type BackedUpSource = z.infer<typeof BackedUpSource>;
export type BackupReport = z.infer<typeof BackupReport>;
export type SnapshotLine = z.infer<typeof SnapshotLine>;
export type SnapshotsReport = z.infer<typeof SnapshotsReport>;
export type ShownSource = z.infer<typeof ShownSource>;
export type ShowReport = z.infer<typeof ShowReport>;
export type LsEntry = z.infer<typeof LsEntry>;
export type LsReport = z.infer<typeof LsReport>;
export type ExportReport = z.infer<typeof ExportReport>;
export type SourceDamage = z.infer<typeof SourceDamage>;
export type RestoredSource = z.infer<typeof RestoredSource>;
export type RestoreReport = z.infer<typeof RestoreReport>;
export type Damage = z.infer<typeof Damage>;
export type VerifyReport = z.infer<typeof VerifyReport>;
export type DrillCheck = z.infer<typeof DrillCheck>;
export type DrillReport = z.infer<typeof DrillReport>;
export type PolicyReport = z.infer<typeof PolicyReport>;
export type SetupReport = z.infer<typeof SetupReport>;
export type ShownPolicyReport = z.infer<typeof ShownPolicyReport>;
export type CompletionReport = z.infer<typeof CompletionReport>;
export type IamReport = z.infer<typeof IamReport>;
