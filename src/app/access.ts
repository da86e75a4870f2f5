/** From the options of a command that reads to what its verb needs: a store, keys, whom to believe, which zone. */
import type { PolicyAccess, ReadAccess } from "../lib/access.ts";
import type { Cancel } from "../lib/cancel.ts";
import type { AppContext } from "../lib/context.ts";
import { DropsError, isFailure } from "../lib/errors.ts";
import { findPolicy, POLICY_DIRS } from "../policy/find.ts";
import { type LoadedPolicy, loadPolicy } from "../policy/load.ts";
import type { StorePolicy } from "../policy/schema.ts";
import { openCatalog, type ReadParts } from "../restore/choose.ts";
import { explainerOf } from "../restore/explain-keys.ts";
import { explaining } from "../restore/explaining.ts";
import { policyInside } from "../restore/policy-inside.ts";
import { readIdentityFile } from "../seal/recipients.ts";
import type { BlobReader, BlobStore } from "../store/blob-store.ts";
import { parseStoreUrl } from "../store/store-url.ts";
import { belowWhatHides } from "../store/version-index.ts";
import { ownKeys } from "../trust/own-keys.ts";
import { signersGiven } from "../trust/signers-given.ts";
import { trustOf } from "../trust/trust.ts";
import { openStore, openVersionedStore } from "./store.ts";

export interface Access {
  readonly store: BlobStore;
  readonly parts: Omit<ReadParts, "zone">;
  readonly policy: LoadedPolicy | undefined;
}

/** `policy` is loaded already when the command has one. */
export async function openAccess(
  access: ReadAccess,
  policy: LoadedPolicy | undefined,
  context: AppContext,
): Promise<Access> {
  if (!policy && access.policy !== undefined && !/^[a-z][a-z0-9-]*$/.test(access.policy)) {
    throw new DropsError(
      "usage/invalid",
      `with --store, --policy is the name of a policy in it, not ${access.policy}`,
      {
        hint: "leave --policy out when the repository holds one policy",
      },
    );
  }
  const explain = await explainerOf(access, policy?.policy);
  const files = await explaining({ explain }, () => Promise.all(access.identities.map(readIdentityFile)));
  const own =
    policy && files.length === 0 ? await readIfThere(policy.policy.keys.metadata_identity_file) : [];
  const given = await signersGiven(access.trustedSigners);
  const trust = trustOf(policy?.policy, {
    signers: [...given.signers, ...files.flatMap(({ trustedSigners }) => trustedSigners)],
    revoked: given.revoked,
    allowUnsigned: access.trustUnsigned,
    ...(policy ? { own: await ownKeys(policy.policy) } : {}),
  });
  const place = access.store === undefined ? policy?.policy.store : parseStoreUrl(access.store);
  if (!place) throw new Error("neither a store nor a policy");
  const { store, reading } = await storesOf(place, access, context);
  const identities = [...files.flatMap(({ identities }) => identities), ...own];
  const policyName = policy?.policy.name ?? access.policy;
  const say = (line: string) => context.reporter.say(line);
  const { expectHead } = access;
  const parts = { store: reading, policyName, trust, identities, now: context.now, say, expectHead, explain };
  return { store, policy, parts };
}

/** What is read, and what is closed in the end. Throws usage/invalid for --hidden in a directory. */
async function storesOf(
  place: StorePolicy,
  { hidden }: ReadAccess,
  context: AppContext,
): Promise<{ readonly store: BlobStore; readonly reading: BlobReader }> {
  if (!hidden) {
    const store = await openStore(place, context);
    return { store, reading: store };
  }
  const store = await openVersionedStore(place, context);
  return { store, reading: belowWhatHides(store) };
}

/** The policy that a command means, unless a store's address stands in for it. */
export async function policyOf(access: ReadAccess, context: AppContext): Promise<LoadedPolicy | undefined> {
  return access.store === undefined ? loadNamed(access, context) : undefined;
}

/** Throws usage/ and policy/invalid. */
export async function loadNamed({ policy }: PolicyAccess, { env }: AppContext): Promise<LoadedPolicy> {
  return loadPolicy(await findPolicy(policy, { fromEnv: env["DROPS_POLICY"], dirs: POLICY_DIRS }));
}

/**
 * The zone that days are of. Without a policy file it is the one in the newest snapshot's manifest, where the whole
 * policy lies; UTC when no identity opens it.
 */
export async function zoneOf({ policy, parts }: Access, how: Cancel): Promise<string> {
  if (policy) return policy.policy.zone;
  try {
    return (await policyInside(parts, await openCatalog(parts, how), how))?.zone ?? "UTC";
  } catch (error) {
    if (isFailure(error, "key/wrong", "data/damaged", "data/missing", "store/missing", "policy/invalid"))
      return "UTC";
    throw error;
  }
}

async function readIfThere(file: string): Promise<readonly string[]> {
  try {
    return (await readIdentityFile(file)).identities;
  } catch (error) {
    if (isFailure(error, "key/missing")) return [];
    throw error;
  }
}
