/** S3's policy language, as far as drops writes it: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-policies.html */
export interface Statement {
  readonly Sid: string;
  readonly Effect: "Allow" | "Deny";
  /** In a bucket's policy only. */
  readonly Principal?: { readonly AWS: readonly string[] };
  readonly Action: readonly string[];
  readonly Resource: readonly string[];
  readonly Condition?: Condition;
}

export type Condition = Readonly<Record<string, Readonly<Record<string, string | readonly string[]>>>>;

export interface PolicyDocument {
  readonly Version: "2012-10-17";
  readonly Statement: readonly Statement[];
}

/** What the statement of that name is for. */
export interface StatementNote {
  readonly sid: string;
  readonly why: string;
}

/** A statement that permits these actions on these resources, where the condition holds. */
export function allow(
  sid: string,
  actions: readonly string[],
  resources: readonly string[],
  condition?: Condition,
): Statement {
  const statement = { Sid: sid, Effect: "Allow", Action: [...actions], Resource: [...resources] } as const;
  return condition === undefined ? statement : { ...statement, Condition: condition };
}

/** A statement that forbids them, whatever others permit. */
export function deny(sid: string, actions: readonly string[], resources: readonly string[]): Statement {
  return { Sid: sid, Effect: "Deny", Action: [...actions], Resource: [...resources] };
}
