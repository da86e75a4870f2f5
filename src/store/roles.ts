import type { S3Policy } from "../policy/schema.ts";
import {
  condemnedPrefix,
  damagedPrefix,
  evidencePrefix,
  findingsPrefix,
  listsPrefix,
  manifestsPrefix,
  packsPrefix,
  pinsPrefix,
  REPOSITORY_KEY,
  recoveryPrefix,
  signatureKey,
  snapshotsPrefix,
  withdrawnPrefix,
} from "./keys.ts";
import { allow, deny, type PolicyDocument, type Statement, type StatementNote } from "./statements.ts";

/** Who may do what with a repository (docs/format.md, Roles). */
export const ROLES = ["writer", "janitor", "keeper", "restorer"] as const;
export type Role = (typeof ROLES)[number];

export interface RoleOptions {
  readonly role: Role;
  readonly bucket: string;
  /** Of the repository in the bucket, without a slash at its end. */
  readonly prefix: string;
  /** The policy's name. */
  readonly policy: string;
  /**
   * The server knows the condition keys `s3:if-none-match` and `s3:object-lock-remaining-retention-days`. Where it does
   * not, a statement with them allows nothing, or, where it reads no conditions at all, everything: `probeWriter` tells.
   */
  readonly conditions: boolean;
  /** Whom a bucket policy is for. Without it the document is a policy of a user. */
  readonly principal?: string | undefined;
  /** Backups lock what they put. */
  readonly locks?: boolean | undefined;
  /** Furthest that writer and keeper may lock an object from now, in days; only where the server knows the condition. */
  readonly maxDays?: number | undefined;
}

const below = (prefix: (policy: string) => string) => (policy: string) => [`${prefix(policy)}*`];

/** Where the objects of a policy lie. */
const FOLDERS = {
  /** The repository's description and the scripts for recovery: public, and read by every command. */
  common: () => [REPOSITORY_KEY, signatureKey(REPOSITORY_KEY), `${recoveryPrefix}*`],
  snapshots: below(snapshotsPrefix),
  manifests: below(manifestsPrefix),
  lists: below(listsPrefix),
  packs: below(packsPrefix),
  pins: below(pinsPrefix),
  withdrawn: below(withdrawnPrefix),
  condemned: below(condemnedPrefix),
  evidence: below(evidencePrefix),
  /** What doctors found: plain, and of the writer. */
  findings: below(findingsPrefix),
  damaged: below(damagedPrefix),
} as const;

type Folder = keyof typeof FOLDERS;

const EVERYTHING = Object.keys(FOLDERS) as Folder[];

/** What a role may do, as an S3 policy, and in words what each statement of it is for. */
export function rolePolicy(options: RoleOptions): {
  readonly document: PolicyDocument;
  readonly told: StatementNote[];
} {
  const permitted = PERMITTED[options.role](options);
  const told = [listing(options), ...permitted, never(options)].map(({ statement, why }) => ({
    why,
    statement: withPrincipal(statement, options),
  }));
  return {
    document: { Version: "2012-10-17", Statement: told.map(({ statement }) => statement) },
    told: told.map(({ statement, why }) => ({ sid: statement.Sid, why })),
  };
}

/**
 * A rule for the bucket's lifecycle: on a versioned bucket a delete frees nothing until the version under the delete marker
 * is gone too, and no role may remove versions. `days` is how long what was deleted or overwritten can be brought back.
 */
export function lifecycleOf({ prefix }: Pick<S3Policy, "prefix">, days: number): object {
  return {
    Rules: [
      {
        ID: `drops-${prefix.replaceAll("/", "-")}`,
        Status: "Enabled",
        Filter: { Prefix: `${prefix}/` },
        NoncurrentVersionExpiration: { NoncurrentDays: days },
        Expiration: { ExpiredObjectDeleteMarker: true },
        // drops puts in one piece: what is in several was begun by someone else, and is billed although no listing shows it
        AbortIncompleteMultipartUpload: { DaysAfterInitiation: 7 },
      },
    ],
  };
}

type Explained = { readonly statement: Statement; readonly why: string };

const PERMITTED: Readonly<Record<Role, (options: RoleOptions) => Explained[]>> = {
  writer: (options) => [
    read(
      options,
      ["common", "snapshots", "manifests", "lists", "condemned", "withdrawn", "evidence", "findings"],
      "a backup compares with the last one, status with the last drill; it cannot read packs",
    ),
    put(
      options,
      ["packs", "lists", "manifests", "snapshots", "findings"],
      "a backup puts what is new, doctor what it found",
    ),
    ...(options.locks ? [lock(options, ["packs", "lists", "manifests", "snapshots"], WRITER_LOCKS)] : []),
  ],
  janitor: (options) => [
    read(
      options,
      ["common", "snapshots", "lists", "pins", "withdrawn", "condemned", "evidence", "damaged", "findings"],
      "what a plan needs is plain; it reads neither packs nor manifests",
    ),
    put(
      options,
      ["condemned", "pins", "withdrawn", "evidence", "damaged"],
      "a prune condemns first; pin and withdraw put notes, verify what it found",
    ),
    {
      statement: allow(
        "JanitorRemoves",
        ["s3:DeleteObject"],
        objects(options, [
          "snapshots",
          "lists",
          "manifests",
          "packs",
          "pins",
          "withdrawn",
          "condemned",
          "damaged",
        ]),
      ),
      why: "what was forgotten and condemned goes; evidence, recovery/ and repository.json never do",
    },
    seesVersions(options, "what versions and Object Lock still hold after a delete is told, not removed"),
  ],
  keeper: (options) => [
    read(
      options,
      ["common", "snapshots", "lists", "pins", "withdrawn", "evidence"],
      "which objects the kept snapshots need is plain; it reads the version that landed first",
    ),
    seesVersions(options, "locks belong to versions, so it looks for them"),
    lock(
      options,
      ["common", "snapshots", "lists", "manifests", "packs", "pins", "evidence"],
      "extends the lock of what kept snapshots need; without the bypass permission it cannot shorten one",
    ),
  ],
  restorer: (options) => [
    read(options, EVERYTHING, "a restore reads everything"),
    seesVersions(options, "restore --hidden reads what delete markers and later versions hide"),
    put(
      options,
      ["pins", "evidence", "damaged"],
      "drops pin keeps what is to be restored; a drill publishes what it proved, verify what it found",
    ),
  ],
};

