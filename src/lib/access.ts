/** How a repository, and a machine, are named on the command line. */

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

/** From a policy, or from a store and an identity alone; and the machine to work on. */
export interface GuidedAccess extends ReadAccess {
  /** `user@address:port`, `address`, or `local`; undefined: the policy's host. */
  readonly host: string | undefined;
  /** Private key file; undefined: the policy's, else the agent. */
  readonly sshKey: string | undefined;
  /** A public key line that the machine must show. */
  readonly hostKey: string | undefined;
}
