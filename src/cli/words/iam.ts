import { DropsError } from "../../lib/errors.ts";
import { milliseconds } from "../../lib/units.ts";
import type { ObjectLockPolicy, Policy } from "../../policy/schema.ts";
import { lifecycleOf, type Role, rolePolicy } from "../../store/roles.ts";
import type { IamReport } from "../../store/roles-report.ts";

const DAY_MS = 86_400_000;

/** One user, by its ARN or, as versitygw names users, by its access key alone. A wildcard would let in everybody. */
const PRINCIPAL = /^(arn:[a-z-]+:iam::[A-Za-z0-9]*:[A-Za-z0-9/:+=,.@_-]+|[A-Za-z0-9][A-Za-z0-9._-]{0,127})$/;

export interface IamOptions {
  readonly principal?: string;
  readonly conditions?: "aws" | "none";
  readonly maxDays?: number;
  readonly days: number;
}

/** Throws usage/invalid for a repository that is no bucket, and for options that the document has no place for. */
export function iamReport(what: Role | "lifecycle", policy: Policy, options: IamOptions): IamReport {
  if ("directory" in policy.store) {
    throw new DropsError(
      "usage/invalid",
      `the repository of ${policy.name} is a directory, which has no roles`,
      { hint: "use an s3 store in the policy; owner and mode protect a directory" },
    );
  }
  const { bucket, prefix, endpoint } = policy.store.s3;
  const place = { bucket, prefix, policy: policy.name, objectLock: policy.object_lock };
  if (what === "lifecycle") return lifecycleReport(place, options);
  const conditions = (options.conditions ?? (isAmazon(endpoint) ? "aws" : "none")) === "aws";
  return roleReport(what, place, conditions, options);
}

interface Place {
  readonly bucket: string;
  readonly prefix: string;
  readonly policy: string;
  readonly objectLock: ObjectLockPolicy | undefined;
}

function lifecycleReport({ objectLock: _, ...place }: Place, { principal, days }: IamOptions): IamReport {
  if (principal !== undefined) throw misplaced("--principal", "a lifecycle rule is for no user");
  return {
    form: "lifecycle",
    ...place,
    document: { ...lifecycleOf(place, days) },
    statements: [],
    notes: ["it frees what was deleted from a bucket that keeps versions, and does nothing in one without"],
  };
}

function roleReport(
  role: Role,
  { objectLock, ...place }: Place,
  conditions: boolean,
  { principal, maxDays }: IamOptions,
): IamReport {
  if (principal !== undefined && !PRINCIPAL.test(principal)) {
    throw misplaced(
      `--principal ${principal}`,
      "not the ARN of a user: arn:aws:iam::ACCOUNT:user/NAME, or an access key",
    );
  }
  const locks = role === "keeper" || (role === "writer" && objectLock !== undefined);
  if (maxDays !== undefined && !(locks && conditions)) {
    throw misplaced("--max-days", "only for who locks (keeper, writer), on a server with AWS's conditions");
  }
  // Days that have begun count, and clocks differ.
  const most = objectLock && Math.ceil(milliseconds(objectLock.max) / DAY_MS) + 1;
  const options = { conditions, principal, locks, maxDays: maxDays ?? most };
  const { document, told } = rolePolicy({ role, ...place, ...options });
  return {
    form: principal === undefined ? "user-policy" : "bucket-policy",
    role,
    ...place,
    ...(principal === undefined ? {} : { principal }),
    createOnly: conditions && role !== "keeper",
    document: { ...document },
    statements: told,
    notes: notesOf(role, conditions, principal),
  };
}

/** The document alone, so that it can be given to the server as it is. */
export function iamInWords({ document }: IamReport): string {
  return JSON.stringify(document, undefined, 2);
}

/** Beside the document, on standard error: what each statement is for. */
export function iamRemarks({ statements, notes }: IamReport): string[] {
  return [...statements.map(({ sid, why }) => `${sid}: ${why}`), ...notes.map((note) => `note: ${note}`)];
}

function notesOf(role: Role, conditions: boolean, principal: string | undefined): string[] {
  const overwriting = conditions
    ? "a server that does not know s3:if-none-match refuses every put under this policy, or ignores the condition: try it"
    : "whoever may put may overwrite here: use a versioned bucket with the lifecycle rule, better Object Lock";
  const owner =
    "a bucket's policy does not bind keys of the bucket's owner: make the bucket with another key";
  return [...(role === "keeper" ? [] : [overwriting]), ...(principal === undefined ? [] : [owner])];
}

function isAmazon(endpoint: string | undefined): boolean {
  return endpoint === undefined || /(^|\.)amazonaws\.com(\.cn)?$/.test(new URL(endpoint).hostname);
}

function misplaced(what: string, why: string): DropsError {
  return new DropsError("usage/invalid", `${what}: ${why}`, { hint: "drops iam --help" });
}
