import * as z from "zod";
import { milliseconds } from "../lib/units.ts";
import { AbsolutePath, ContainerEngine, ContainerName, Duration, Name, UnitName } from "./fields.ts";
import { Notify } from "./notify-schema.ts";
import { Restore, referenceProblems } from "./restore-schema.ts";

const Zone = z.string().refine(isZone, "an IANA time zone such as Europe/Berlin");
const UserName = z.string().regex(/^[a-z_][a-z0-9_-]{0,31}$/, "a user name");
export const Ssh = z.strictObject({
  address: z.string().min(1).describe("host name, address, or a Host of ~/.ssh/config"),
  port: z.int().min(1).max(65535).optional().describe("default: that of ~/.ssh/config, else 22"),
  user: UserName.optional().describe("default: that of ~/.ssh/config, else root"),
  key_file: AbsolutePath.optional().describe(
    "private key; default: those of the SSH agent and of ~/.ssh/config, else ~/.ssh/id_*",
  ),
  host_key: z
    .string()
    .regex(
      /^(ssh-ed25519|ecdsa-sha2-nistp\d+|ssh-rsa) [A-Za-z0-9+/=]+$/,
      "a public key line: type and base64",
    )
    .optional()
    .describe("the pinned host key; without it known_hosts decides"),
  known_hosts: AbsolutePath.optional().describe(
    "default: those of ~/.ssh/config, else ~/.ssh/known_hosts and /etc/ssh/ssh_known_hosts",
  ),
});

const Host = z
  .union([z.literal("local"), z.strictObject({ ssh: Ssh })])
  .describe("the machine to back up: `local`, or over SSH");

const S3 = z.strictObject({
  bucket: z.string().regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, "an S3 bucket name"),
  prefix: z
    .string()
    .regex(
      /^[A-Za-z0-9._-]+(\/[A-Za-z0-9._-]+)*$/,
      "letters, digits, dots, dashes, with single slashes between",
    )
    .default("drops"),
  endpoint: z
    .url({ protocol: /^https?$/, error: "an http or https address" })
    // it is printed, and goes into every snapshot
    .refine((text) => !/^\w+:\/\/[^/?#]*@/.test(text), "an address holds no login: use credentials_file")
    .optional(),
  region: z.string().default("us-east-1"),
  path_style: z.boolean().default(true),
  ca_file: AbsolutePath.optional().describe(
    "PEM file of the certificate authority, when it is not a public one",
  ),
  credentials_file: AbsolutePath.optional().describe(
    "file of AWS_ACCESS_KEY_ID=… and AWS_SECRET_ACCESS_KEY=… lines; default: the environment",
  ),
});

const Store = z.union([z.strictObject({ s3: S3 }), z.strictObject({ directory: AbsolutePath })]);

const A_TIME = "a time such as 2026-11-20T00:00:00Z";
const Instant = z
  .string()
  .regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d)$/, A_TIME)
  .refine((text) => !Number.isNaN(Date.parse(text)), A_TIME);

const SignerLine = z.string().regex(/^ssh-ed25519 [A-Za-z0-9+/=]+/, "an ssh-ed25519 public key line");

const Keys = z
  .strictObject({
    recovery_recipients: z
      .array(z.string().regex(/^age1[a-z0-9]+$/, "an age recipient (age1…)"))
      .min(1)
      .optional()
      .describe("public age recipients that can open everything"),
    recovery_recipients_file: AbsolutePath.optional().describe("the same, one a line"),
    metadata_identity_file: AbsolutePath.describe(
      "age identity of the backup host: opens manifests, never packs",
    ),
    signing_key_file: AbsolutePath.describe("OpenSSH ed25519 private key that signs snapshots"),
    trusted_signers: z
      .array(SignerLine)
      .default([])
      .describe("public keys whose snapshots are believed; the key of signing_key_file always is"),
    revoked_signers: z
      .array(
        z.strictObject({
          key: SignerLine,
          before: Instant.describe("what it signed is believed if it landed before, by the store's clock"),
        }),
      )
      .optional()
      .describe(
        "public keys that somebody else may have: wherever else they are named, they are believed no more",
      ),
  })
  .refine(
    ({ trusted_signers, revoked_signers = [] }) =>
      !revoked_signers.some(({ key }) => trusted_signers.some((signer) => bare(signer) === bare(key))),
    { error: "also among trusted_signers: take it out there", path: ["revoked_signers"] },
  )
  .refine(
    (keys) => (keys.recovery_recipients === undefined) !== (keys.recovery_recipients_file === undefined),
    {
      error: "exactly one of recovery_recipients and recovery_recipients_file",
      path: ["recovery_recipients"],
    },
  );