const WRITER_LOCKS = "a backup locks what it puts, and looks whether it is locked; it cannot shorten a lock";

const BUCKET_SETTINGS = [
  "s3:PutBucketPolicy",
  "s3:DeleteBucketPolicy",
  "s3:PutBucketVersioning",
  "s3:PutBucketObjectLockConfiguration",
  "s3:PutLifecycleConfiguration",
  "s3:BypassGovernanceRetention",
  "s3:DeleteObjectVersion",
] as const;

/** Said although it is not allowed anywhere above, as the same user may have other policies. */
function never(options: RoleOptions): Explained {
  const actions = options.role === "janitor" ? BUCKET_SETTINGS : ["s3:DeleteObject", ...BUCKET_SETTINGS];
  const bucket = bucketOf(options);
  return {
    statement: deny(`${titled(options.role)}Never`, actions, [bucket, `${bucket}/*`]),
    why: "whatever else this user is permitted",
  };
}

/** Names are no secret to any role. Only below the repository's prefix. */
function listing(options: RoleOptions): Explained {
  return {
    statement: allow(`${titled(options.role)}Lists`, ["s3:ListBucket"], [bucketOf(options)], {
      StringLike: { "s3:prefix": [`${options.prefix}/*`] },
    }),
    why: "every command lists; without it a missing object looks like a refused one",
  };
}

function read(options: RoleOptions, folders: readonly Folder[], why: string): Explained {
  const versions = options.role === "keeper" || options.role === "restorer" ? ["s3:GetObjectVersion"] : [];
  return {
    statement: allow(
      `${titled(options.role)}Reads`,
      ["s3:GetObject", ...versions],
      objects(options, folders),
    ),
    why,
  };
}

function seesVersions(options: RoleOptions, why: string): Explained {
  const settings = ["s3:GetBucketVersioning", "s3:GetBucketObjectLockConfiguration"];
  const actions = ["s3:ListBucketVersions", ...(options.role === "restorer" ? [] : settings)];
  return { statement: allow(`${titled(options.role)}SeesVersions`, actions, [bucketOf(options)]), why };
}

/** Without the permission to bypass governance a lock can only be lengthened; the cap bounds what that can cost. */
function lock(options: RoleOptions, folders: readonly Folder[], why: string): Explained {
  const { conditions, maxDays } = options;
  const cap = { NumericLessThanEquals: { "s3:object-lock-remaining-retention-days": String(maxDays) } };
  return {
    statement: allow(
      `${titled(options.role)}Locks`,
      ["s3:GetObjectRetention", "s3:PutObjectRetention"],
      objects(options, folders),
      conditions && maxDays !== undefined ? cap : undefined,
    ),
    why,
  };
}

/**
 * Create-only where the server can: `If-None-Match: *` must be there, with which the server refuses a taken key. Uploads in
 * parts, which could overwrite without it, are not exempt: drops makes none.
 */
function put(options: RoleOptions, folders: readonly Folder[], why: string): Explained {
  const createOnly = { Null: { "s3:if-none-match": "false" } };
  return {
    statement: allow(
      `${titled(options.role)}Puts`,
      ["s3:PutObject"],
      objects(options, folders),
      options.conditions ? createOnly : undefined,
    ),
    why: `${why}; ${options.conditions ? "never over what is there" : "this server's policies cannot forbid to overwrite"}`,
  };
}

function objects(options: RoleOptions, folders: readonly Folder[]): string[] {
  const keys = folders.flatMap((folder) => FOLDERS[folder](options.policy));
  return keys.map((key) => `${bucketOf(options)}/${options.prefix}/${key}`).sort();
}

const bucketOf = ({ bucket }: Pick<RoleOptions, "bucket">): string => `arn:aws:s3:::${bucket}`;

const titled = (role: Role): string => `${role.slice(0, 1).toUpperCase()}${role.slice(1)}`;

function withPrincipal(statement: Statement, { principal }: RoleOptions): Statement {
  if (principal === undefined) return statement;
  const { Sid, Effect, ...rest } = statement;
  return { Sid, Effect, Principal: { AWS: [principal] }, ...rest };
}
