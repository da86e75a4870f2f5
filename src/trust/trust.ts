import type { Policy } from "../policy/schema.ts";
import { checkPublicKey } from "../seal/ssh-key.ts";
import { samePublicKey } from "../seal/sshsig.ts";

/** Public halves of a policy's signing keys that are on this machine. */
export interface OwnKeys {
  readonly signing?: string | undefined;
  readonly prune?: string | undefined;
  readonly verify?: string | undefined;
}

/** What somebody can be believed for. A `note` is a pin, a withdrawal or a mark of a prune; a `finding` is doctor's. */
export type Claim = "snapshot" | "note" | "drill" | "verify" | "finding";

/** A key that somebody else may have since `before`. What it says of times is worth nothing from then on. */
export interface RevokedSigner {
  /** OpenSSH public key line. */
  readonly key: string;
  readonly before: Date;
}

/** Who is believed for what. */
export interface Trust {
  /** OpenSSH public key lines, without the revoked ones. */
  readonly signers: Readonly<Record<Claim, readonly string[]>>;
  /** A snapshot of theirs is believed when it landed before a time, by the store's clock; nothing else of theirs is. */
  readonly revoked: readonly RevokedSigner[];
  /** Believe snapshots, and nothing else, without a trusted signature too; only when the operator says so. */
  readonly allowUnsigned: boolean;
}

/** What a command line and a machine know beside the policy. */
export interface GivenTrust {
  /** Public key lines: `--trusted-signer`, and those that an identity file carries. */
  readonly signers?: readonly string[];
  readonly revoked?: readonly RevokedSigner[];
  readonly allowUnsigned?: boolean;
  /** Public halves of the policy's keys that are on this machine. */
  readonly own?: OwnKeys;
}

/**
 * Who is believed for what: by the policy, by what is given beside it, or by that alone. A revoked key is among nobody's
 * signers, wherever else it is named.
 *
 * @throws DropsError key/wrong when a revoked key of the policy is none: it would revoke nothing
 */
export function trustOf(
  policy: Pick<Policy, "name" | "keys" | "prune"> | undefined,
  { signers = [], revoked = [], allowUnsigned = false, own = {} }: GivenTrust = {},
): Trust {
  const known = [own.signing, ...(policy?.keys.trusted_signers ?? []), ...signers];
  const gone = [...revokedBy(policy), ...revoked];
  return roles({ snapshot: known, revoked: gone, allowUnsigned }, policy?.prune, own);
}

/** The same with the policy that a snapshot holds: it says who drills and who withdraws, never whose snapshots are believed. */
export function trustInside(
  { signers: { snapshot }, revoked, allowUnsigned }: Trust,
  policy: Pick<Policy, "prune">,
): Trust {
  return roles({ snapshot, revoked, allowUnsigned }, policy.prune, {});
}

/** The same, but for one claim these keys alone are believed. */
export function trusting(trust: Trust, claim: Claim, keys: readonly string[]): Trust {
  return { ...trust, signers: { ...trust.signers, [claim]: unrevoked(keys, trust.revoked) } };
}

/** The keys that a policy revokes, in their canonical form. Throws key/wrong for a line that is no key. */
export function revokedBy(policy: Pick<Policy, "name" | "keys"> | undefined): RevokedSigner[] {
  const revoked = policy?.keys.revoked_signers ?? [];
  return revoked.map(({ key, before }) => ({
    key: checkPublicKey(key, `keys.revoked_signers of policy ${policy?.name}`),
    before: new Date(before),
  }));
}

function roles(
  {
    snapshot,
    revoked,
    allowUnsigned,
  }: Omit<Trust, "signers"> & { readonly snapshot: readonly (string | undefined)[] },
  prune: Partial<Policy["prune"]> = {},
  own: OwnKeys,
): Trust {
  const { signing_key_file: pruner, trusted_signers: operators = [], drill_signers: named = [] } = prune;
  const drill = named.length > 0 ? named : snapshot;
  const of = (...keys: readonly (string | undefined)[]) => unrevoked(keys, revoked);
  const signers = {
    snapshot: of(...snapshot),
    note: of(...(pruner === undefined ? snapshot : [own.prune]), ...operators),
    drill: of(...drill),
    // by a key of its own or by whoever prunes, too: neither needs a key that opens anything
    verify: of(...drill, own.verify, own.prune, ...operators),
    finding: of(...snapshot, ...named),
  };
  return { signers, revoked, allowUnsigned };
}

function unrevoked(
  keys: readonly (string | undefined)[],
  revoked: readonly RevokedSigner[],
): readonly string[] {
  const known = keys.filter((line) => line !== undefined);
  return known.filter((line) => !revoked.some(({ key }) => samePublicKey(key, line)));
}