const Rocksdb = z
  .strictObject({
    name: Name,
    kind: z.literal("rocksdb"),
    path: AbsolutePath.describe("the database directory; symlinks are followed"),
    mode: z.enum(["hot", "stopped"]).default("hot"),
    unit: UnitName.optional().describe("the unit that is stopped for the capture in mode stopped"),
    staging: AbsolutePath.optional().describe(
      "directory for hard links, on the database's file system; default: beside it",
    ),
    min_free: z
      .string()
      .regex(/^\d+(MiB|GiB)$/, "a number and MiB or GiB, such as 512MiB")
      .default("512MiB")
      .describe("stop below this much free space on the host"),
  })
  .refine((source) => source.mode !== "stopped" || source.unit !== undefined, {
    error: "mode stopped needs the unit",
    path: ["unit"],
  });

export const DatabaseName: z.ZodString = z
  .string()
  .regex(/^[A-Za-z_][A-Za-z0-9_$-]{0,62}$/, "a database name");
const Postgres = z
  .strictObject({
    name: Name,
    kind: z.literal("postgres"),
    database: DatabaseName,
    container: ContainerName.optional().describe(
      "name of the container that the server runs in: every program runs in there, by docker exec or podman exec",
    ),
    engine: ContainerEngine.optional().describe(
      "of the container; without it, whichever has one of that name",
    ),
    run_as: UserName.default("postgres").describe(
      "user of the host, or of the container, that may connect by peer authentication",
    ),
    host: z.string().optional().describe("socket directory or address, as PGHOST"),
    port: z.int().min(1).max(65535).optional(),
    user: z.string().optional().describe("database role, as PGUSER"),
    bin: AbsolutePath.optional().describe("directory of psql and pg_dump when they are not on PATH"),
    digests: z.boolean().default(true).describe("a digest of every table's rows beside its count"),
    spool: z
      .boolean()
      .default(true)
      .describe(
        "write the dump to the host's staging first when it fits, so that the snapshot is not held for the upload; never in a container",
      ),
  })
  .refine(({ container, engine }) => engine === undefined || container !== undefined, {
    error: "without a container",
    path: ["engine"],
  });

const Files = z.strictObject({
  name: Name,
  kind: z.literal("files"),
  paths: z.array(AbsolutePath).min(1),
  exclude: z
    .array(z.string().min(1))
    .default([])
    .describe(
      "absolute paths or globs (* and ?), matched against the whole path; a path behind a symlink may be named either way",
    ),
  optional: z.boolean().default(false).describe("a missing path is a note instead of a failure"),
  one_file_system: z
    .boolean()
    .default(true)
    .describe("leave out what is mounted below the paths (a backup notes each mount, doctor warns)"),
});

const Command = z.strictObject({
  name: Name,
  kind: z.literal("command"),
  argv: z
    .array(z.string().min(1))
    .min(1)
    .describe(
      "the command and its arguments; no shell, and no variable of drops' own environment but PATH, HOME and the language",
    ),
  run_as: UserName.optional(),
  restore_hint: z.string().optional(),
});

export const Source = z.discriminatedUnion("kind", [Rocksdb, Postgres, Files, Command]);

const Keep = z
  .strictObject({
    rules: z.enum(["sequential", "independent"]).default("sequential"),
    last: z.int().min(0).max(1000).default(0).describe("the newest so many, whatever their dates"),
    daily: z.int().min(0).max(1000).default(7),
    weekly: z.int().min(0).max(1000).default(4),
    monthly: z.int().min(0).max(1000).default(12),
    yearly: z.int().min(0).max(1000).default(0),
  })
  .refine((keep) => keep.last + keep.daily + keep.weekly + keep.monthly + keep.yearly > 0, {
    error: "keeps nothing",
    path: ["daily"],
  });

const Prune = z
  .strictObject({
    max_share: z
      .int()
      .min(1)
      .max(100)
      .default(30)
      .describe("percent of the complete snapshots that may be forgotten at once; two always may"),
    max_shrink: z
      .int()
      .min(1)
      .max(100)
      .default(50)
      .describe("percent by which a source may shrink before nothing is forgotten; 100: any"),
    signing_key_file: AbsolutePath.optional().describe(
      "OpenSSH ed25519 private key that signs marks, pins and withdrawals, which the backup host does not have; default: keys.signing_key_file",
    ),
    trusted_signers: z
      .array(SignerLine)
      .default([])
      .describe("public keys whose marks, pins and withdrawals are believed, beside that one"),
    drill_signers: z
      .array(SignerLine)
      .default([])
      .describe("public keys whose evidence of drills is believed; without any: those of snapshots"),
  })
  .describe("what drops prune may do");

