/** `drops keys`: which keys the policy names, what is sealed to whom, and who signed what. Nothing is opened. */

import type { Cancel } from "../lib/cancel.ts";
import { isFailure } from "../lib/errors.ts";
import type { Policy } from "../policy/schema.ts";
import { openCatalog, type ReadParts } from "../restore/choose.ts";
import { readIdentityFile, recipientSetHash, recipientsOf } from "../seal/recipients.ts";
import { recoveryRecipients } from "../seal/recovery-recipients.ts";
import { fingerprint, loadSigner, samePublicKey } from "../seal/sshsig.ts";
import type { ListedSnapshot } from "../snapshot/catalog.ts";
import { revokedBy } from "../trust/trust.ts";
import { DamageBook } from "./damage-book.ts";
import { type SealedTo, sealedTo, signedBy } from "./key-use.ts";
import type { KeysReport, NamedKey, SealedSet, SignerUse } from "./keys-report.ts";
import { followReferences } from "./needed-objects.ts";

/**
 * @throws DropsError failures of the store; repository/missing; key/wrong for a file of the policy that is there and holds
 *   no such key. A file that is not there is a note: on most machines most keys are not.
 */
export async function keysOfRepository(
  parts: ReadParts,
  policy: Policy | undefined,
  how: Cancel,
): Promise<KeysReport> {
  const { named, notes } = policy ? await namedBy(policy) : { named: [], notes: [NO_POLICY] };
  const { snapshots, unreadable, policyName } = await openCatalog(
    { ...parts, withoutDescription: true },
    how,
  );
  const references = await followReferences(parts.store, policyName, snapshots, new DamageBook(), how);
  const all = references.packs.reduce((sum, { size }) => sum + size, 0);
  const current = currentSet(named);
  const signing = named.find(({ role }) => role === "signing-key")?.key;
  return {
    policy: policyName,
    store: parts.store.label,
    zone: parts.zone,
    named,
    sealedTo: sealedTo(references, snapshots).map((set) => setView(set, all, current)),
    signers: [...signedBy(snapshots)].map(([key, signed]) => signerView(key, signed, signing)),
    notBelieved: unreadable.length,
    notes: [...notes, ...unreadable.map(({ why }) => why.message)],
  };
}

const NO_POLICY = "no policy: which keys it names, and which set is its current one, is not known here";

async function namedBy(policy: Policy): Promise<{ named: NamedKey[]; notes: string[] }> {
  const { keys, prune } = policy;
  const notes: string[] = [];
  const unlessMissing = async <Found>(file: string | undefined, read: () => Promise<readonly Found[]>) => {
    try {
      return await read();
    } catch (error) {
      if (file === undefined || !isFailure(error, "key/missing")) throw error;
      notes.push(`${file} is not on this machine`);
      return [undefined];
    }
  };
  const publicKeyIn = (file: string) => unlessMissing(file, async () => [(await loadSigner(file)).publicKey]);
  const { recovery_recipients_file: recoveryFile, metadata_identity_file: metadataFile } = keys;
  const recovery = await unlessMissing(recoveryFile, () => recoveryRecipients(policy));
  const metadata = await unlessMissing(metadataFile, async () =>
    recipientsOf((await readIdentityFile(metadataFile)).identities),
  );
  const pruneFile = prune.signing_key_file;
  const named = [
    ...recovery.map((key) => namedKey("recovery-recipient", key, recoveryFile)),
    ...metadata.map((key) => namedKey("metadata-recipient", key, metadataFile)),
    ...(await publicKeyIn(keys.signing_key_file)).map((key) =>
      namedKey("signing-key", key, keys.signing_key_file),
    ),
    ...keys.trusted_signers.map((key) => namedKey("trusted-signer", key)),
    ...revokedBy(policy).map(({ key, before }) => ({
      ...namedKey("revoked-signer", key),
      before: before.toISOString(),
    })),
    ...(pruneFile === undefined
      ? []
      : (await publicKeyIn(pruneFile)).map((key) => namedKey("prune-signing-key", key, pruneFile))),
    ...prune.trusted_signers.map((key) => namedKey("prune-trusted-signer", key)),
    ...prune.drill_signers.map((key) => namedKey("drill-signer", key)),
  ];
  return { named, notes };
}

function namedKey(role: NamedKey["role"], key: string | undefined, file?: string): NamedKey {
  return {
    role,
    ...(key === undefined ? {} : { key }),
    ...(key?.startsWith("ssh-") ? { fingerprint: fingerprint(key) } : {}),
    ...(file === undefined ? {} : { file }),
  };
}

/** The name of the set that the next backup is sealed to; undefined when that is not known here. */
function currentSet(named: readonly NamedKey[]): string | undefined {
  const recipients = named.filter(({ role }) => role === "recovery-recipient").map(({ key }) => key);
  const known = recipients.filter((recipient) => recipient !== undefined);
  return known.length === 0 ? undefined : recipientSetHash(known);
}

function setView(set: SealedTo, allBytes: number, current: string | undefined): SealedSet {
  const { recipients, snapshots, sources, packs, bytes } = set;
  return {
    ...(recipients === undefined ? {} : { recipients }),
    ...(current === undefined ? {} : { current: recipients === current }),
    snapshots: snapshots.length,
    sources: sources.size,
    packs,
    bytes,
    share: allBytes === 0 ? 0 : bytes / allBytes,
    ...between(snapshots),
  };
}

function signerView(
  key: string,
  snapshots: readonly ListedSnapshot[],
  signing: string | undefined,
): SignerUse {
  return {
    key,
    fingerprint: fingerprint(key),
    ...(signing === undefined ? {} : { current: samePublicKey(key, signing) }),
    snapshots: snapshots.length,
    ...between(snapshots),
  };
}

function between(snapshots: readonly ListedSnapshot[]): { oldest: string; newest: string } {
  return { oldest: snapshots[0]?.record.ended ?? "", newest: snapshots.at(-1)?.record.ended ?? "" };
}
