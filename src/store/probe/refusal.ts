import { messageOf } from "../../lib/errors.ts";
import { statusOf } from "../s3-failure.ts";

/** Why a server did not do it. `unknown` says nothing of what it would do another time. */
export type ProbeRefusal = "permission" | "lock" | "no-locks" | "unknown";

interface Answer {
  readonly status: number;
  readonly code: string;
  readonly says?: RegExp;
  readonly means: ProbeRefusal;
}

/**
 * What servers answer, the first that fits. Wrong keys and clocks are 403 as well, so the status alone says nothing. A lock is
 * mostly told as a missing permission: by Amazon (`Access Denied because object protected by object lock.`), Ceph, Backblaze,
 * Wasabi, Storj; Garage, without locks, has the permission only.
 */
const ANSWERS: readonly Answer[] = [
  { status: 403, code: "AccessDenied", says: /\block(ed)?\b|\bWORM\b|retention|immutab/i, means: "lock" },
  { status: 403, code: "AccessDenied", means: "permission" },
  // MinIO and Versity: `Object is WORM protected and cannot be overwritten`
  { status: 400, code: "InvalidRequest", says: /\bWORM protected\b/i, means: "lock" },
  // Cloudflare R2, whose locks are rules of the bucket
  { status: 403, code: "ObjectLockedByBucketPolicy", means: "lock" },
  // Amazon: `x-amz-bypass-governance-retention is only applicable to Object Lock enabled buckets.`
  {
    status: 400,
    code: "InvalidArgument",
    says: /only applicable to Object Lock enabled/i,
    means: "no-locks",
  },
  // Amazon and MinIO: `Bucket is missing ObjectLockConfiguration`
  { status: 400, code: "InvalidRequest", says: /missing Object ?Lock ?Configuration/i, means: "no-locks" },
  { status: 501, code: "NotImplemented", means: "no-locks" },
];

/** Of what the SDK threw. */
export function refusalOf(error: unknown): ProbeRefusal {
  const status = statusOf(error);
  const code = error instanceof Error ? error.name : "";
  const message = messageOf(error);
  const found = ANSWERS.find(
    (one) => one.status === status && one.code === code && one.says?.test(message) !== false,
  );
  return found?.means ?? "unknown";
}