const ObjectLock = z
  .strictObject({
    mode: z
      .enum(["governance", "compliance"])
      .default("governance")
      .describe("compliance: nobody can undo a lock, the bucket's owner and the provider neither"),
    margin: Duration.default("14d").describe(
      "for how long what the plan lets go stays locked; the keeper must run more often",
    ),
    max: Duration.default("400d").describe("no lock reaches further than this, whatever the plan says"),
  })
  .refine((lock) => milliseconds(lock.margin) <= milliseconds(lock.max), {
    error: "longer than max",
    path: ["margin"],
  })
  .describe("lock every object for as long as the plan keeps it; the bucket must have Object Lock");

const Drill = z
  .strictObject({ every: Duration.default("8d").describe("how old the last proof may get") })
  .describe("what drops status holds drills to, once there was one");

const Verify = z
  .strictObject({
    every: Duration.optional().describe(
      "how old the last verify may get before drops status says so; without it status holds verifies to nothing",
    ),
    read_percent: z
      .number()
      .min(0)
      .max(100)
      .optional()
      .describe(
        "share of the packs that drops verify --routine reads back, others each time; default: 5 where the credential may read packs, else none",
      ),
    signing_key_file: AbsolutePath.optional().describe(
      "OpenSSH ed25519 private key that signs what a verify found; default: prune.signing_key_file, else keys.signing_key_file",
    ),
  })
  .describe("how the stored data is looked after between drills");

const Checkpoint = z
  .strictObject({
    after: Duration.default("1h"),
    after_bytes: z
      .string()
      .regex(/^\d+(MiB|GiB)$/, "a number and MiB or GiB")
      .default("4GiB"),
  })
  .describe(
    "how much of a first backup may be lost when it is broken off: it goes on from the last checkpoint",
  );

const PolicyFields = z.strictObject({
  name: Name,
  zone: Zone.describe("dates are days of this zone"),
  host: Host,
  store: Store,
  object_lock: ObjectLock.optional(),
  keys: Keys,
  rpo: Duration.default("24h").describe("how old the newest snapshot may get"),
  rto: Duration.default("2h").describe("how long a restore may take"),
  keep: Keep.default({ rules: "sequential", last: 0, daily: 7, weekly: 4, monthly: 12, yearly: 0 }),
  prune: Prune.default({ max_share: 30, max_shrink: 50, trusted_signers: [], drill_signers: [] }),
  drill: Drill.default({ every: "8d" }),
  verify: Verify.default({}),
  checkpoint: Checkpoint.default({ after: "1h", after_bytes: "4GiB" }),
  reread_percent: z
    .number()
    .min(0)
    .max(100)
    .default(2)
    .describe("share of the unchanged files that is read and compared every night"),
  sources: z
    .array(Source)
    .min(1)
    .refine(
      (all) => new Set(all.map((source) => source.name)).size === all.length,
      "source names must differ",
    ),
  notify: Notify.optional(),
  restore: Restore.default(() => Restore.parse({})).describe("how the service is brought back onto a host"),
});

export const Policy = PolicyFields.superRefine(({ restore, sources, store, object_lock }, context) => {
  if (object_lock && "directory" in store)
    context.addIssue({ code: "custom", path: ["object_lock"], message: "a directory locks nothing" });
  for (const problem of referenceProblems(restore, sources)) context.addIssue({ code: "custom", ...problem });
});

export type Policy = z.infer<typeof Policy>;
export type SourcePolicy = Policy["sources"][number];
export type RocksdbPolicy = Extract<SourcePolicy, { kind: "rocksdb" }>;
export type PostgresPolicy = Extract<SourcePolicy, { kind: "postgres" }>;
export type FilesPolicy = Extract<SourcePolicy, { kind: "files" }>;
export type CommandPolicy = Extract<SourcePolicy, { kind: "command" }>;
export type { AppservicePolicy, CheckPolicy, RestorePolicy, UnitPolicy } from "./restore-schema.ts";
export type SshPolicy = z.infer<typeof Ssh>;
export type S3Policy = z.infer<typeof S3>;
export type StorePolicy = Policy["store"];
export type ObjectLockPolicy = NonNullable<Policy["object_lock"]>;

/** A public key line without its comment. */
function bare(line: string): string {
  return line.split(" ", 2).join(" ");
}

function isZone(zone: string): boolean {
  try {
    new Intl.DateTimeFormat("en", { timeZone: zone });
    return true;
  } catch {
    return false;
  }
}
