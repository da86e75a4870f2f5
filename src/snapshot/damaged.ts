import * as z from "zod";
import type { Cancel } from "../lib/cancel.ts";
import { EVIDENCE_NAMESPACE, type Signer } from "../seal/sshsig.ts";
import type { BlobReader, BlobWriter } from "../store/blob-store.ts";
import { damagedKey, damagedPrefix, isHash, signatureKey } from "../store/keys.ts";
import { encodeDocument } from "./canonical-json.ts";
import { putOnceNamed } from "./evidence-store.ts";
import { FORMAT } from "./repository.ts";

/** That an object which is listed with its size does not hold what its name promises. */
export const Damaged = z.object({
  drops: z.literal("damaged"),
  format: z.literal(FORMAT),
  repository: z.string(),
  policy: z.string(),
  at: z.iso.datetime(),
  kind: z.enum(["pack", "list", "manifest"]),
  name: z.string().regex(/^[0-9a-f]{64}$/),
  problem: z.string().max(1024),
});
export type Damaged = z.infer<typeof Damaged>;

/**
 * Hashes of all objects that a verify found damaged. The names of the marks say it all, so that whoever may list knows. They
 * are taken at their word whoever put them: to believe too many costs a second upload, to believe too few a snapshot.
 */
export async function damagedNames(store: BlobReader, policyName: string, how: Cancel): Promise<Set<string>> {
  const names = new Set<string>();
  const prefix = damagedPrefix(policyName);
  for await (const { key } of store.list(prefix, how)) {
    const name = key.slice(prefix.length, -".json".length);
    if (isHash(name) && damagedKey(policyName, name) === key) names.add(name);
  }
  return names;
}

/** Put a mark, its signature first; one that is there already stays. Answers its key. */
export async function putDamaged(
  store: BlobWriter,
  mark: Damaged,
  how: Cancel & { readonly signer: Signer },
): Promise<string> {
  const bytes = encodeDocument(mark);
  const key = damagedKey(mark.policy, mark.name);
  await putOnceNamed(store, signatureKey(key), how.signer.sign(EVIDENCE_NAMESPACE, bytes), how);
  await putOnceNamed(store, key, bytes, how);
  return key;
}
