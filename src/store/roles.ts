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

interface Folders {
  /** The repository's description and the scripts for recovery: public, and read by every command. */
  readonly common: readonly string[];
  readonly snapshots: string;
  readonly manifests: string;
  readonly lists: string;
  readonly packs: string;
  readonly pins: string;
  readonly withdrawn: string;
  readonly condemned: string;
  readonly evidence: string;
  /** What doctors found: plain, and of the writer. */
  readonly findings: string;
  readonly damaged: string;
}

/** What a role may do, as an S3 policy, and in words what each statement of it is for. */
export function rolePolicy(options: RoleOptions): {
  readonly document: PolicyDocument;
  readonly told: StatementNote[];
} {
  const folders = foldersOf(options.policy);
  const permitted = PERMITTED[options.role](folders, options);
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

const PERMITTED: Readonly<Record<Role, (folders: Folders, options: RoleOptions) => Explained[]>> = {
  writer: (
    { common, snapshots, manifests, lists, packs, condemned, withdrawn, evidence, findings },
    options,
  ) => [
    read(
      options,
      [...common, snapshots, manifests, lists, condemned, withdrawn, evidence, findings],
      READS.writer,
    ),
    put(
      options,
      [packs, lists, manifests, snapshots, findings],
      "a backup puts what is new, doctor what it found",
    ),
    ...(options.locks
      ? [
          lock(
            options,
            [packs, lists, manifests, snapshots],
            "a backup locks what it puts, and looks whether it is locked; it cannot shorten a lock",
          ),
        ]
      : []),
  ],
  janitor: (
    { common, snapshots, lists, pins, withdrawn, condemned, evidence, damaged, findings, ...sealed },
    options,
  ) => [
    read(
      options,
      [...common, snapshots, lists, pins, withdrawn, condemned, evidence, damaged, findings],
      READS.janitor,
    ),
    put(
      options,
      [condemned, pins, withdrawn, evidence, damaged],
      "a prune condemns first; pin and withdraw put notes, verify what it found",
    ),
    {
      statement: allow(
        "JanitorRemoves",
        ["s3:DeleteObject"],
        objects(options, [
          ...[snapshots, lists, pins, withdrawn, condemned, damaged],
          ...[sealed.manifests, sealed.packs],
        ]),
      ),
      why: "what was forgotten and condemned goes; evidence, recovery/ and repository.json never do",
    },
    {
      statement: allow(
        "JanitorSeesVersions",
        ["s3:ListBucketVersions", "s3:GetBucketVersioning", "s3:GetBucketObjectLockConfiguration"],
        [bucketOf(options)],
      ),
      why: "what versions and Object Lock still hold after a delete is told, not removed",
    },
  ],
  keeper: ({ common, snapshots, lists, pins, withdrawn, evidence, manifests, packs }, options) => [
    read(options, [...common, snapshots, lists, pins, withdrawn, evidence], READS.keeper),
    {
      statement: allow(
        "KeeperSeesVersions",
        ["s3:ListBucketVersions", "s3:GetBucketVersioning", "s3:GetBucketObjectLockConfiguration"],
        [bucketOf(options)],
      ),
      why: "locks belong to versions, so it looks for them",
    },
    lock(
      options,
      [...common, snapshots, lists, manifests, packs, pins, evidence],
      "extends the lock of what kept snapshots need; without the bypass permission it cannot shorten one",
    ),
  ],
  restorer: ({ common, pins, evidence, damaged, ...rest }, options) => [
    read(options, [...common, pins, evidence, damaged, ...Object.values(rest)], "a restore reads everything"),
    {
      statement: allow("RestorerSeesVersions", ["s3:ListBucketVersions"], [bucketOf(options)]),
      why: "restore --hidden reads what delete markers and later versions hide",
    },
    put(
      options,
      [pins, evidence, damaged],
      "drops pin keeps what is to be restored; a drill publishes what it proved, verify what it found",
    ),
  ],
};

const READS = {
  writer: "a backup compares with the last one, status with the last drill; it cannot read packs",
  janitor: "what a plan needs is plain; it reads neither packs nor manifests",
  keeper: "which objects the kept snapshots need is plain; it reads the version that landed first",
} as const;

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

function read(options: RoleOptions, keys: readonly string[], why: string): Explained {
  const versions = options.role === "keeper" || options.role === "restorer" ? ["s3:GetObjectVersion"] : [];
  return {
    statement: allow(`${titled(options.role)}Reads`, ["s3:GetObject", ...versions], objects(options, keys)),
    why,
  };
}

/** Without the permission to bypass governance a lock can only be lengthened; the cap bounds what that can cost. */
function lock(options: RoleOptions, keys: readonly string[], why: string): Explained {
  const { conditions, maxDays } = options;
  const cap = { NumericLessThanEquals: { "s3:object-lock-remaining-retention-days": String(maxDays) } };
  return {
    statement: allow(
      `${titled(options.role)}Locks`,
      ["s3:GetObjectRetention", "s3:PutObjectRetention"],
      objects(options, keys),
      conditions && maxDays !== undefined ? cap : undefined,
    ),
    why,
  };
}

/**
 * Create-only where the server can: `If-None-Match: *` must be there, with which the server refuses a taken key. Uploads in
 * parts, which could overwrite without it, are not exempt: drops makes none.
 */
function put(options: RoleOptions, keys: readonly string[], why: string): Explained {
  const createOnly = { Null: { "s3:if-none-match": "false" } };
  return {
    statement: allow(
      `${titled(options.role)}Puts`,
      ["s3:PutObject"],
      objects(options, keys),
      options.conditions ? createOnly : undefined,
    ),
    why: `${why}; ${options.conditions ? "never over what is there" : "this server's policies cannot forbid to overwrite"}`,
  };
}

function foldersOf(policy: string): Folders {
  return {
    common: [REPOSITORY_KEY, signatureKey(REPOSITORY_KEY), `${recoveryPrefix}*`],
    snapshots: `${snapshotsPrefix(policy)}*`,
    manifests: `${manifestsPrefix(policy)}*`,
    lists: `${listsPrefix(policy)}*`,
    packs: `${packsPrefix(policy)}*`,
    pins: `${pinsPrefix(policy)}*`,
    withdrawn: `${withdrawnPrefix(policy)}*`,
    condemned: `${condemnedPrefix(policy)}*`,
    evidence: `${evidencePrefix(policy)}*`,
    findings: `${findingsPrefix(policy)}*`,
    damaged: `${damagedPrefix(policy)}*`,
  };
}

function objects(options: RoleOptions, keys: readonly string[]): string[] {
  return keys.map((key) => `${bucketOf(options)}/${options.prefix}/${key}`).sort();
}

const bucketOf = ({ bucket }: Pick<RoleOptions, "bucket">): string => `arn:aws:s3:::${bucket}`;

const titled = (role: Role): string => `${role.slice(0, 1).toUpperCase()}${role.slice(1)}`;

function withPrincipal(statement: Statement, { principal }: RoleOptions): Statement {
  if (principal === undefined) return statement;
  const { Sid, Effect, ...rest } = statement;
  return { Sid, Effect, Principal: { AWS: [principal] }, ...rest };
}
