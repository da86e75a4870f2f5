import type { Cancel } from "../lib/cancel.ts";
import { isFailure } from "../lib/errors.ts";
import { EVIDENCE_NAMESPACE, type Signer } from "../seal/sshsig.ts";
import type { BlobWriter } from "../store/blob-store.ts";
import { evidenceKey, keyTime, signatureKey } from "../store/keys.ts";
import type { Evidence } from "./evidence.ts";

/**
 * Put evidence into the repository: the signature first, then what it signs. Answers its key.
 *
 * @throws DropsError of the store; store/refused where the drill's credentials may only read
 */
export async function publishEvidence(
  store: BlobWriter,
  { policy, ended, id }: Evidence,
  bytes: Uint8Array,
  signer: Signer,
  how: Cancel,
): Promise<string> {
  const key = evidenceKey(policy, keyTime(new Date(ended)), id);
  await putOnce(store, signatureKey(key), signer.sign(EVIDENCE_NAMESPACE, bytes), how);
  await putOnce(store, key, bytes, how);
  return key;
}

/** Its id is random: what is there under its name already was put by this very call, and answered unclearly. */
async function putOnce(store: BlobWriter, key: string, bytes: Uint8Array, how: Cancel): Promise<void> {
  try {
    await store.put(key, bytes, how);
  } catch (error) {
    if (!isFailure(error, "store/exists")) throw error;
  }
}
