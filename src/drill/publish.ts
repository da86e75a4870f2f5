import type { Cancel } from "../lib/cancel.ts";
import type { Signer } from "../seal/sshsig.ts";
import { putEvidence } from "../snapshot/evidence-store.ts";
import type { BlobWriter } from "../store/blob-store.ts";
import { evidenceKey, keyTime } from "../store/keys.ts";
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
  await putEvidence(store, key, bytes, signer, how);
  return key;
}
